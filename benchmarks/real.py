"""What stands in outputs/real: stages, models, tables with their captions, trainings, hours and memory.

    python benchmarks/real.py [--folder outputs/real] [--tables]

Reads what `codedpo-run --profile real` left there and runs nothing. A stage that has not run yet is named as
such, and so is a recording that goes on: what models have said so far counts as said. `--tables` prints the
tables as well.

The last line is one JSON object: `stages` that are done, `replies` recorded, `trainings` done with their
fewest steps, `seeds` by model, `hours` and the most memory in MB of the stages that are done, and the
differences of greedy answers in points with their intervals. Exit code 1 if a stage is missing."""
import argparse
import csv
import gzip
import json
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAGES = [p.stem for p in sorted((ROOT/"nbs"/"real").glob("r[0-9]*.ipynb"))]


def rows_of(path):
    "Rows of a CSV file; none if it is not there."
    if not path.exists(): return []
    with open(path, newline="", encoding="utf-8") as file: return list(csv.DictReader(file))

def replies(folder):
    "How many requests each recording answers; the last line may be torn."
    found = {}
    for path in sorted(folder.rglob("*.jsonl.gz")):
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file: found[path.stem] = sum(1 for _ in file)
        except (OSError, EOFError) as error: sys.exit(f"{path} cannot be read ({error})")
    return found

def trainings(path):
    "Rows of trainings that were done; their weights are not kept."
    if not path.exists(): return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

def show_table(folder, entry):
    print(f"{entry['caption']}\n")
    for file in entry["files"]:
        if file.endswith(".md"): print((folder/file).read_text(encoding="utf-8"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT/"outputs"/"real")
    parser.add_argument("--tables", action="store_true")
    args = parser.parse_args()
    if not args.folder.is_dir():
        sys.exit(f"{args.folder} is no folder; run `codedpo-run --profile real` first")
    costs = {r["stage"]: r for r in rows_of(args.folder/"timings"/"stages.csv")}
    done = [s for s in STAGES if s in costs]
    for s in STAGES:
        print(f"{s:12} {float(costs[s]['seconds']) / 60:6.1f} min {float(costs[s]['peak_mb']):7.0f} MB"
              if s in costs else f"{s:12} has not run to its end yet")
    said, trained, seeds = replies(args.folder/"recordings"), trainings(
        args.folder/"recordings"/"trainings.jsonl"), defaultdict(set)
    for name, n in said.items(): print(f"recording {name}: {n} replies")
    for row in trained:
        seeds[row["model"]].add(row["seed"])
        print(f"training {row['model']}, {row['arm']}, seed {row['seed']}: {row['steps']} steps, "
              f"{row['seconds'] / 60:.1f} min")
    manifest = args.folder/"manifest.json"
    known = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {}
    tables = {k: e for k, e in known.items() if e["kind"] == "table"}
    print(f"{len(tables)} tables and {len(known) - len(tables)} figures\n")
    if args.tables:
        for entry in tables.values(): show_table(args.folder, entry)
    gaps = [{k: r[k] for k in ("model", "arm", "less", "points", "low", "high", "resolved", "problems")}
            for r in rows_of(args.folder/"tables"/"real_gaps.csv") if r["answers"] == "greedy"]
    print(json.dumps(dict(
        stages=done, replies=said, trainings=len(trained),
        fewest_steps=min((r["steps"] for r in trained), default=None),
        seeds={who: sorted(found) for who, found in seeds.items()},
        hours=round(sum(float(costs[s]["seconds"]) for s in done) / 3600, 2),
        peak_mb=max((float(costs[s]["peak_mb"]) for s in done), default=None), greedy=gaps)))
    sys.exit(len(done) < len(STAGES))


if __name__ == "__main__": main()
