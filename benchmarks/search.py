"""Does preference optimisation beat SFT on the same pairs? A search with equal budgets for both, then new
seeds and other problems.

    python benchmarks/search.py --profile laptop [--seeds 1 2 3] [--save benchmarks/results/search.txt]

Both sides get the same pairs of a finished profile, and as many settings. SFT sees the chosen sides;
preference optimisation starts from the best SFT
setting and sees both sides. Settings are compared on problems of the split `valid` with seed 0; the winner of
each side is then trained again with every
one of `--seeds` and judged on problems of the split `test`. All seeds share the base model, the samples and
the pairs: what varies is the order of
training and the sampling of answers. Every training is kept, so that an interrupted search goes on where it
was. The last line is one JSON object."""
import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

from codedpo_nb.dpo import fit_dpo
from codedpo_nb.eval import (
    cost_of,
    costs,
    generate,
    judge_answers,
    per_problem,
    scale_problems,
    scale_tasks,
    speed_summary,
    speed_ups,
)
from codedpo_nb.running.records import Journal, Run, digest, rng, stream
from codedpo_nb.sft import fit_sft
from codedpo_nb.statistics import bootstrap, difference
from codedpo_nb.training.shared import split_by_task
from codedpo_nb.world import model as models

SFT = [dict(lr=lr, epochs=epochs, batch=16) for lr,
       epochs in ((3e-4, 5), (5e-4, 5), (1e-3, 5), (2e-3, 5), (1e-3, 10))]
DPO = [dict(objective="dpo+sft", beta=beta, sft_weight=weight, lr=lr, epochs=1, batch=8)
       for beta, weight,
       lr in ((.1, 5., 3e-5), (.1, 5., 1e-4), (.3, 5., 3e-4), (.1, 1., 1e-4), (.5, 20., 3e-4))]
SCREEN = dict(split="valid", problems=80, n=4)
FINAL = dict(split="test", problems=120, n=4)

def data(run, share=.25):
    "Training and validation pairs of a profile, and the same as rows for SFT: their chosen sides, each once."
    train, valid = (split_by_task(run.read("correctness_pairs.jsonl") + run.read("efficiency_pairs.jsonl"),
                                  share, 0))
    rows = lambda pairs: [dict(task_id=p["task_id"], prompt=p["prompt"], completion=p["chosen"]) for p in
                          {(p["task_id"], p["chosen"][0]["content"]): p for p in pairs}.values()]
    return dict(sft=(rows(train), rows(valid)), dpo=(train, valid))

class Search:
    "Trainings and verdicts by setting, in a journal; weights in a folder, made again when they are missing."
    def __init__(self, run):
        self.data, self.base = data(run), run.checked("base")
        key = dict(base=digest(self.base),
                   pairs=[digest(run.checked(f"{k}_pairs.jsonl")) for k in ("correctness", "efficiency")],
                   sizes=[SCREEN, FINAL])
        self.journal, self.folder = Journal(run.dir/"search"/"verdicts.jsonl", key), run.dir/"search"

    def model(self, chain, seed):
        "Folder of the model after a chain of `(side, setting)`, trained if need be."
        if not chain: return self.base
        folder = self.folder/f"{stream(seed, json.dumps(chain)):016x}"
        if folder.exists(): return folder
        (side, setting), start = chain[-1], self.model(chain[:-1], seed)
        train, valid = self.data[side]
        valid = valid[:8]   # the last weights are kept, so nothing depends on them
        fit = fit_sft if side == "sft" else fit_dpo
        fit(train, start, folder, seed=seed, valid=valid, keep="last", **setting)
        return folder

    def judged(self, chain, seed, where):
        "Rate and cost by problem, share of syntax errors."
        k = json.dumps([chain, seed, where["split"]])
        if k in self.journal: return self.journal.get(k)
        problems = scale_problems(where["split"], where["problems"])
        answers = generate("model", *models.load_model(self.model(chain, seed)), problems, n=where["n"],
                           seed=seed)
        rows = judge_answers(answers, problems, progress=False)
        found = (costs(rows, answers, scale_tasks(where["split"], where["problems"]), problems)
                 if where["split"] == "test" else [None] * len(rows))
        row = dict(rates=per_problem(rows),
                   syntax=float(np.mean([r["kind"] == "syntax error" for r in rows])),
                   cost=cost_of([r | dict(cost=c) for r, c in zip(rows, found, strict=False)]))
        self.journal.append(k, row)
        return row

    def screen(self, side, settings, start):
        "Verdict on each setting, and the best of them."
        rows = []
        for setting in settings:
            found = self.judged([*start, [side, setting]], 0, SCREEN)
            rate, low, high = bootstrap(found["rates"].values(), rng(0, side))
            rows.append(dict(side=side, **setting)
                        | {"pass@1": 100 * rate, "low": 100 * low, "high": 100 * high,
                           "syntax errors": 100 * found["syntax"]})
            print(rows[-1], file=sys.stderr, flush=True)
        return pd.DataFrame(rows), settings[int(np.argmax([r["pass@1"] for r in rows]))]

def compare(search, first, second, seeds):
    """One row a seed: both sides, their difference in points with its interval over problems, and how much
    cheaper the second side's programs are."""
    rows = []
    for seed in seeds:
        a, b = (search.judged(chain, seed, FINAL) for chain in (first, second))
        gap, low, high = difference(b["rates"], a["rates"], rng(seed, "difference"))
        speed = speed_summary(speed_ups(a["cost"], b["cost"]), rng(seed, "speed"))
        mean = lambda found: 100 * np.mean(list(found["rates"].values()))
        rows.append({"seed": seed, "SFT": mean(a), "SFT, then preferences": mean(b), "points": 100 * gap,
                     "low": 100 * low, "high": 100 * high,
                     "syntax errors, points": 100 * (b["syntax"] - a["syntax"]),
                     "times cheaper": speed["speed-up"], "cheaper low": speed["from"],
                     "cheaper high": speed["to"]})
        print(rows[-1], file=sys.stderr, flush=True)
    return pd.DataFrame(rows)

def summary(search, table, first, second, seeds):
    """Mean difference with two intervals: over seeds (Student), and over problems, each with its mean over
    the seeds."""
    points = table["points"].to_numpy()
    half = (stats.t.ppf(.975, len(points) - 1) * points.std(ddof=1) / len(points) ** .5 if len(points) > 1
            else None)
    mean = lambda chain: {t: float(np.mean([search.judged(chain, s, FINAL)["rates"][t] for s in seeds]))
                          for t in search.judged(chain, seeds[0], FINAL)["rates"]}
    _, low, high = difference(mean(second), mean(first), rng(0, "over problems"))
    return dict(dpo_minus_sft=points.mean(), seeds=len(points),
                over_seeds=[points.mean() - half, points.mean() + half] if half is not None else None,
                over_problems=[100 * low, 100 * high])

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="laptop", help="a finished profile")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", help="file for the tables")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    search = Search(Run(args.profile, "search", {}))
    sft, best_sft = search.screen("sft", SFT, [])
    dpo, best_dpo = search.screen("dpo", DPO, [["sft", best_sft]])
    first = [["sft", best_sft]]
    second = [*first, ["dpo", best_dpo]]
    final = compare(search, first, second, args.seeds)
    found = summary(search, final, first, second, args.seeds) | dict(sft=best_sft, dpo=best_dpo)
    texts = [f"SFT, {SCREEN['problems']} problems of the split `valid`, seed 0, percent",
             sft.round(5).to_string(index=False),
             "Preference optimisation after the best of these, the same problems",
             dpo.round(5).to_string(index=False),
             f"The best of each side, {FINAL['problems']} problems of the split `test`, new seeds",
             final.round(2).to_string(index=False), json.dumps(found)]
    print("\n\n".join(texts))
    if args.save: Path(args.save).write_text("\n\n".join(texts) + "\n")

if __name__ == "__main__": main()
