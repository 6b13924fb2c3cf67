"""Judging answers: the same samples scored by EvalPlus and by this project, the ground truth of every
benchmark, and published samples of a model.

    python benchmarks/evaluation.py [--quick] [--data DIR] [--peers DIR] [--parts evalplus truth codegen
    languages]

`--data` (or CODEDPO_DATA) is the folder with the benchmark files. `--peers` is the virtual environment with
EvalPlus, made if it is absent; what it
needs only for asking models or for downloads is left out. Both programs start from nothing but the ground
truth, which each has computed before, and
read the same `samples.jsonl`: canonical solutions, buggy ones of HumanEvalPack, MBPP's own solutions (some
wrong on the plus tests), and CodeGen-16B's.
Costs are CPU seconds of all processes that take part. EvalPlus confines nothing, so it is given only samples
that ran to an end or a time-out in the
sandbox, import harmless modules, and open no file.

The last line is one JSON object: `cpu_vs_evalplus` is this project's CPU time divided by EvalPlus's;
`same_verdicts` is whether base and plus verdicts
are the same for every sample of a problem whose canonical solution EvalPlus accepts (0.3.1 accepts none for
HumanEval/32: its special comparison
forgets to count the inputs); `seconds_per_program` is by language. A figure that was not asked for is null;
so is one that could
not be had, and a sentence above it says why."""
import argparse
import ast
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import types
from collections import Counter
from pathlib import Path

from sandbox import harmless, install, table

# what importing EvalPlus takes
MORE = "termcolor appdirs tempdir fire rich tree-sitter tree-sitter-python stop-sequencer".split()
SETS = {"humaneval": ("humaneval+", "HUMANEVAL_OVERRIDE_PATH"), "mbpp": ("mbpp+", "MBPP_OVERRIDE_PATH")}
PARTS = "evalplus truth codegen languages".split()
KEYS = "cpu_vs_evalplus same_verdicts seconds_per_program".split()


# ------------------------------------------------------------------ samples

def buggy(folder):
    "Programs of HumanEvalPack's buggy solutions, `[(task_id, source)]`."
    from codedpo_nb.benchmarks import read_rows
    rows = [row for _, row in read_rows(folder/"humanevalpack/python.jsonl.gz")]
    return [(row["task_id"].replace("Python", "HumanEval"), row["prompt"] + row["buggy_solution"])
            for row in rows]

def codegen(folder):
    "Programs of CodeGen-16B, `[(task_id, source)]`, cut as HumanEval's are."
    from codedpo_nb.benchmarks import STOPS, cut, read_rows
    rows = [row for _, row in read_rows(folder/"codet/codegen16b_solutions.jsonl.gz")]
    return [(row["task_id"], row["prompt"] + cut(s, STOPS["humaneval"])) for row in rows
            for s in row["samples"]]

def safe(source):
    "Whether a program parses and is fit for a peer, or does not parse, and so never runs."
    try: ast.parse(source)
    except SyntaxError: return True
    return harmless(source)

def mixed(name, folder, each):
    """Samples of one benchmark: right, wrong, wrong on plus inputs only, endless, crashing;

    `each` of CodeGen's a problem."""
    import random

    from codedpo_nb import benchmarks as b
    problems = b.load(SETS[name][0], folder)
    out = [(p["task_id"], b.assemble(p | dict(after=""), p["canonical"])) for p in problems]
    if name == "mbpp":
        known = {p["task_id"] for p in problems}
        return out + [(p["task_id"], p["canonical"]) for p in b.load("mbpp", folder) if p["task_id"] in known
                      and safe(p["canonical"])]
    by_task = {}
    for task, source in codegen(folder): by_task.setdefault(task, []).append(source)
    picked = [(t, s) for t,
              group in by_task.items()
              for s in random.Random(t).sample(sorted(filter(safe, set(group))), k=each)]
    return out + [x for x in buggy(folder) if safe(x[1])] + picked


# ------------------------------------------------------------------ both sides, each a process of its own

def peer(name, samples):
    "In EvalPlus's interpreter: its evaluation, whose verdicts it writes beside the samples."
    # only its downloads need them
    for absent in ("datasets", "wget"): sys.modules.setdefault(absent, types.ModuleType(absent))
    sys.modules["datasets"].load_dataset = None
    e = importlib.import_module("evalplus.evaluate")
    if samples: return e.evaluate(name, samples=samples, parallel=1)
    get = dict(humaneval="get_human_eval_plus", mbpp="get_mbpp_plus")[name]
    e.get_groundtruth(getattr(e, get)(), getattr(e, get + "_hash")(),
                      e.MBPP_OUTPUT_NOT_NONE_TASKS if name == "mbpp" else [])

def ours(name, samples, folder, journal):
    """This project's evaluation in a process of its own, with the ground truth in a journal; without samples
    only that."""
    from codedpo_nb import benchmarks as b
    from codedpo_nb import suites
    problems = {p["task_id"]: p for p in b.load(SETS[name][0], folder)}
    with suites.Court(1) as court:
        truth = suites.ground_truth(list(problems.values()), court, journal)
        if not samples: return
        rows = [json.loads(line) for line in open(samples)]
        found = suites.judge_plus([problems[r["task_id"]] for r in rows], [r["solution"] for r in rows],
                                  court, "solution", truth)
    Path(samples).with_suffix(".ours.json").write_text(json.dumps(found))

def used(command, **env):
    "CPU seconds of a command and all that it started, and its last line if it failed."
    spent = lambda: sum(getattr(resource.getrusage(resource.RUSAGE_CHILDREN), t)
                        for t in ("ru_utime", "ru_stime"))
    before = spent()
    done = subprocess.run(list(map(str, command)), env=os.environ | env, capture_output=True, text=True)
    return spent() - before, done.stderr.strip().splitlines()[-1:] if done.returncode else None

def verdicts(samples):
    """Verdicts of both, `[(base, plus)]` in the order of the samples: what EvalPlus wrote, and what this
    project wrote."""
    rows = [json.loads(line)["task_id"] for line in open(samples)]
    found = json.loads(Path(str(samples).replace(".jsonl", "_eval_results.json")).read_text())["eval"]
    queues = {task: iter(group) for task, group in found.items()}
    theirs = [next(queues[task]) for task in rows]
    theirs = [(r["base_status"] == "pass", r["base_status"] == r["plus_status"] == "pass") for r in theirs]
    mine = [tuple(v == "pass" for v in pair)
            for pair in json.loads(samples.with_suffix(".ours.json").read_text())]
    return rows, theirs, mine

def side_by_side(name, python, folder, home, each):
    "Score one benchmark's samples with both; a row of the table, and the samples on which they differ."
    samples = home/f"{name}.jsonl"
    chosen = mixed(name, folder, each)
    samples.write_text("".join(json.dumps(dict(task_id=t, solution=s)) + "\n" for t, s in chosen))
    plain = plain_copy(name, folder, home)
    env = {SETS[name][1]: str(plain), "XDG_CACHE_HOME": str(home), "PYTHONHASHSEED": "0",
           "TOKENIZERS_PARALLELISM": "false"}
    cpu = {}
    for who, command in (("EvalPlus", [python, __file__, "--peer", name]),
                         ("ours",
                          [sys.executable, __file__, "--ours", name, "--data", folder, "--home", home])):
        for what in ("truth", "samples"):
            cpu[who, what], problem = used(command + (["--samples", samples] if what == "samples" else []),
                                           **env)
            if problem: return None, f"{who} failed on {name}: {problem}"
    tasks, theirs, mine = verdicts(samples)
    # the first sample of a task is its canonical solution
    own = dict(reversed(list(zip(tasks, theirs, strict=False))))
    rejected = [t for t, pair in own.items() if pair != (True, True)]
    differ = [(t, a, b, s) for t, a, b,
              (_, s) in zip(tasks, theirs, mine, chosen, strict=False) if a != b and t not in rejected]
    if rejected:
        print(f"EvalPlus rejects its own solution of {', '.join(rejected)}, and so any answer; left out of "
              "the comparison of verdicts.\n")
    kinds = Counter("right" if p else "wrong on plus only" if b else "wrong" for b, p in theirs)
    return dict(benchmark=SETS[name][0], samples=len(tasks),
                **{k: kinds[k] for k in ("right", "wrong on plus only", "wrong")}, differ=len(differ),
                **{"EvalPlus, CPU s": cpu["EvalPlus", "samples"], "ours, CPU s": cpu["ours", "samples"],
                   "ratio": cpu["ours", "samples"] / cpu["EvalPlus", "samples"],
                   "EvalPlus, truth": cpu["EvalPlus", "truth"], "ours, truth": cpu["ours", "truth"]}), differ

def plain_copy(name, folder, home):
    "EvalPlus reads plain JSON lines only."
    import gzip

    from codedpo_nb.benchmarks import find
    source = find(SETS[name][0], folder)
    target = home/f"{name}-problems.jsonl"
    target.write_bytes(gzip.decompress(source.read_bytes()) if source.suffix == ".gz"
                       else source.read_bytes())
    return target


def codegen_scores(folder, limit):
    "Rates of CodeGen-16B on HumanEval and HumanEval+, with bootstrap intervals over problems."
    import numpy as np

    from codedpo_nb import benchmarks as b
    from codedpo_nb import suites
    from codedpo_nb.running import records
    problems = {p["task_id"]: p for p in b.load("humaneval+", folder)}
    rows = codegen(folder)[:limit]
    with suites.Court(1) as court:
        found = suites.judge_plus([problems[t] for t, _ in rows], [s for _, s in rows], court, "solution")
    right, out = {}, []
    for (task, _), pair in zip(rows, found, strict=False):
        right.setdefault(task, []).append([v == "pass" for v in pair])
    counts = [(len(g), *np.sum(g, axis=0)) for g in right.values()]
    rng = records.rng(0, "CodeGen-16B")
    for j, tests in enumerate(("base", "base and plus"), 1):
        for k in (1, 10, 100):
            values = np.array([b.pass_at_k(int(c[0]), int(c[j]), k) for c in counts])
            means = rng.choice(values, (2000, len(values))).mean(1)
            low, high = np.quantile(means, (.025, .975))
            out.append({"tests": tests, "problems": len(values), "k": k, "pass@k": f"{values.mean():.3f}",
                        "95% interval": f"{low:.3f} to {high:.3f}"})
    words = Counter(v.split(":")[0] for pair in found for v in pair[:1])
    print(f"CodeGen-16B: {len(rows)} samples, {dict(words.most_common())}\n")
    return out


# ------------------------------------------------------------------ ground truth

def truths(folder, quick):
    "One row a benchmark: how many of its own solutions pass here, and the problems that cannot be trusted."
    from codedpo_nb import benchmarks as b
    from codedpo_nb import suites
    out = []
    for name in ("humaneval", "mbpp-sanitized", "humaneval+", "mbpp+"):
        problems = b.load(name, folder)
        if quick: problems = problems[::8]
        doubtful = suites.untrusted(problems, workers=1)
        out.append(dict(benchmark=name, problems=len(problems), trusted=len(problems) - len(doubtful),
                        doubtful=", ".join(f"{d['task_id']} ({d['plus']})" for d in doubtful) or "none"))
    for name in ("ds1000", "bigcodebench"):
        problems = b.load(name, folder)[::8 if quick else 1]
        rows = suites.untrusted(problems, workers=1)
        out.append(dict(benchmark=name, problems=len(problems), trusted=len(problems) - len(rows),
                           doubtful="; ".join(f"{r['here']}: {r['tasks']}"
                                              for r in suites.share(problems, rows)[1:]) or "none"))
    known = {p["task_id"]: p for p in b.load("humaneval", folder)}
    wrong = buggy(folder)
    found = suites.judge([known[t] for t, _ in wrong], [[s] for _, s in wrong], form="solution", workers=1)
    passed = [t for (t, _), [(base, _)] in zip(wrong, found, strict=False) if base == "pass"]
    out.append(dict(benchmark="humanevalpack python, buggy", problems=len(wrong),
                    trusted=len(wrong) - len(passed), doubtful=", ".join(passed) or "none"))
    return out


# ------------------------------------------------------------------ the whole

def languages(folder):
    "Seconds a program by language on HumanEvalPack, None without its toolchain."
    return importlib.import_module("languages").seconds_per_program(folder)

def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a part of the samples")
    parser.add_argument("--data", type=Path, default=os.environ.get("CODEDPO_DATA"))
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="all of them by default")
    for hidden in ("--peer", "--ours", "--samples", "--home"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    return parser.parse_args()

def peers(folder):
    "EvalPlus's interpreter, or None and a sentence."
    python, problem = install(folder)
    if problem or (folder/"ready-evaluation").exists(): return python, problem
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *MORE],
                          capture_output=True, text=True)
    if done.returncode:
        return (None, "What EvalPlus imports could not be installed, so it was not compared: "
                f"{done.stderr.strip().splitlines()[-1]}")
    (folder/"ready-evaluation").touch()
    return python, None

def against_evalplus(args, folder, out):
    from codedpo_nb import benchmarks as b
    python, problem = (
        peers(args.peers or b.cache_folder()/f"peers-{sys.version_info[0]}.{sys.version_info[1]}"))
    if problem: print(problem); return
    rows, differ = [], []
    with tempfile.TemporaryDirectory() as home:
        for name in ["humaneval"] if args.quick else SETS:
            row, found = side_by_side(name, python, folder, Path(home), 1 if args.quick else 6)
            if row is None: print(found); return
            rows.append(row); differ += found
    show(rows)
    for task, theirs, mine, source in differ: print(f"{task}: EvalPlus {theirs}, ours {mine}\n{source}\n")
    theirs, mine = (sum(r[k] for r in rows) for k in ("EvalPlus, CPU s", "ours, CPU s"))
    out["cpu_vs_evalplus"], out["same_verdicts"] = round(mine / theirs, 3), not differ

def show(rows):
    table([tuple(rows[0])]
          + [tuple(f"{v:.2f}" if isinstance(v, float) else v for v in row.values()) for row in rows])

def show_truths(rows):
    show([{k: v for k, v in r.items() if k != "doubtful"} for r in rows])
    for r in rows:
        if r["doubtful"] != "none": print(f"{r['benchmark']}:", *r["doubtful"].split("; "), sep="\n  ")
    print()

def main():
    args = arguments()
    folder = Path(args.data or Path(__file__).resolve().parents[2]/"shared/data")
    if args.peer: return peer(args.peer, args.samples)
    if args.ours: return ours(args.ours, args.samples, folder, Path(args.home)/f"{args.ours}-truth.jsonl")
    out = dict.fromkeys(KEYS)
    if not folder.is_dir():
        print(f"{folder} does not exist, so nothing was judged; name the folder with --data or CODEDPO_DATA.")
    else:
        if "evalplus" in args.parts: against_evalplus(args, folder, out)
        if "truth" in args.parts: show_truths(truths(folder, args.quick))
        if "codegen" in args.parts: show(codegen_scores(folder, 200 if args.quick else None))
        if "languages" in args.parts: out["seconds_per_program"] = languages(folder)
    print(json.dumps(out))

if __name__ == "__main__": main()
