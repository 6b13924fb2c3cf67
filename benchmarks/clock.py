"""Can the clock tell 10 % on a busy machine?

    python benchmarks/clock.py [--quick] [--repeats N]

Two programs of which one does a tenth more of the same work are compared again and again while other
processes keep every core busy: one with
arithmetic, one with memory. Three such couples spend their time on integers, on text and in dictionaries.
Then each program is compared with itself.
`ratio_sd` is the largest standard deviation of the measured ratio among the couples, `false_improvements` the
share of programs found faster than
themselves. The same turns are also read by the estimator that is usual elsewhere, the ratio of the least
times, over as many rounds and over seven, and
by the median over seven: `estimators` has the spread and the false improvements of each. `--quick` takes one
couple, within a minute.

The last line is one JSON object."""
import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd

LOADS = dict(arithmetic="while True: sum(i * i % 7 for i in range(100_000))",
             memory="a = list(range(400_000))\nwhile True: a.sort(reverse=True); a.sort(); b = [x + 1 for x "
             "in a]")

def repeated(n, first, body, last):
    "A program that does `body` for all elements `n` times."
    lines = [f"    for _ in range({n}):", "        for x in xs:",
             *(f"            {line}" for line in body.split("\n"))]
    return "\n".join(["def f(xs):", f"    {first}", *lines, f"    return {last}"])

COUPLES = dict(integers=("s = 0", "s += x", "s"), text=("s = ''", "if x % 3: s = str(x)", "s"),
               dictionaries=("seen = {}", "seen[x] = seen.get(x, 0) + 1", "seen"))
CALLS = ["f(list(range(100)))"]

def couple(name): return [repeated(n, *COUPLES[name]) for n in (11, 10)]   # true ratio 1.10

class Busy:
    "As many processes as cores that do nothing useful."
    def __enter__(self):
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        kinds = list(LOADS.values())
        self.started = [subprocess.Popen([sys.executable, "-c", kinds[i % len(kinds)]]) for i in range(cores)]
        time.sleep(1)
    def __exit__(self, *_):
        for process in self.started: process.kill(); process.wait()

ROUNDS, FEW = 81, 7

def least(a, b, c, d):
    """Ratio of the least times of one copy, and by how much the least times of two copies of the same program
    differ."""
    return a.min() / b.min(), max(max(x, 1 / x) for x in (a.min() / c.min(), b.min() / d.min()))

def median(a, b, c, d):
    """Median of the ratios within a round, and the band that two copies of the same program stay in: what
    `compare_speed` does."""
    from codedpo_nb.efficiency import noise_band, paired_ratio
    return paired_ratio([a, c], [b, d]), noise_band(np.stack([a, b], 1), np.stack([c, d], 1))

ESTIMATORS = {f"median of paired ratios, {ROUNDS} rounds": (median, ROUNDS),
              f"least time, {ROUNDS} rounds": (least, ROUNDS),
              f"median of paired ratios, {FEW} rounds": (median, FEW),
              f"least time, {FEW} rounds": (least, FEW)}

def measure(before, after, repeats, pool):
    "For each estimator (ratio, band) of repeated comparisons; all estimators read the same turns."
    from codedpo_nb import sandbox
    found = {name: [] for name in ESTIMATORS}
    for _ in range(repeats):
        turns = np.sum(sandbox.clock([before, after] * 2, CALLS, ROUNDS, every=True, pool=pool), axis=1)
        for name, (estimate, rounds) in ESTIMATORS.items(): found[name].append(estimate(*turns[:, :rounds]))
    return {name: np.array(pairs) for name, pairs in found.items()}

def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one couple, within a minute")
    parser.add_argument("--repeats", type=int, default=50, help="comparisons of each couple (50)")
    return parser.parse_args()

def main():
    args = arguments()
    from codedpo_nb import sandbox
    from codedpo_nb.efficiency import verdict
    names, found, same = list(COUPLES)[:1] if args.quick else list(COUPLES), {}, []
    begun = time.perf_counter()
    with sandbox.Pool(1) as pool, Busy():
        for name in names:
            found[name] = measure(*couple(name), args.repeats, pool)
            print(f"{name}: true ratio 1.10, {args.repeats} times: "
                  + "; ".join(f"{e}: mean {x[:, 0].mean():.4f}, sd {x[:, 0].std(ddof=1):.4f}" for e,
                              x in found[name].items()), flush=True)
        for name in names:
            for program in couple(name)[:1 if args.quick else 2]:
                same.append(measure(program, program, args.repeats, pool))
    count = args.repeats * (len(found) + len(same))
    table = [dict(estimator=e, ratio_sd=max(x[e][:, 0].std(ddof=1) for x in found.values()),
                  ratio_mean=[round(x[e][:, 0].mean(), 4) for x in found.values()],
                  same_sd=np.concatenate([x[e][:, 0] for x in same]).std(ddof=1),
                  band=np.median(np.concatenate([x[e][:, 1] for x in same])),
                  false_improvements=np.mean([verdict(*pair) == "faster" for x in same for pair in x[e]]),
                     found_faster=np.mean(
                     [verdict(*pair, least=1.05) == "faster" for x in found.values()
                      for pair in x[e]])) for e in ESTIMATORS]
    print(f"\n{count} comparisons, {len(same) * args.repeats} of a program with itself; found_faster: share "
          "of true 1.10 seen as at least 1.05 and outside the band\n")
    print(pd.DataFrame(table).to_string(index=False, float_format="{:.4f}".format), end="\n\n")
    rounded = [{k: round(float(v), 5) if isinstance(v, float) else v for k, v in row.items()}
               for row in table]
    print(
        json.dumps(dict(ratio_sd=rounded[0]["ratio_sd"], false_improvements=rounded[0]["false_improvements"],
                        estimators=rounded, repeats=args.repeats,
                          same=len(same) * args.repeats,
                          seconds_per_comparison=round((time.perf_counter() - begun) / count, 3))))

if __name__ == "__main__": main()
