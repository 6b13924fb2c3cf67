"""The memory planner against the measured peak of a real model, on a processor: does it fit into 7000 MB?

    python benchmarks/memory_real.py --model FOLDER [--length 1024] [--batch 1] [--steps 10]
                                     [--tunings lora qlora] [--limit 7000] [--threads N]

The model, such as Qwen2.5-Coder-1.5B, is tuned as on a GPU: products and what is not trained in bfloat16,
adapters in float32, four bits with `qlora`, activations computed twice. Each tuning has a fresh process, with
the trainer of `fit_sft` on random tokens, every one learnt. The peaks are the largest resident sizes that
Linux reports (VmHWM), while the model is read and while it trains; what was there before (Python, its
libraries, and what they loaded to train a minute model) is shown as such. The rest is held against
`codedpo_nb.running.memory.plan` for a processor; beside it stands the plan for a card, with CUDA and Triton.

The last line is one JSON object: sizes in megabytes (10^6 bytes), errors of the plan in percent."""
import argparse
import json
import os
import sys
from pathlib import Path

import memory as bench

from codedpo_nb.running import memory


def config_of(folder):
    "The configuration of the model in a folder, or a sentence that ends the program."
    try: found = json.loads((Path(folder)/"config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"--model {folder} is no folder of a model ({error}): give one with config.json and weights")
    try: memory.shape(found)
    except ValueError as error: sys.exit(f"--model {folder}: {error}")
    return found

def megabytes(n): return round(n / 1e6, 1)

def measured(folder, config, tuning, options):
    "One row of the table: a tuning, measured and planned."
    how = dict(tuning=tuning, checkpointing=True, length=options.length, batch=options.batch, half=True)
    setting = dict(path=str(Path(folder).absolute()), how=how | dict(steps=options.steps), vocab=5000)
    found = bench.child(setting, "peak", options.threads)
    here, card = (sum(memory.plan(config, gpu=gpu, **how).values()) for gpu in (False, True))
    used = found["training"] - found["libraries"]
    return dict(tuning=tuning, libraries_mb=megabytes(found["libraries"]),
                reading_mb=megabytes(found["loading"]), training_mb=megabytes(found["training"]),
                used_mb=megabytes(used), planned_mb=megabytes(here),
                error_percent=round(100 * (here / used - 1), 1), card_mb=megabytes(card),
                fits=card <= options.limit * 1e6 and used <= options.limit * 1e6)

def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="folder of a model")
    parser.add_argument("--length", type=int, default=1024, help="tokens of a sequence (default: 1024)")
    parser.add_argument("--batch", type=int, default=1, help="sequences a step (default: 1)")
    parser.add_argument("--steps", type=int, default=10, help="steps of each tuning (default: 10)")
    parser.add_argument("--tunings", nargs="+", choices=("full", "lora", "qlora"), default=["lora", "qlora"])
    parser.add_argument("--limit", type=float, default=7000, help="megabytes to fit into (default: 7000)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: all processors")
    return parser.parse_args()

def main():
    options = arguments()
    config, rows = config_of(options.model), []
    for tuning in options.tunings:
        rows.append(measured(options.model, config, tuning, options))
        print(tuning, "measured", file=sys.stderr, flush=True)
    print(bench.pd.DataFrame(rows).to_string(index=False), end="\n\n")
    for row in rows:
        print(f"{row['tuning']}: {row['used_mb']:,.0f} MB beside {row['libraries_mb']:,.0f} MB of Python and "
              f"its libraries; planned {row['planned_mb']:,.0f} MB ({row['error_percent']:+.1f} %), and "
              f"{row['card_mb']:,.0f} MB on a card")
    print(json.dumps(dict(memory_real_model=Path(options.model).absolute().name, length=options.length,
                          batch=options.batch, steps=options.steps, rows=rows,
                          largest_error_percent=max(abs(row["error_percent"]) for row in rows))))

if __name__ == "__main__": main()
