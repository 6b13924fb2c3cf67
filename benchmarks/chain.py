"""Seconds and memory of every stage of the chain, and what a second call costs when nothing has changed.

    python benchmarks/chain.py [--profile smoke] [--quick]

Runs the profile in a folder of its own, from nothing, and then once more. `--quick` runs a cut-down smoke profile within a minute.
The last line is one JSON object: seconds and peak_mb by stage, their sums, and the second call's share of the first."""
import argparse, json, os, tempfile, time
from pathlib import Path
import pandas as pd, yaml
from codedpo_nb.records import root
from codedpo_nb.runner import load_profile, run

QUICK = dict(documents=200, hidden=64, vocabulary=600, n_seeds=20, n_tasks=6, n_solutions=3, n_tests=3)

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        for name in ("nbs", "codedpo_nb", "profiles", "settings.ini", "pyproject.toml"): os.symlink(root()/name, base/name)
        values = load_profile(root()/"profiles"/f"{args.profile}.yaml") | (QUICK if args.quick else {}) | dict(profile="chain")
        (base/"chain.yaml").write_text(yaml.safe_dump(values))
        spent = []
        for _ in range(2):
            start = time.perf_counter()
            run(str(base/"chain.yaml"), base=base)
            spent.append(time.perf_counter() - start)
        table = pd.read_csv(base/"outputs/chain/timings/stages.csv")
    print(table.to_string(index=False))
    stages = table.set_index(table.columns[0])
    print(json.dumps(dict(profile=args.profile, quick=args.quick, seconds=round(spent[0], 1), again_vs_first=round(spent[1] / spent[0], 4),
                          peak_mb=float(stages["peak_mb"].max()), stage_seconds={k: round(float(v), 1) for k, v in stages["seconds"].items()})))

if __name__ == "__main__": main()
