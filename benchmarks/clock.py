"""Can the clock tell 10 % on a busy machine?

    python benchmarks/clock.py [--quick] [--repeats N]

Two programs of which one does a tenth more of the same work are compared again and again while other processes keep every core busy: one with
arithmetic, one with memory. Three such couples spend their time on integers, on text and in dictionaries. Then each program is compared with itself.
`ratio_sd` is the largest standard deviation of the measured ratio among the couples, `false_improvements` the share of programs found faster than
themselves. The same turns also give what a simpler estimator, the ratio of the least times, would have said. `--quick` takes one couple, within a minute.

The last line is one JSON object."""
import argparse, json, os, subprocess, sys, time

import numpy as np

LOADS = dict(arithmetic="while True: sum(i * i % 7 for i in range(100_000))",
             memory="a = list(range(400_000))\nwhile True: a.sort(reverse=True); a.sort(); b = [x + 1 for x in a]")

def repeated(n, first, body, last):
    "A program that does `body` for all elements `n` times."
    lines = [f"    for _ in range({n}):", "        for x in xs:", *(f"            {line}" for line in body.split("\n"))]
    return "\n".join(["def f(xs):", f"    {first}", *lines, f"    return {last}"])

COUPLES = dict(integers=("s = 0", "s += x", "s"), text=("s = ''", "if x % 3: s = str(x)", "s"), dictionaries=("seen = {}", "seen[x] = seen.get(x, 0) + 1", "seen"))
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

def measure(before, after, repeats, pool):
    "Results of repeated comparisons, and the ratios of the least times."
    from codedpo_nb.efficiency import compare_speed
    found = [compare_speed(before, after, CALLS, pool=pool) for _ in range(repeats)]
    return [r["ratio"] for r in found], [r["ratio_of_least"] for r in found], [r["band"] for r in found], [r["verdict"] for r in found]

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one couple, within a minute")
    parser.add_argument("--repeats", type=int, default=50, help="comparisons of each couple (50)")
    args = parser.parse_args()
    from codedpo_nb import sandbox
    names, out, same = list(COUPLES)[:1] if args.quick else list(COUPLES), {}, []
    begun = time.perf_counter()
    with sandbox.Pool(1) as pool, Busy():
        for name in names:
            ratios, least, bands, verdicts = measure(*couple(name), args.repeats, pool)
            out[name] = dict(mean=np.mean(ratios), sd=np.std(ratios, ddof=1), sd_of_least=np.std(least, ddof=1), band=np.median(bands))
            print(f"{name}: true ratio 1.10, {args.repeats} times: mean {out[name]['mean']:.4f}, sd {out[name]['sd']:.4f}, from {min(ratios):.3f} to {max(ratios):.3f}; "
                  f"ratio of least times: sd {out[name]['sd_of_least']:.4f}, from {min(least):.3f} to {max(least):.3f}", flush=True)
        seconds = (time.perf_counter() - begun) / args.repeats / len(names)
        for name in names:
            for program in couple(name)[:1 if args.quick else 2]: same += list(zip(*measure(program, program, args.repeats, pool)))
    print(f"the same program twice, {len(same)} times: ratios from {min(r for r, *_ in same):.3f} to {max(r for r, *_ in same):.3f}")
    share = lambda values: float(np.mean(list(values)))
    print(json.dumps(dict(ratio_sd=round(max(o["sd"] for o in out.values()), 5), false_improvements=share(v == "faster" for *_, v in same),
                          ratio_mean={n: round(o["mean"], 4) for n, o in out.items()}, ratio_sd_of_least=round(max(o["sd_of_least"] for o in out.values()), 5),
                          outside_band=share(abs(np.log(r)) > np.log(b) for r, _, b, _ in same), band=round(float(np.median([b for *_, b, _ in same])), 5),
                          same_sd=round(float(np.std([r for r, *_ in same], ddof=1)), 5), least_found_faster=share(l >= 1.1 for _, l, *_ in same),
                          repeats=args.repeats, same=len(same), seconds_per_comparison=round(seconds, 3))))

if __name__ == "__main__": main()
