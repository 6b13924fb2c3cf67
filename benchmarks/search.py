"""Which settings should the arms of stage 07 have? Searched on problems of the split `valid`, which no table
reports.

    python benchmarks/search.py --profile laptop [--steps 80] [--save benchmarks/results/settings.txt]

Needs the artefacts of a finished profile up to 03_efficiency. One setting after another is moved while the
others stay: the learning rate of SFT; after the best SFT that of SFT again; then of DPO with the SFT term its
learning rate, beta and weight. Where the best value is the first or the last one tried, the row goes on in
that direction, by the same factor, until it is not, or until `--most` values were tried; then it says so.
The measure is the mean of two rates over the same problems, greedy answers and samples at temperature 1,
over `--seeds` trainings. All trainings take as many steps as the arms, keep their last weights and hold out
the prompts that stage 07 holds out. What was tried is kept, so that an interrupted search goes on.

The last line is one JSON object: the settings to write into the profile."""
import argparse
import json
import sys
from pathlib import Path

import pandas as pd
import torch

from codedpo_nb.ablation import arm_rows
from codedpo_nb.arms import Arm, Trials, examined, made_by
from codedpo_nb.eval import scale_problems
from codedpo_nb.running.records import Run, rng
from codedpo_nb.statistics import mean_over_runs
from codedpo_nb.training.shared import split_by_task

FIRST = Arm("SFT", "sft", "best")
AGAIN = Arm("SFT, then SFT", "sft", "both", "SFT")
AFTER = Arm("SFT, then DPO with SFT", "dpo+sft", "both", "SFT")
# Arm, setting, values to begin with, name in the profile: in the order of the search.
ROUNDS = [(FIRST, "lr", (1.25e-4, 2.5e-4, 5e-4, 1e-3, 2e-3), "sft_lr"),
          (AGAIN, "lr", (1e-5, 3e-5, 1e-4, 3e-4), "again_lr"),
          (AFTER, "lr", (1e-5, 3e-5, 1e-4, 3e-4), "dpo_lr"),
          (AFTER, "beta", (.03, .1, .3), "beta"), (AFTER, "sft_weight", (1., 5., 25.), "sft_weight")]


def further(values: list, best: float) -> float | None:
    "The value to try next where the best one is at the edge; None where it is not. `values` are sorted."
    if len(values) < 2 or best not in (values[0], values[-1]): return None
    factor = values[1] / values[0]
    return float(f"{best / factor if best == values[0] else best * factor:.3g}")


class Search:
    "Trainings and their rates on `valid`, kept in a file; of the weights only those of SFT to start from."
    def __init__(self, profile, seeds, steps, batch, problems, samples, share=.25, margin=.1):
        run = Run(profile, "search", {})
        verified, measured = run.read("verified.jsonl"), run.read("efficiency.jsonl")
        fast = run.read("efficiency_pairs.jsonl")
        _, self.held = split_by_task(run.read("correctness_pairs.jsonl") + fast, share, 0)
        away = {p["task_id"] for p in self.held}
        parts = [[row for row in rows if row["task_id"] not in away] for rows in (verified, measured, fast)]
        self.rows = {rule: arm_rows(rule, *parts, margin) for rule in ("best", "both")}
        self.models, self.home, self.seeds = dict(base=run.checked("base")), run.path("work/search"), seeds
        self.sizes, asked = (steps, batch), scale_problems("valid", problems)
        self.exam = lambda folder: examined(folder, asked, samples=samples)
        self.depends = [problems, samples, made_by()]

    def rates(self, arm, first, settings):
        "One list a seed, one number a problem: mean of greedy and sampled rate."
        of = {FIRST.name: first if arm.start else settings, arm.name: settings}
        trials = Trials(self.home, {a.name: a for a in (FIRST, arm)}, self.rows, self.held, self.models,
                        lambda a: of[a.name], *self.sizes, self.exam, self.depends)
        found = [trials.result(arm, seed) for seed in self.seeds]
        if arm.start:
            for seed in self.seeds: trials.forget(arm, seed)
        return [[(row["greedy"][t] + row["sampled"][t]) / 2 for t in row["greedy"]] for row in found]

    def tried(self, arm, first, settings, name):
        "A row of the table."
        rates = self.rates(arm, first, settings)
        mean, low, high = (100 * x for x in mean_over_runs(rates, rng(0, "search")))
        row = dict(arm=arm.name, **settings, setting=name, rate=mean, low=low, high=high)
        print(row, file=sys.stderr, flush=True)
        return row

    def best(self, arm, first, fixed, name, values, most):
        "`(best value, rows, is it at the edge?)` of one setting."
        rows = {v: self.tried(arm, first, {**fixed, name: v}, name) for v in values}
        while True:
            top = max(sorted(rows), key=lambda v: rows[v]["rate"])
            more = further(sorted(rows), top)
            if more is None or len(rows) >= most: return top, list(rows.values()), more is not None
            rows[more] = self.tried(arm, first, {**fixed, name: more}, name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="laptop", help="one that is finished up to 03_efficiency")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--problems", type=int, default=200, help="of the split `valid`")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--most", type=int, default=8, help="values of one setting")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", help="file for the tables")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    search = Search(args.profile, args.seeds, args.steps, args.batch, args.problems, args.samples)
    chosen, tables, edges = dict(beta=.1, sft_weight=5.), [], []
    for arm, name, values, parameter in ROUNDS:
        first = dict(lr=chosen["sft_lr"]) if arm.start else {}
        fixed = dict(beta=chosen["beta"], sft_weight=chosen["sft_weight"]) if arm is AFTER else {}
        if arm is AFTER and name != "lr": fixed["lr"] = chosen["dpo_lr"]
        chosen[parameter], rows, edge = search.best(arm, first, fixed, name, values, args.most)
        tables += rows
        edges += [parameter] * edge
    texts = [f"{args.problems} problems of the split `valid`, {args.steps} steps of {args.batch}, seeds "
             f"{args.seeds}; mean of greedy and sampled rate, percent, 95 % intervals over both",
             pd.DataFrame(tables).to_string(index=False), json.dumps(chosen | dict(edge=edges))]
    print("\n\n".join(texts))
    if args.save: Path(args.save).write_text("\n\n".join(texts) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
