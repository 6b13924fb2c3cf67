"""Today's judge on the reported cases and the attacks that were collected against an older one.

    python benchmarks/cases.py [--cases DIR] [--pairs DIR] [--only NAME ...]

`--cases` is a folder with `reported.py` and `attacks/`, `../shared/cases` beside the checkout by default.
They call the project by names that it had at 90e641b; each is copied, and its names are changed to today's,
nothing else: neither an input nor a right value. `--pairs` holds artefacts of a run, which the cases about
training data need: `outputs/smoke/artefacts`, as `make smoke` leaves them, by default. `--only` takes
beginnings of names, such as `r03 reported`.

Every case's output is printed, for `attacks/README.md` says in words what is right. What can be said as a
pattern is checked here besides. The last line is one JSON object: `python`, `reported` (right of all),
`attacks` (those with a pattern that hold, of those tried), `broken`. Exit code 1 if anything is."""
import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent

# ------------------------------------------------------------------ names of 90e641b, and of today

NAMES = [
    ("from codedpo_nb.sampling import", "from codedpo_nb.world.sampling import"),
    ("from codedpo_nb.model import load as l, save",
     "from codedpo_nb.world.model import load_model as l, save_model as save"),
    ("sample(m,t,", "sample(__import__('codedpo_nb.world.engines').world.engines.Transformers(m,t),"),
    ("from codedpo_nb import records as R, runner", "from codedpo_nb.running import records as R"),
    ("from codedpo_nb.runner import Plan", "from codedpo_nb.running.plan import Plan"),
    ("from codedpo_nb.runner import Stage, why_run, costs",
     "from codedpo_nb.running.plan import Stage, why_run\n"
     "from codedpo_nb.running.runner import stage_costs as costs"),
    ("suites, curation as C, eval as V, benchmarks as B, sampling, seed",
     "suites, syntax\nfrom codedpo_nb.problems import extraction as B"),
    ("S.canonical_source", "__import__('codedpo_nb.pairs').pairs.canonical_source"),
    ("L.load(", "L.load_humanevalpack("), ("L.assemble(", "L.answer_and_tests("),
    ("L.reference(", "L.reference_program("),
    ("D.parses", "syntax.parses"), ("seed.parses", "syntax.parses"), ("C.parses", "syntax.parses"),
]

def of_today(text):
    for old, new in NAMES: text = text.replace(old, new)
    return text

# ------------------------------------------------------------------ what is checked by a pattern

BOMB = ["12", "6", "2"]   # depth, ways, GiB that the caller gives itself
CALLS = dict(r01_compile_bomb=[[*BOMB, "program"], [*BOMB, "test"]], r06_parent_memory=[["2"], ["14"]])
# what must not be said, and what must, by the first three characters of the name
NEVER = dict(
    r01="VmHWM: *[0-9]{6,}|False,|'memory': [0-9]{2}",
    r02="(600|1000|1200|1300): 'pass'",
    r03="'pass'",
    r04=r"forged: \[\['pass|others: pass|SECRET SOL|copied: \[\['pass'\], \['pass",
    r05="RAISED",
    r06="Traceback|: pass",
    r08="SandboxError:",
    r11="(Exit|TestMain|-test.run|loop|getenv).* pass |compile-error",
    r15="closes.*1[)]: ([6-9]|[0-9]{2})[.]",
    r16="(Attribute|Type|Key|Unicode|JSONDecode|Recursion|Index|Assertion)Error",
    r17=r"\b100[.]0",
    r18="Error",
    r20="crash:server|replaced: True",
    r21="rc 0 ''|link still a link: False|file: True")
ALWAYS = dict(r01="'pass': 30|afterwards", r03="Counter", r08="'exit'", r11="right.* pass ", r17=r"\b0[.]0",
              r20="'pass'", r21="three years of work")

def broken(name, said, code):
    "Why a case is not as it should be, or ''."
    key = name[:3]
    if name != "reported" and "Traceback (most recent call last)" in said: return "it ended with an error"
    if name == "reported": return "" if code == 0 else "some are wrong"
    if key in NEVER and (found := re.search(NEVER[key], said)): return f"it says {found[0]!r}"
    if key in ALWAYS and not re.search(ALWAYS[key], said): return f"it does not say {ALWAYS[key]!r}"
    return ""

# ------------------------------------------------------------------ running them

def run(path, args, env, folder):
    "What a case says, and its exit code."
    done = subprocess.run([sys.executable, path, *args], cwd=folder, env=env, text=True, timeout=900,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout, done.returncode

def copies(cases, folder):
    "Copies with today's names, `{name: path}`."
    out = {}
    for path in [cases/"reported.py", *sorted((cases/"attacks").glob("*.py"))]:
        to = folder/path.name
        to.write_text(of_today(path.read_text(encoding="utf-8")), encoding="utf-8")
        if path.stem.startswith("r"): out[path.stem] = to
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=Path, default=HOME.parent/"shared"/"cases")
    parser.add_argument("--pairs", type=Path, default=HOME/"outputs"/"smoke"/"artefacts")
    parser.add_argument("--data", type=Path,
                        default=os.environ.get("CODEDPO_DATA", HOME.parent/"shared"/"data"))
    parser.add_argument("--only", nargs="*", default=[])
    args = parser.parse_args()
    if not args.cases.is_dir(): sys.exit(f"{args.cases} is no folder; name that of the cases with --cases")
    print(f"Python {platform.python_version()}\n")
    right, held, wrong = None, [], {}
    with tempfile.TemporaryDirectory() as home:
        home = Path(home)
        (home/"work").mkdir()
        (home/"shared").mkdir()
        # some name it as it lies beside a checkout
        (home/"shared"/"data").symlink_to(Path(args.data).resolve())
        # one prints a whole number of more than 4,300 digits itself
        env = dict(os.environ, PYTHONINTMAXSTRDIGITS="0", PYTHONPATH=str(HOME), CODEDPO_ROOT=str(HOME),
                   PAIRS=str(args.pairs.resolve()), CODEDPO_DATA=str(Path(args.data).resolve()))
        for name, path in copies(args.cases, home).items():
            if args.only and not name.startswith(tuple(args.only)): continue
            for given in CALLS.get(name, [[]]):
                start = time.perf_counter()
                said, code = run(path, given, env, home/"work")
                head = f"=== {' '.join([name, *given])} ({time.perf_counter() - start:.1f} s)"
                print(f"{head}\n{said.rstrip()}\n", flush=True)
                why = broken(name, said, code)
                if name == "reported":
                    words = re.findall("(?m)^(right|WRONG) ", said)
                    right = [words.count("right"), len(words)]
                elif name[:3] in NEVER: held.append(not why)
                if why: wrong[" ".join([name, *given])] = why
    for name, why in wrong.items(): print(f"{name}: {why}")
    print(json.dumps(dict(python=platform.python_version(), reported=right, attacks=[sum(held), len(held)],
                          broken=sorted(wrong))))
    sys.exit(bool(wrong))


if __name__ == "__main__": main()
