"""Several tasks in one model: what the weightings of `training/multitask` do on the scale model, beside one
model for each task.

    python benchmarks/multitask.py [--quick] [--seeds 2] [--base FOLDER] [--work FOLDER]

Four tasks, the largest with ten times the rows of the smallest: code from its description, assertions for a
description, a repaired program, the value of a call.
Every setting starts from the same base model, sees the same rows equally often in batches of the same size,
and keeps its last weights; "single" is one model
for each task, trained on that task's rows alone, as often. "case1" is the ordinary mean over tokens, hence
plain mixing. A seed draws the rows and their order.
Held-out rows and problems are the same for all, of compositions that occur in no training row. Their loss is
in nats per token, and a problem is passed when the
program passes its tests, the repaired program too, when the assertions hold (the share of three), and when
the value is right.

Intervals are 95 %, from drawing seeds and rows or problems with replacement; with two or three seeds the
seeds' part in them is a rough guess. Every finished
model is kept in a journal below --work, and a training that was cut short goes on from its checkpoint:
stopped, the script is simply started again.

The last line is one JSON object."""
import os

os.environ |= dict(TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1", TQDM_DISABLE="1")

import argparse
import ast
import functools
import json
import random
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from codedpo_nb import sft
from codedpo_nb.running.records import Journal, digest, rng, root, stream
from codedpo_nb.sandbox import Pool, run
from codedpo_nb.statistics import mean_over_runs, reading
from codedpo_nb.training import shared
from codedpo_nb.training.multitask import WEIGHTINGS
from codedpo_nb.world import model as models
from codedpo_nb.world.corpus import ASSERTIONS, mutate, reference_solution, solution, test_document
from codedpo_nb.world.engines import Transformers
from codedpo_nb.world.sampling import extract_code, extract_tests, sample
from codedpo_nb.world.tasks import apply, call_arguments, chain_of, random_args, reference_tests, task_space

SIZES = dict(code=240, test=120, repair=96, output=24)
HOW = dict(lr=5e-4, epochs=2, batch=8, keep="last")
HELD_OUT, PROBLEMS, TESTS = 32, 60, 8
REPAIR, OUTPUT = "Correct the mistake:\n", "Give the value:\n"


# ------------------------------------------------------------------ the tasks

@functools.cache
def pool(): return Pool(1)

def verdicts(programs, tests): return run(programs, tests, pool=pool()).verdicts

def faulty(code, tests, r):
    "A mutant of a program that fails at least one of the tests; None if eight attempts bring none."
    mutants = [m for m in {mutate(code, r): None for _ in range(8)} if m != code]
    failed = (m for m,
              found in zip(mutants, verdicts(mutants, tests), strict=True) if any(v != "pass" for v in found))
    return next(failed, None)

def example(kind, task, r):
    """A request with its right answer, and what judges another answer:

    `tests`, or the `value`. None if there is no such row."""
    code, tests = (solution(task["name"], task["args"], chain_of(task), r.choice),
                   reference_tests(task, TESTS, r))
    row = dict(task=kind, task_id=task["task_id"], tests=tests)
    if kind == "code": return row | dict(ask=task["prompt"], answer=reference_solution(task))
    if kind == "test":
        said = test_document(task, r, 0.)
        return row | dict(ask=said["prompt"], answer=said["answer"], program=code)
    if kind == "repair":
        wrong = faulty(code, tests, r)
        return wrong and row | dict(ask=f"{REPAIR}{task['prompt']}\n{wrong}", answer=code)
    args = random_args(task["takes"], r)
    return row | dict(ask=f"{OUTPUT}{code}\n{task['name']}({call_arguments(args)})",
                      answer=repr(apply(chain_of(task), *args)))

def examples(kind, split, n, seed):
    "`n` rows of one task from a split of the task space, each of another composition."
    r = random.Random(stream(seed, "multitask", kind, split))
    tasks = r.sample(task_space(0)[split], len(task_space(0)[split]))
    found = (row for task in tasks if (row := example(kind, task, r)))
    return [row for row, _ in zip(found, range(n), strict=False)]

def message(role, text): return [dict(role=role, content=text)]

def learnable(row):
    return dict(task=row["task"], task_id=row["task_id"], prompt=message("user", row["ask"]),
                completion=message("assistant", row["answer"]))

def judged(row, answer):
    "Is this answer right? A share for assertions."
    if row["task"] == "output":
        try: return float(ast.literal_eval(answer.strip()) == ast.literal_eval(row["answer"]))
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError): return 0.
    tests = extract_tests(answer, ASSERTIONS) if row["task"] == "test" else row["tests"]
    if not tests: return 0.
    found = verdicts([row["program"] if row["task"] == "test" else extract_code(answer)], [tests])[0]
    return (sum(v == "pass" for v in found) / ASSERTIONS if row["task"] == "test"
            else float(all(v == "pass" for v in found)))


# ------------------------------------------------------------------ training and judging

class Study:
    "Models by setting and seed, each trained and judged once."
    def __init__(self, base, folder, sizes, held_out, problems):
        self.base, self.folder, self.sizes = base, folder, sizes
        self.journal = Journal(folder/"multitask.jsonl",
                               dict(base=digest(base), sizes=sizes, how=HOW, held_out=held_out,
                                    problems=problems))
        self.held = {kind: [learnable(row) for row in examples(kind, "valid", held_out, 0)] for kind in sizes}
        self.problems = {kind: examples(kind, "test", problems, 0) for kind in sizes}

    def losses(self, model, tokenizer, kinds):
        "Loss of each held-out row, so that a task's mean is its nats per token."
        return {kind: self.shared(kind, shared.log_probabilities(model, tokenizer, self.held[kind]))
                for kind in kinds}

    def shared(self, kind, logps):
        tokenizer = shared.training_tokenizer(self.base)
        tokens = np.subtract(shared.lengths(self.held[kind], "completion", tokenizer),
                             shared.lengths(self.held[kind], "prompt", tokenizer))
        return [round(-x / tokens.mean(), 5) for x in logps]

    def verdict(self, folder, kinds):
        "Final losses, and rates by problem."
        model, tokenizer = models.load_model(folder)
        rates = {}
        for kind in kinds:
            answers = sample(Transformers(model, tokenizer), [row["ask"] for row in self.problems[kind]],
                             temperature=0, longest=200, purpose=f"multitask {kind}",
                             batch=len(self.problems[kind]))
            rates[kind] = [judged(row, text) for row,
                           [text] in zip(self.problems[kind], answers, strict=True)]
        return dict(losses=self.losses(model, shared.training_tokenizer(folder), kinds), rates=rates)

    def trained(self, name, seed, kinds, weighting):
        """A model trained on the rows of `kinds`: its verdict, its losses on the way, its weights, and CPU
        seconds of the training."""
        if (name, seed) in self.journal: return self.journal.get((name, seed))
        rows = [learnable(row) for kind in kinds
                for row in examples(kind, "train", self.sizes[kind], seed + 1)]
        held, place, began = ({kind: self.held[kind] for kind in kinds}, self.folder/f"{name}-{seed}",
                              time.process_time())
        log = sft.fit_sft(rows, self.base, place/"model", seed=seed,
                          valid=[row for some in held.values() for row in some], watch=held,
                          weighting=weighting, work=place/"work", **HOW)
        found = dict(cpu=time.process_time() - began, **self.verdict(place/"model", kinds))
        found["curve"] = {
            kind: [[row["step"], self.shared(kind, row["watched"][kind])] for row in log if "watched" in row]
                          for kind in kinds}
        found["weights"] = {kind: list(zip(*shared.curve(log, f"{kind}_weight"), strict=True))
                            for kind in kinds}
        self.journal.append((name, seed), found)
        shutil.rmtree(place)
        print(f"{name}, seed {seed}: {found['cpu']:.0f} s of CPU to train", file=sys.stderr, flush=True)
        return found

    def single(self, seed):
        "One model for each task, as if it were one setting."
        each = {kind: self.trained(f"only {kind}", seed, [kind], None) for kind in self.sizes}
        return {key: {kind: found[key][kind] for kind, found in each.items()}
                for key in ("losses", "rates", "curve")}

    def untrained(self):
        if "base" not in self.journal: self.journal.append("base", self.verdict(self.base, list(self.sizes)))
        return self.journal.get("base")


# ------------------------------------------------------------------ comparing

def drawn(values, r, draws=2000):
    """Means over seeds and rows of `values` (settings, seeds, tasks, points, rows), once as they are and then
    as drawn: `(1 + draws, settings, tasks, points)`."""
    _, seeds, tasks, _, rows = values.shape
    share = lambda n, *shape: np.concatenate([np.full((1, *shape, n), 1 / n),
                                              r.multinomial(n, np.full(n, 1 / n), (draws, *shape)) / n])
    return np.einsum("bs,bkr,askpr->bakp", share(seeds), share(rows, tasks), values, optimize=True)

def interval(x):
    "`x[0]` with the interval of the rest."
    return float(x[0]), *map(float, np.quantile(x[1:], [.025, .975]))

def written(mean, low, high, digits=3):
    return (f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}] "
            f"{reading(low, high, words=('higher', 'lower'))}")

def unevenness(curves):
    """Mean over the points of the gap between the largest and the smallest share of its first loss that a
    task still has: `(draws, settings)`."""
    left = (curves / curves[..., :1])[..., 1:]
    return (left.max(2) - left.min(2)).mean(-1)

def loss_table(settings, kinds, draws):
    "Final losses by task, and what differs from plain mixing."
    rows = []
    for i, name in enumerate(settings):
        row = {"setting": name, **{kind: f"{draws[0, i, k, 0]:.3f}" for k, kind in enumerate(kinds)}}
        rows.append(row
                    | {
            f"{kind} - case1": written(*interval(draws[:, i, k, 0] - draws[:, settings.index("case1"), k, 0]))
                       if name != "case1" else "" for k, kind in enumerate(kinds)})
    return pd.DataFrame(rows)

def rate_table(settings, found, kinds):
    "Pass rates in percent, the worst task, and differences from plain mixing in points, problem by problem."
    rows = []
    for name in settings:
        mean = {kind: 100 * np.mean([one["rates"][kind] for one in found[name]]) for kind in kinds}
        row = ({"setting": name} | {kind: f"{x:.1f}" for kind, x in mean.items()}
               | {"mean": f"{np.mean(list(mean.values())):.1f}", "worst": f"{min(mean.values()):.1f}"})
        for kind in kinds:
            gaps = [np.subtract(one["rates"][kind], plain["rates"][kind]) for one,
                    plain in zip(found[name], found["case1"], strict=True)]
            row[f"{kind} - case1"] = (written(*(100 * x for x in mean_over_runs(gaps, rng(0, "rates", kind))),
                                              1) if name != "case1" else "")
        rows.append(row)
    return pd.DataFrame(rows)

def weight_table(found, kinds):
    "Mean weight of each task, and its range over the steps after the warm-up, for the weightings that learn."
    rows = []
    for name in ("selfpaced", "coba"):
        if name in found:
            weights = {
                kind: np.concatenate(
                [[w for _, w in one["weights"][kind]][len(one["weights"][kind]) // 8:]
                 for one in found[name]]) for kind in kinds}
            rows.append({"setting": name}
                        | {kind: f"{w.mean():.2f}, {w.min():.2f} to {w.max():.2f}" for kind,
                           w in weights.items()})
    return pd.DataFrame(rows)

def curve_table(settings, curves, kinds, steps):
    "Held-out loss at each point, means over seeds."
    rows = [{"setting": name, "task": kind}
            | {str(s): f"{x:.3f}" for s, x in zip(steps, curves[i, k], strict=True)} for i,
            name in enumerate(settings) for k, kind in enumerate(kinds)]
    return pd.DataFrame(rows)

def compare(found, kinds):
    "Tables by title, and the figures of the last line."
    everyone, mixed = list(found), [name for name in found if name in WEIGHTINGS]
    final = np.array(
        [[[[one["losses"][kind]] for kind in kinds] for one in found[name]] for name in everyone])
    way = np.array(
        [[[[x for _, x in one["curve"][kind]] for kind in kinds] for one in found[name]] for name in mixed])
    ends, ways = drawn(final, rng(0, "losses")), drawn(way, rng(0, "curves"))
    gap, plain = unevenness(ways), mixed.index("case1")
    behind = (ends[..., 0] / ends[:, everyone.index("single"), None, :, 0]).max(2)
    cpu = {name: np.mean([one["cpu"] for one in found[name]]) for name in mixed}
    even = pd.DataFrame(
        [{"setting": name, "unevenness": f"{gap[0, i]:.3f}",
          "- case1": written(*interval(gap[:, i] - gap[:, plain])) if i != plain else "",
                             "worst task, loss over single": "{:.3f} [{:.3f}, {:.3f}]".format(
                             *interval(behind[:, everyone.index(name)])),
                                                              "CPU of a training over case1": f"{cpu[name] / cpu['case1']:.2f}"} for i, name in enumerate(mixed)])  # noqa: E501
    tables = {"Held-out loss, nats per token, at the end": loss_table(everyone, kinds, ends),
              "Problems passed, percent; differences in points": rate_table(everyone, found, kinds),
              "Is it even? Gap between the largest and the smallest loss, as shares of the first, mean over "
              "the training": even,
              "Weights: mean and range": weight_table(found, kinds),
              "Held-out loss by step": curve_table(mixed, ways[0], kinds,
                                                   [s for s, _ in found["case1"][0]["curve"][kinds[0]]])}
    rate = lambda name: {kind: round(float(np.mean([one["rates"][kind] for one in found[name]])), 4)
                         for kind in kinds}
    out = {
        name: dict(loss={kind: round(float(ends[0, everyone.index(name), k, 0]), 4) for k,
                         kind in enumerate(kinds)}, rate=rate(name)) for name in everyone}
    for i, name in enumerate(mixed):
        out[name] |= dict(unevenness=round(float(gap[0, i]), 4),
                          cpu_vs_case1=round(float(cpu[name] / cpu["case1"]), 3))
    return tables, out


# ------------------------------------------------------------------ the whole

def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true",
                        help="plain mixing and CoBa, a tenth of the rows, one seed")
    parser.add_argument("--seeds", type=int, default=2, help="how many")
    parser.add_argument("--weightings", nargs="+", choices=list(WEIGHTINGS), default=list(WEIGHTINGS),
                        help="which; case1, with which all are compared, is always among them")
    parser.add_argument("--base", type=Path, default=root()/"outputs/laptop/artefacts/base",
                        help="model to start from")
    parser.add_argument("--work", type=Path, default=root()/"outputs/multitask", help="folder of the journal")
    return parser.parse_args()

def main():
    args = arguments()
    if not (args.base/"config.json").exists():
        sys.exit(f"{args.base} holds no model: run `codedpo-run --profile laptop --only 00_base` first, or "
                 "name a folder with --base")
    torch.set_num_threads(1)
    sizes = {kind: max(8, n // 10) for kind, n in SIZES.items()} if args.quick else SIZES
    study = Study(args.base, args.work/("quick" if args.quick else "full"), sizes,
                  *((8, 4) if args.quick else (HELD_OUT, PROBLEMS)))
    kinds, seeds = list(sizes), range(1 if args.quick else args.seeds)
    names = ["case1", *(name for name in (["coba"] if args.quick else args.weightings) if name != "case1")]
    each = [{"base": study.untrained(), "single": study.single(s),
             **{name: study.trained(name, s, kinds, name) for name in names}} for s in seeds]
    found = {name: [one[name] for one in each] for name in each[0]}
    tables, out = compare(found, kinds)
    print(f"rows {sizes}, {HOW['epochs']} epochs of batches of {HOW['batch']}, {len(seeds)} seeds, "
          f"{len(study.held[kinds[0]])} held-out rows and {len(study.problems[kinds[0]])} problems a task\n")
    for title, table in tables.items(): print(title, table.to_string(index=False), sep="\n", end="\n\n")
    print(json.dumps(out))

if __name__ == "__main__": main()
