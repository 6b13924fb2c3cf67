"""Seconds and memory of every stage of the chain, and what a second call costs when nothing has changed.

    python benchmarks/chain.py [--profile smoke] [--quick] [--kill]

Runs the profile in a folder of its own, from nothing, and then once more. `--quick` takes the first two
stages in a small world, to be done
within a minute: a model of that size writes nothing that the later ones could use. `--kill` runs the profile
a second time from nothing,
sends `kill -9` to the runner in the middle of every stage, gives the same command again each time, and
compares every table and artefact
with the first run. The last line is one JSON object: seconds (of the first run), stage_seconds,
again_vs_first, peak_mb; with `--kill` how
many stages were killed, seconds_killed (all its calls together), how many files were compared and which
differ."""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml

from codedpo_nb.running.plan import find_stages, load_profile
from codedpo_nb.running.records import digest, load_register, root

QUICK, QUICK_STAGES = (dict(threads=1, documents=200, hidden=64, layers=1, vocabulary=600, n_seeds=10,
                            n_tasks=4), ["00_base", "01_seed"])

def command(base, *options):
    "A call of the runner for the profile in the folder `base`, in a process group of its own."
    code = "import sys; from codedpo_nb.running.runner import main; sys.exit(main())"
    return subprocess.Popen([sys.executable, "-c", code, "--profile", str(base/f"{base.name}.yaml"),
                             *options], env=os.environ | dict(CODEDPO_ROOT=str(base)),
                            cwd=base, stderr=subprocess.PIPE, text=True, start_new_session=True)

def finish(process):
    "Show what `process` says until it ends; an error ends this script too."
    try:
        for line in process.stderr: print(line, end="", file=sys.stderr)
    # it is in a group of its own, which an interrupt at the keyboard does not reach
    except BaseException: process.terminate(); raise
    if process.wait():
        sys.exit(f"benchmarks/chain.py: codedpo-run ended with exit code {process.returncode}, so there is "
                 "nothing to report")

def world(folder, name, values):
    "A folder with this repository's notebooks and a profile called `name`."
    base = Path(folder)/name
    base.mkdir()
    for entry in ("nbs", "codedpo_nb", "profiles", "settings.ini", "pyproject.toml"):
        os.symlink(root()/entry, base/entry)
    (base/f"{name}.yaml").write_text(yaml.safe_dump(values | dict(profile=name)))
    return base

def timed(base, stages):
    "Seconds of a call for all stages, or of one for each of `stages`."
    begun = time.perf_counter()
    for stage in stages or [""]: finish(command(base, *(["--only", stage] if stage else [])))
    return time.perf_counter() - begun

def members(group): # processes of a session that still run
    rows = subprocess.run(["ps", "-eo", "pid=,sess=,stat="], capture_output=True,
                          text=True).stdout.split("\n")
    return [pid for pid, sess,
            stat in (row.split() for row in rows if row.strip()) if int(sess) == group
            and not stat.startswith("Z")]

def killed_at(base, stage, after, patience=30.):
    """Start the runner, end it with `kill -9` when `stage` has run for `after` seconds;

    False if it was done before."""
    process = command(base)
    for line in process.stderr:
        print(line, end="", file=sys.stderr)
        if f"] {stage}: started" in line: break
    else: sys.exit(f"benchmarks/chain.py: {stage} was never started, so it could not be killed")
    try: process.wait(after)
    except subprocess.TimeoutExpired: pass
    # A pipe that nobody reads would hold the runner up, but a stage says less than a pipe takes.
    done = load_register(base/"outputs"/base.name/"artefacts/state.json")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + patience
    while members(process.pid) and time.monotonic() < until: time.sleep(.2)
    left = members(process.pid)
    print(f"kill -9 after {after:.1f} s of {stage}"
          + (f"; still there after {patience:.0f} s: {' '.join(left)}" if left else ""), file=sys.stderr)
    if left: sys.exit("benchmarks/chain.py: a killed run left processes behind")
    return stage not in done

def results(base):
    "Digest of every table and every artefact of a run, by name."
    out = base/"outputs"/base.name
    return {f"tables/{p.name}": digest(p) for p in sorted((out/"tables").iterdir())} | {
        name: entry["digest"] for name, entry in load_register(out/"artefacts/artefacts.json").items()}

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--kill", action="store_true")
    args = parser.parse_args()
    stages = QUICK_STAGES if args.quick else []
    values = ({name: value for name,
               (value, _) in load_profile(root()/"profiles"/f"{args.profile}.yaml").items()}
              | (QUICK if args.quick else {}))
    with tempfile.TemporaryDirectory() as folder:
        base = world(folder, "chain", values)
        spent = [timed(base, stages) for _ in range(2)]
        table = pd.read_csv(base/"outputs/chain/timings/stages.csv")
        print(table.to_string(index=False))
        found = dict(profile=args.profile, quick=args.quick, seconds=round(spent[0], 1),
                     again_vs_first=round(spent[1]/spent[0], 4),
                     peak_mb=float(table["peak_mb"].max()),
                     stage_seconds=dict(zip(table["stage"], table["seconds"].astype(float), strict=True)))
        if args.kill:
            again, begun = world(folder, "killed", values), time.perf_counter()
            todo = stages or [stage.name for stage in find_stages(root()/"nbs")]
            hit = [stage for stage in todo
                   if killed_at(again, stage, min(15., found["stage_seconds"][stage]/3))]
            finish(command(again))
            first, second = results(base), results(again)
            differ = sorted(name for name in first | second if first.get(name) != second.get(name))
            print(f"\nkilled in {', '.join(hit)}; {len(first)} tables and artefacts, of which differ: "
                  f"{', '.join(differ) or 'none'}")
            found |= dict(killed=len(hit), seconds_killed=round(time.perf_counter() - begun, 1),
                          compared=len(first), differ=differ)
    print(json.dumps(found))
    return bool(found.get("differ"))

if __name__ == "__main__": sys.exit(main())
