"""One GPU, under eight minutes: tokens a second of SFT, DPO and sampling, share of the peak, and memory.

    python benchmarks/gpu.py [--models DIR] [--out FILE] [--minutes 8] [--tiny]

Three architectures: Qwen2.5-Coder-0.5B and -1.5B, DeepSeek-Coder-1.3B. `--models` is a folder with models in
folders named `qwen-coder-0.5b`, `deepseek-coder-1.3b` and `qwen-coder-1.5b`; what is absent there is made
with random weights, since a step costs the same with any. Training is that of `fit_sft` and `fit_dpo`, by
their own trainers, without validation and checkpoints: a step lies between two ends of steps, the first left
out. DPO's references are computed before, and not counted. Each is trained whole and by an adapter of rank
16, with the largest batch that `codedpo_nb.running.memory` finds room for, and with activations computed
twice where only that fits. Sampling is `generate` of transformers, and vLLM where it is installed, to a fixed
length.

The share of the peak counts the arithmetic that a step needs (nothing that is computed twice) over the dense
bfloat16 peak that the chip's maker publishes, from benchmarks/results/rates.json; null for an unknown chip.
What does not fit, fails, or finds no time left is one line that says so. `--tiny` takes a minute model, on
whatever machine; its figures mean nothing.

The last line is one JSON object, and `--out` writes it to a file. Its `rates` can go into
benchmarks/results/rates.json, from which a dry run computes hours and dollars."""
import os

os.environ |= dict(TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1", TQDM_DISABLE="1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # one GPU, where there are several

import argparse
import contextlib
import gc
import json
import random
import sys
import tempfile
import time
from datetime import date
from importlib.util import find_spec
from pathlib import Path

from codedpo_nb.running import costs, memory

ROOT = Path(__file__).resolve().parent.parent
SHAPES = {  # numbers from each model's config.json
    "qwen-coder-0.5b": dict(model_type="qwen2", num_hidden_layers=24, hidden_size=896, intermediate_size=4864,
                            num_attention_heads=14, num_key_value_heads=2, vocab_size=151936,
                            tie_word_embeddings=True),
    "deepseek-coder-1.3b": dict(model_type="llama", num_hidden_layers=24, hidden_size=2048,
                                intermediate_size=5504, num_attention_heads=16, num_key_value_heads=16,
                                vocab_size=32256, tie_word_embeddings=False),
    "qwen-coder-1.5b": memory.QWEN}
TINY = {"minute": dict(model_type="qwen2", num_hidden_layers=2, hidden_size=32, intermediate_size=64,
                       num_attention_heads=4, num_key_value_heads=2, vocab_size=512,
                       tie_word_embeddings=True)}
# Sequences a step and whether activations are computed twice, the best first
CHOICES = [(16, False), (8, False), (16, True), (8, True), (4, True), (2, True), (1, True)]
STEPS, SECONDS = 12, 12 # of one measurement, at most; of three steps at least
ROOM = .93              # share of the free memory that a plan may take
DISTINCT = 16           # rows that are written; then they come again


def device():
    "Name and free memory (bytes) of the GPU; of none, 'cpu' and None."
    import torch
    if not torch.cuda.is_available(): return "cpu", None
    return torch.cuda.get_device_name(0), torch.cuda.mem_get_info()[0]

def free():
    "Give back what nothing refers to."
    import torch
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

def peak_gb():
    "Most bytes that PyTorch held on the GPU since `free`, in 10^9; None without a GPU."
    import torch
    return round(torch.cuda.max_memory_reserved() / 1e9, 2) if torch.cuda.is_available() else None

def reason(error):
    "What went wrong, in one line."
    import torch
    if isinstance(error, torch.OutOfMemoryError): return "out of memory"
    text = str(error).strip().splitlines() or [type(error).__name__]
    return f"{type(error).__name__}: {text[0][:200]}"


def made(shape, folder):
    "A model of this shape with random weights and a small tokenizer, in a folder."
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from codedpo_nb.world.model import save_model, train_tokenizer
    where = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = train_tokenizer([" ".join(words(random.Random(0), 2000))], 500)
    config = AutoConfig.for_model(**shape, bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
                                  pad_token_id=tokenizer.pad_token_id)
    torch.manual_seed(0)
    with torch.device(where):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    save_model(model.cpu(), tokenizer, folder)
    return folder

def words(chance, n):
    "Random words of a small language."
    return ["".join(chance.choices("abcdefgh", k=4)) for _ in range(n)]

def said(role, chance, n): return [dict(role=role, content=" ".join(words(chance, n)))]

def data(kind, n, length, tokenizer):
    "`n` rows for SFT or DPO of nearly `length` tokens, none longer, and the tokens of a row on average."
    from codedpo_nb.training.shared import lengths
    columns = ("completion",) if kind == "sft" else ("chosen", "rejected")
    size, chance = length, random.Random(0)
    while True:
        rows = [dict(task_id=str(i), prompt=said("user", chance, 8),
                     **{column: said("assistant", chance, size) for column in columns})
                for i in range(min(n, DISTINCT))]
        found = [lengths(rows, column, tokenizer) for column in columns]
        most = max(map(max, found))
        if most <= length:
            every = [rows[i % len(rows)] | dict(task_id=str(i)) for i in range(n)]
            return every, sum(map(sum, found)) / len(rows)
        size = min(size - 1, int(size * length / most))
        if size < 1: raise ValueError(f"no answer fits into {length} tokens")


def step_clock():
    "A callback with the `times` at which steps end; it stops after `SECONDS`, but not before three steps."
    import torch
    from transformers import TrainerCallback
    class Ends(TrainerCallback):
        def __init__(self): self.times = []
        def on_step_end(self, args, state, control, **kwargs):
            if torch.cuda.is_available(): torch.cuda.synchronize()
            self.times.append(time.perf_counter())
            if len(self.times) > 3 and self.times[-1] - self.times[0] > SECONDS:
                control.should_training_stop = True
    return Ends()

def trainer_of(kind, rows, path, tokenizer, tuning, batch, length, checkpointing, folder):
    "The trainer of `fit_sft` or `fit_dpo`, without validation and checkpoints."
    from codedpo_nb import dpo, sft
    from codedpo_nb.training import shared
    settings = shared.Settings(lr=1e-5, epochs=1, batch=batch, longest=length, tuning=tuning)
    how = shared.trainer_arguments(folder, len(rows), settings) | dict(
        eval_strategy="no", save_strategy="no", eval_on_start=False, load_best_model_at_end=False,
        activation_checkpointing=checkpointing)
    adapted = shared.adapter(tuning)
    if kind == "sft": trainer = sft.sft_trainer(rows, rows[:2], path, tokenizer, how, **adapted)
    else:
        how |= dpo.goal("dpo+sft", .1, 1.)
        trainer = dpo.dpo_trainer(rows, rows[:2], path, tokenizer, "dpo+sft", how, adapted=adapted)
    return shared.plain_head(shared.exact(trainer))

def train(kind, path, tuning, sequences, checkpointing, length, steps):
    "Tokens a second and peak memory of one training."
    from codedpo_nb.training import shared
    tokenizer = shared.training_tokenizer(path)
    batch = sequences if kind == "sft" else sequences // 2
    rows, each = data(kind, batch * steps, length, tokenizer)
    clock = step_clock()
    with tempfile.TemporaryDirectory() as folder, shared.calm():
        trainer = trainer_of(kind, rows, path, tokenizer, tuning, batch, length, checkpointing, folder)
        trainer.add_callback(clock)
        trainer.train()
    done = len(clock.times) - 1
    seconds = (clock.times[-1] - clock.times[0]) / done
    return dict(tokens_per_s=round(each * batch / seconds, 1), steps=done, peak_gb=peak_gb())

def step_operations(shape, tuning, length):
    """Floating-point operations for each token of a training step: products with weights, the last layer
    among them, and attention's, which sees half of the sequence on average."""
    s = memory.shape(shape)
    weights = memory.weights(s)["linear"] + s["vocab"] * s["hidden"]
    return costs.operations("train", weights, tuning) + 3 * 2 * 2 * s["layers"] * s["q"] * length / 2

def fitting(shape, kind, tuning, length, room, gpu):
    "The choices of batch and checkpointing that have room, and the smallest plan in bytes."
    choices = [(n, c) for n, c in CHOICES if n > 1 or kind == "sft"]
    planned = {choice: sum(memory.plan(shape, length, choice[0], tuning, checkpointing=choice[1],
                                       gpu=gpu).values()) for choice in choices}
    found = {choice: n for choice, n in planned.items() if room is None or n <= ROOM * room}
    return found, min(planned.values())

def measure_training(kind, name, path, shape, tuning, how, out):
    "One row, or one line that says why there is none."
    row = dict(what=kind, model=name, tuning=tuning, length=how["length"])
    found, least = fitting(shape, kind, tuning, how["length"], how["room"], how["gpu"])
    why = None if found else (f"does not fit: {least / 1e9:.1f} GB are planned, and "
                              f"{how['room'] / 1e9:.1f} are free")
    for (sequences, checkpointing), planned in list(found.items())[-1 if how["tiny"] else 0:]:
        free()
        try: now = train(kind, path, tuning, sequences, checkpointing, how["length"], how["steps"])
        # whatever a driver, a kernel or a library raises is one line
        except Exception as error: why = reason(error)
        else:
            used = now["tokens_per_s"] * step_operations(shape, tuning, how["length"])
            share = round(used / how["peak"], 4) if how["peak"] else None
            return out(row | now | dict(sequences=sequences, checkpointing=checkpointing, share_of_peak=share,
                                        planned_gb=round(planned / 1e9, 2)))
        if why != "out of memory": break
    return out(row | dict(reason=why))


def generate(path, batch, length):
    "Tokens a second that transformers' `generate` writes, and peak memory."
    import torch
    from transformers import AutoModelForCausalLM
    gpu = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16 if gpu else torch.float32)
    model = model.to("cuda" if gpu else "cpu").eval()
    ids = torch.randint(3, 400, (batch, 64), generator=torch.Generator().manual_seed(0)).to(model.device)
    def turn(n):
        with torch.no_grad():
            model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0,
                           pad_token_id=0, min_new_tokens=n, max_new_tokens=n)
        if gpu: torch.cuda.synchronize()
    turn(4)
    start = time.perf_counter()
    turn(length)
    seconds = time.perf_counter() - start
    return dict(tokens_per_s=round(batch * length / seconds, 1), peak_gb=peak_gb())

def with_vllm(path, batch, length):
    "Tokens a second that vLLM writes; its memory is what it is told to take."
    import vllm
    llm = vllm.LLM(model=str(path), max_model_len=1024, gpu_memory_utilization=.8)
    rows = [dict(prompt_token_ids=[3 + (7 * i + j) % 397 for j in range(64)]) for i in range(batch)]
    settings = vllm.SamplingParams(temperature=1., max_tokens=length, ignore_eos=True)
    llm.generate(rows[:2], settings, use_tqdm=False)
    start = time.perf_counter()
    llm.generate(rows, settings, use_tqdm=False)
    return dict(tokens_per_s=round(batch * length / (time.perf_counter() - start), 1), peak_gb=None)

def measure_sampling(engine, name, path, how, out):
    "One row, or one line that says why there is none."
    call = dict(transformers=generate, vllm=with_vllm)[engine]
    batches = how["batches"][:1] if engine == "vllm" else how["batches"]
    row = dict(what="sample", model=name, engine=engine, length=how["answer"])
    why = "vLLM is not installed" if engine == "vllm" and not find_spec("vllm") else None
    for batch in batches if why is None else ():
        free()
        try: now = call(path, batch, how["answer"])
        except Exception as error: why = reason(error)
        else: return out(row | now | dict(sequences=batch))
        if why != "out of memory": break
    return out(row | dict(reason=why))


def line(row):
    "A row as a person reads it."
    name = f"{row['what']:6} {row['model']:20} {row.get('tuning') or row.get('engine'):12}"
    if "reason" in row: return f"{name} {row['reason']}"
    share = f"{row['share_of_peak']:.1%} of peak" if row.get("share_of_peak") else ""
    again = ", activations twice" if row.get("checkpointing") else ""
    held = f"{row['peak_gb']} GB" if row["peak_gb"] is not None else ""
    speed = f"{row['tokens_per_s']:10,.1f} tokens/s"
    return f"{name} {speed}  {held:9} {share:14} {row['sequences']} at once{again}"

def as_rates(rows, shapes, machine):
    "The measured rows as rates of benchmarks/results/rates.json, SFT for training."
    out, about = [], dict(machine=machine, source=f"benchmarks/gpu.py, {date.today()}", here=True)
    for row in rows:
        if "reason" in row or row["what"] == "dpo": continue
        n = sum(memory.weights(memory.shape(shapes[row["model"]])).values()) / 1e9
        kind = "sample" if row["what"] == "sample" else "train"
        how = f"{row['engine'] if kind == 'sample' else 'sft_trainer'}, {row['sequences']} x {row['length']}"
        out.append(about | dict(kind=kind, tuning=row.get("tuning", ""), model=row["model"],
                                weights=round(n, 4), per_second=row["tokens_per_s"], how=how))
    return out

def folder_of(name, shape, models, stack):
    "The folder of a model that was given, or else of one that is made."
    own = models and models/name
    if own and (own/"config.json").is_file(): return own
    if models: print(f"{name} is not in {models}: random weights take its place", flush=True)
    return made(shape, Path(stack.enter_context(tempfile.TemporaryDirectory())))

def everything(shapes, models, how, out):
    "All measurements that begin within the time allowed."
    with contextlib.ExitStack() as stack:
        folders = {name: folder_of(name, shape, models, stack) for name, shape in shapes.items()}
        jobs = [(measure_training, kind, name, folders[name], shapes[name], tuning)
                for tuning in ("lora", "full") for kind in ("sft", "dpo") for name in shapes]
        jobs += [(measure_sampling, engine, name, folders[name])
                 for engine in ("transformers", "vllm") for name in shapes]
        for i, (measure, *what) in enumerate(jobs):
            if time.monotonic() > how["end"]:
                print(f"{len(jobs) - i} of {len(jobs)} measurements found no time: allow more --minutes")
                return
            measure(*what, how, out)

def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=Path, help="folder with models in folders of their names")
    parser.add_argument("--out", type=Path, help="file for the JSON object")
    parser.add_argument("--minutes", type=float, default=7.,
                        help="no measurement begins later (default: 7, so that the last ends in eight)")
    parser.add_argument("--tiny", action="store_true", help="a minute model, on any machine, in seconds")
    return parser.parse_args()

def known_chip(name):
    "What the table of machines knows of this GPU; None if nothing."
    return costs.machine_called(name, costs.load_rates(ROOT/"benchmarks/results/rates.json"))

def settings(tiny, minutes, room, chip):
    "What all measurements have in common."
    small = dict(length=48, steps=2, answer=4, batches=[2])
    large = dict(length=1024, steps=STEPS, answer=128, batches=[256, 64, 16, 4])
    return (small if tiny else large) | dict(
        tiny=tiny, room=room, gpu=room is not None, peak=chip and chip.peak_tflops * 1e12,
        end=time.monotonic() + 60 * minutes)

def main():
    start, options = time.monotonic(), arguments()
    if options.out and not options.out.absolute().parent.is_dir():
        sys.exit(f"--out {options.out}: there is no folder {options.out.absolute().parent}: make it first")
    name, room = device()
    if room is None and not options.tiny:
        sys.exit("There is no GPU that PyTorch can use: install a driver and a torch for it, or give --tiny "
                 "to see the script run")
    chip, shapes, rows = known_chip(name), TINY if options.tiny else SHAPES, []
    peak = f"{chip.peak_tflops} TFLOP/s in bfloat16 ({chip.source})" if chip else "unknown"
    print(f"{name}, {f'{room / 1e9:.1f} GB free' if room else 'no GPU'}, peak {peak}", flush=True)
    def out(row):
        rows.append(row)
        print(line(row), flush=True)
    everything(shapes, options.models, settings(options.tiny, options.minutes, room, chip), out)
    found = dict(gpu=name, chip=chip and chip.machine, peak_tflops=chip and chip.peak_tflops,
                 free_gb=room and round(room / 1e9, 1), tiny=options.tiny, rows=rows,
                 trainer="sft_trainer and dpo_trainer, those of fit_sft and fit_dpo",
                 seconds=round(time.monotonic() - start),
                 rates=[] if options.tiny else as_rates(rows, shapes, chip.machine if chip else name))
    if options.out: options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found))


if __name__ == "__main__": main()
