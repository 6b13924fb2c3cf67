"""HumanEvalPack in every language that this machine has: do right solutions pass, do wrong ones fail, and
what does a program cost?

    python benchmarks/languages.py [--quick] [--data DIR] [--languages js,cpp] [--no-truth]

`--data` (or CODEDPO_DATA) is the folder with `humanevalpack/<language>.jsonl.gz`. The seconds are of the wall
clock, with two workers whose compilers
are warm, over the data set's own right solutions, each compiled with its tests; least of three rounds, the
rounds of the languages in turns. Wrong solutions get a tenth of the time
limit, since some of them never end; `--quick` takes every fourth task and one round.

The last line is one JSON object: `seconds_per_program`, `canonical` and `buggy_failing` by language; null
with the reason above it where there is no toolchain."""
import argparse
import json
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace

BARS = dict(java=0.6, cpp=0.4, go=0.6, rust=0.4, js=0.1)   # seconds a program


def programs(language, folder, every, which="canonical_solution"):
    from codedpo_nb import languages
    return [languages.answer_and_tests(row, languages.reference_program(row, which))
            for row in languages.load_humanevalpack(language, folder)[::every]]

def workshops(stack, chosen, workers=2):
    "Open a workshop for each language that can be run; the reasons for the others."
    from codedpo_nb import languages, sandbox
    opened, reasons = {}, {}
    for language in chosen:
        try:
            pool = (sandbox.Pool(workers, "scientific") if language == "python"
                    else languages.Workshop(language, workers))
        except sandbox.SandboxError as error: reasons[language] = str(error)
        else: opened[language] = stack.enter_context(pool)
    return opened, reasons

def seconds_per_program(folder=None, every=1, rounds=3, chosen=None):
    "`{language: seconds of the wall clock a program}` with two warm workers, None without a toolchain."
    from codedpo_nb import languages
    chosen = chosen or list(languages.LANGUAGES)
    best = dict.fromkeys(chosen)
    with ExitStack() as stack:
        opened, _ = workshops(stack, chosen)
        sources = {language: programs(language, folder, every) for language in opened}
        # the first ones warm up
        for language, pool in opened.items():
            languages.run_programs(sources[language][:4], language, pool=pool)
        for _ in range(rounds):
            for language, pool in opened.items():
                begun = time.perf_counter()
                languages.run_programs(sources[language], language, pool=pool)
                took = (time.perf_counter() - begun) / len(sources[language])
                best[language] = min(took, best[language] or took)
    return best

def truth(folder=None, every=1, chosen=None):
    "`{language: {solutions: Counter of verdicts}}` of right and wrong solutions."
    from codedpo_nb import languages
    found = {}
    with ExitStack() as stack:
        opened, reasons = workshops(stack, chosen or list(languages.LANGUAGES))
        for language, reason in reasons.items(): print(f"{language}: not run ({reason})")
        for language, pool in opened.items():
            limits = languages.limits_of(language)
            short = replace(limits, cpu=limits.cpu / 10, first=0)
            found[language] = {}
            for which, given in (("canonical_solution", limits), ("buggy_solution", short)):
                verdicts = languages.run_programs(programs(language, folder, every, which), language,
                                                  pool=pool, limits=given)
                found[language][which] = Counter(verdicts)
                odd = [(i, v) for i,
                       v in enumerate(verdicts) if (v == "pass") != (which == "canonical_solution")]
                if odd: print(language, which, odd)
    return found


def main():
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--quick", action="store_true")
    read.add_argument("--data")
    read.add_argument("--languages")
    read.add_argument("--no-truth", action="store_true", help="only the cost")
    args = read.parse_args()
    chosen, every = args.languages and args.languages.split(","), 4 if args.quick else 1
    found = {} if args.no_truth else truth(args.data, every, chosen)
    took = seconds_per_program(args.data, every, 1 if args.quick else 3, chosen)
    import pandas as pd
    table = pd.DataFrame(
        {
        language: dict(programs=sum(found[language]["canonical_solution"].values()) if language in found
                       else None,
                                         **{"right pass": found[language]["canonical_solution"]["pass"],
                                            "wrong fail": sum(n for v,
                                                              n in found[language]["buggy_solution"].items()
                                            if v != "pass"
                                            and not v.startswith("not run")), "wrong": dict(
                                               found[language][
                                               "buggy_solution"])} if language in found else {},
                                         **{"s a program": took[language],
                                            "bar": BARS.get(language)}) for language in took}).T
    print(table.fillna("-").to_string())
    print(
        json.dumps(dict(seconds_per_program={k: v and round(v, 3) for k, v in took.items()},
                        canonical={k: v["canonical_solution"]["pass"] for k, v in found.items()},
                             buggy_failing={k: sum(n for w,
                                                   n in v["buggy_solution"].items() if w != "pass"
                                                   and not w.startswith("not run")) for k,
                                            v in found.items()})))


if __name__ == "__main__": main()
