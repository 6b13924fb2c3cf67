"""Curation: what finding near duplicates costs beside datasketch and rensa, how often the language is guessed
right, and the funnel on Code Alpaca.

    python benchmarks/curation.py [--quick] [--data DIR] [--peers DIR] [--figures DIR] [--no-examples]

Texts of 40 to 120 words are drawn, some of them copied with a few words changed; each library finds what it
finds, and who is right is decided by
comparing every pair exactly. Costs are CPU seconds of one process each, the peers run in their own
interpreter in rounds between ours, and of the
rounds the least counts. `--data` (or CODEDPO_DATA) holds `codealpaca`, `humanevalpack` and the evaluation
sets; `--peers` is the virtual environment of
the peers, made if it is absent.

The last line is one JSON object; a figure that could not be had is null, and a sentence above it says why."""
import argparse
import json
import os
import random
import subprocess
import sys
import time
import venv
from collections import Counter
from functools import partial
from pathlib import Path

PEERS = ["datasketch==2.0.0", "rensa==0.5.0"]
KEYS = ("docs_per_s vs_datasketch vs_rensa recall_datasketch recall_rensa decontamination_docs_per_s "
        "language_right python_right".split())
LEAST, HASHES = .7, 128


# ------------------------------------------------------------------ near duplicates

def texts(n):
    "`n` texts, a tenth of them copies of earlier ones with up to four words changed."
    r, words = random.Random(0), [f"w{i}" for i in range(5000)]
    out = [" ".join(r.choices(words, k=r.randrange(40, 121))) for _ in range(n - n // 10)]
    for _ in range(n // 10):
        copy = r.choice(out[:n - n // 10]).split()
        for _ in range(r.randrange(5)): copy[r.randrange(len(copy))] = r.choice(words)
        out.append(" ".join(copy))
    return out

def runs(text):
    words = text.split()
    return {" ".join(words[i:i + 3]) for i in range(len(words) - 2)}

def by_datasketch(found):
    from datasketch import MinHash, MinHashLSH
    lsh, out = MinHashLSH(threshold=LEAST, num_perm=HASHES), []
    for i, text in enumerate(found):
        m = MinHash(num_perm=HASHES)
        m.update_batch([s.encode() for s in runs(text)])
        near = [j for j in lsh.query(m)]
        out.append(min(near) if near else None)
        if not near: lsh.insert(i, m)
    return out

def by_rensa(found):
    from rensa import RMinHash, RMinHashLSH
    lsh, out = RMinHashLSH(threshold=LEAST, num_perm=HASHES, num_bands=16), []
    kept = {}
    for i, text in enumerate(found):
        m = RMinHash(num_perm=HASHES, seed=0)
        m.update(list(runs(text)))
        near = [j for j in lsh.query(m) if kept[j].jaccard(m) >= LEAST]
        out.append(min(near) if near else None)
        if not near:
            lsh.insert(i, m)
            kept[i] = m
    return out

def peer(what):
    "In the peers' interpreter: texts on stdin; CPU seconds and twins on stdout."
    found = json.load(sys.stdin)
    work = dict(datasketch=by_datasketch, rensa=by_rensa)[what]
    work(found[:2])   # what the first one imports is not counted
    began = time.process_time()
    twins = work(found)
    print(json.dumps(dict(cpu=time.process_time() - began, twins=twins)))

def install(folder):
    """The interpreter of an environment that has the peers, and a sentence about what went wrong, if anything
    did."""
    python = folder/"bin/python"
    if (folder/"curation-ready").exists(): return python, None
    print(f"installing {' and '.join(PEERS)} into {folder}", flush=True)
    try:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS],
                       check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().split("\n")[-1]
        return (None, "The peers could not be installed from the registry, so nothing is compared with "
                f"them: {said}")
    (folder/"curation-ready").write_text("\n".join(PEERS))
    return python, None

def asked(python, what, found):
    "A peer's CPU seconds and twins, or None and a sentence."
    done = subprocess.run([python, __file__, "--peer", what], input=json.dumps(found), capture_output=True,
                          text=True)
    if done.returncode: return None, f"The peer {what} failed: {done.stderr.strip().splitlines()[-1:]}"
    return json.loads(done.stdout.splitlines()[-1]), None

def ours(found):
    from codedpo_nb.training.curation import alike
    began = time.process_time()
    twins = alike(found, LEAST)
    return dict(cpu=time.process_time() - began, twins=twins)

def duplicates(found, python, out, rounds):
    "Least CPU seconds of each, in turns; what each finds, beside the truth."
    who = ["ours", *([] if python is None else ["datasketch", "rensa"])]
    least, results = dict.fromkeys(who, float("inf")), {}
    for _ in range(rounds):
        for name in list(who):
            got, problem = (ours(found), None) if name == "ours" else asked(python, name, found)
            if problem:
                print(problem)
                who.remove(name)
                continue
            least[name], results[name] = min(least[name], got["cpu"]), got["twins"]
    truth = {i for i, twin in enumerate(by_all_pairs(found)) if twin is not None}
    lines = [("near duplicates", "texts", "texts/s", "times ours", "found", "of", "wrongly")]
    for name in who:
        mine = {i for i, twin in enumerate(results[name]) if twin is not None}
        lines.append((name, len(found), f"{len(found) / least[name]:,.0f}",
                      f"{least['ours'] / least[name]:.2f}", len(mine & truth), len(truth), len(mine - truth)))
        if name != "ours":
            out |= {f"vs_{name}": round(least["ours"] / least[name], 3),
                    f"recall_{name}": round(len(mine & truth) / len(truth), 4)}
    out["docs_per_s"] = round(len(found) / least["ours"])
    return lines

def by_all_pairs(found):
    "Every text beside every earlier one that stays, exactly; sizes that cannot be alike are passed over."
    kept, out = [], []
    for i, mine in enumerate(map(runs, found)):
        twin = next((j for j,
                     s in kept if LEAST * len(s) <= len(mine) <= len(s) / LEAST
                     and len(mine & s) >= LEAST * len(mine | s)), None)
        out.append(twin)
        if twin is None: kept.append((i, mine))
    return out


# ------------------------------------------------------------------ languages

def languages(folder, out):
    "How often the language of a solution of HumanEvalPack is guessed right."
    from codedpo_nb.benchmarks import read_rows
    from codedpo_nb.training.curation import language
    names, lines = dict(cpp="c++", js="javascript"), [("language", "solutions", "right", "taken for")]
    files = sorted((folder/"humanevalpack").glob("*.jsonl.gz"))
    if not files:
        return print(f"{folder/'humanevalpack'} is absent, so guessed languages are not checked") or []
    hits = []
    for file in files:
        true = names.get(file.name.split(".")[0], file.name.split(".")[0])
        guesses = Counter(language(row["declaration"] + row["canonical_solution"]) for _,
                          row in read_rows(file))
        others = ", ".join(f"{name} {n}" for name, n in guesses.most_common() if name != true)
        lines.append((true, guesses.total(), guesses[true], others))
        hits.append((true, guesses[true], guesses.total()))
    out["language_right"] = round(sum(k for _, k, _ in hits) / sum(n for *_, n in hits), 3)
    out["python_right"] = next((round(k / n, 3) for name, k, n in hits if name == "python"), None)
    return lines


# ------------------------------------------------------------------ Code Alpaca

def code_alpaca(folder, out, figures, examples):
    "The funnel on Code Alpaca, and its pick beside random picks of equal size."
    from codedpo_nb.running.records import rng, style
    from codedpo_nb.training import curation as c
    path = folder/"codealpaca/code_alpaca_2k.jsonl.gz"
    if not path.is_file():
        return (print(f"{path} is absent, so the funnel is not tried on Code Alpaca; name the folder with "
                      "--data or CODEDPO_DATA") or ())
    rows, (problems, missing) = c.alpaca(path), c.exams(folder)
    for name, why in missing.items(): print(f"not compared with {name}: {why}")
    index = c.exam_index(problems)
    began = time.process_time()
    c.contaminated(rows, index)
    out["decontamination_docs_per_s"] = round(len(rows) / (time.process_time() - began))
    stratum = lambda row: len(row["answer"].split()) // 20
    steps = {"exact duplicates": c.repeated, "near duplicates": c.near_duplicates, "parses": c.unparsable,
             "length": c.misfit, "language": c.another_language,
             f"{len(problems):,} exam problems": partial(c.contaminated, index=index),
             "stratified pick": partial(c.left_out, k=len(rows) // 4, stratum=stratum, rng=rng(0, "pick"))}
    kept, report = c.funnel(rows, steps)
    chance = [c.traits([rows[i] for i in sorted(rng(0, "random", k).permutation(len(rows))[:len(kept)])],
                       index) for k in range(3)]
    sets = {"all": c.traits(rows, index), "picked": c.traits(kept, index),
            **{f"random {k + 1}": t for k, t in enumerate(chance)}}
    if figures:
        style()
        figures.mkdir(parents=True, exist_ok=True)
        c.funnel_figure(report).savefig(figures/"funnel.png", dpi=150)
    return ([tuple(report[0])[:4], *(tuple(line.values())[:4] for line in report)],
            [("removed by", *tuple(report[0])[4:]), *(
                (line["step"], *tuple(line.values())[4:]) for line in report
                if line["removed"])] if examples else [],
            [("set", *sets["all"]), *((name, *(f"{v:.4g}" for v in t.values())) for name, t in sets.items())])


# ------------------------------------------------------------------ the whole

def table(lines):
    import pandas as pd
    if lines:
        print(pd.DataFrame(lines[1:], columns=lines[0]).to_string(index=False, max_colwidth=70), end="\n\n")

def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="1,000 texts in one round")
    parser.add_argument("--data", type=Path,
                        default=Path(os.environ.get("CODEDPO_DATA")
                                     or Path(__file__).resolve().parents[2]/"shared/data"))
    parser.add_argument("--peers", type=Path, help="virtual environment of the peers")
    parser.add_argument("--figures", type=Path, help="folder for the funnel's picture")
    parser.add_argument("--no-examples", action="store_true", help="counts only: Code Alpaca's licence does "
                        "not allow to pass its texts on")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    return parser.parse_args()

def main():
    args = arguments()
    if args.peer: return peer(args.peer)
    from codedpo_nb import benchmarks
    out = dict.fromkeys(KEYS)
    python, problem = (
        install(args.peers
                or benchmarks.cache_folder()/f"curation-{sys.version_info[0]}.{sys.version_info[1]}"))
    if problem: print(problem)
    table(duplicates(texts(1000 if args.quick else 5000), python, out, 1 if args.quick else 3))
    table(languages(args.data, out))
    for lines in code_alpaca(args.data, out, args.figures, not args.no_examples): table(lines)
    print(json.dumps(out))

if __name__ == "__main__": main()
