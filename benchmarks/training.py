"""What a step of the trainers costs, beside a bare PyTorch loop that does the same arithmetic.

    python benchmarks/training.py [--quick] [--profile] [--threads 1 2]

The model has the size of the laptop profile (192 wide, 4 layers) and random weights, since a step costs the
same with any; the documents have the laptop run's
length. SFT takes 16 answers a step and DPO with its SFT term 8 pairs, reference log-probabilities computed
before. The loop sees the same batches in the same
order and pads them alike, with the same optimizer, schedule and clipping, and like the trainer it computes
logits for the answers' tokens only: its losses are
checked against the trainer's. "trl" is the same trainer with TRL's own last layer, in tiles. The three
alternate within one process; a step is what lies between
two ends of steps, batch and log included, validation and checkpoints not. Of each round the mean counts, of
the rounds' ratios the median. CPU seconds are those
of all threads.

The last line is one JSON object."""
import os

os.environ |= dict(TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1", TQDM_DISABLE="1")

import argparse
import cProfile
import json
import pstats
import random
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch
from torch.nn.functional import cross_entropy, logsigmoid
from transformers import AutoModelForCausalLM, TrainerCallback, get_linear_schedule_with_warmup

from codedpo_nb import dpo, sft
from codedpo_nb.training import shared
from codedpo_nb.world.corpus import code_document
from codedpo_nb.world.model import fresh_model, save_model, train_tokenizer
from codedpo_nb.world.tasks import task_space

SFT_BATCH, PAIRS, BETA, WEIGHT = 16, 8, .1, 5.


class Ends(TrainerCallback):
    "Wall-clock and CPU time at the end of each step."
    def __init__(self): self.times = []
    def on_step_end(self, *args, **kwargs): self.times.append((time.perf_counter(), time.process_time()))

def message(role, text): return [dict(role=role, content=text)]

def data(n):
    "Rows for SFT and pairs for DPO, of the laptop run's length, and the texts of a tokenizer."
    tasks, r = task_space(0)["train"], random.Random(0)
    docs = [(code_document(t, r, .6, 0.), code_document(t, r, .6, 1.)) for t in tasks[:n]]
    rows = [dict(task_id=good["task_id"], prompt=message("user", good["prompt"]),
                 completion=message("assistant", good["answer"])) for good, _ in docs]
    pairs = [dict(task_id=row["task_id"], prompt=row["prompt"], chosen=row["completion"],
                  rejected=message("assistant", bad["answer"]))
             for row,
             (_, bad) in zip(rows, docs, strict=True) if bad["answer"] != row["completion"][0]["content"]]
    return rows, pairs, [d["prompt"] + "\n" + d["answer"] for pair in docs for d in pair]

def settings(folder, rows, batch, lr):
    "Those of `fit_sft` and `fit_dpo`, without validation and checkpoints."
    how = shared.Settings(lr=lr, epochs=1, batch=batch)
    return shared.trainer_arguments(folder, len(rows), how) | dict(eval_strategy="no", save_strategy="no",
        eval_on_start=False,
                                                                   load_best_model_at_end=False)

def make(kind, folder, path, rows):
    "A new trainer of `kind`, as TRL has it."
    tokenizer, how = (shared.training_tokenizer(path),
                      settings(folder, rows, SFT_BATCH if kind == "sft" else PAIRS, 1e-4))
    with shared.calm():
        if kind == "sft": return sft.sft_trainer(rows, rows[:2], path, tokenizer, how)
        return dpo.dpo_trainer(rows, rows[:2], path, tokenizer, "dpo+sft",
                               how | dpo.goal("dpo+sft", BETA, WEIGHT))

def reset(trainer, weights):
    "The trainer as it was before its first step."
    trainer.model.load_state_dict(weights)
    trainer.optimizer = trainer.lr_scheduler = None

def train(trainer):
    "Seconds a step, wall and CPU, and the losses logged."
    ends = Ends()
    trainer.add_callback(ends)
    with shared.calm(): trainer.train()
    trainer.remove_callback(ends)
    wall, cpu = ((b - a) / (len(ends.times) - 1) for a, b in zip(ends.times[0], ends.times[-1], strict=True))
    return wall, cpu, [row["loss"] for row in trainer.state.log_history if "loss" in row]

def batches(trainer):
    """The trainer's batches in its order, as lists of token ids without padding, prompt lengths and reference
    log-probabilities."""
    found = []
    for batch in trainer.get_train_dataloader():
        real = batch["attention_mask"].bool()
        said = batch["completion_mask"].bool() if "completion_mask" in batch else batch["labels"] != -100
        rows = [(ids[r].tolist(), int((r & ~s).sum())) for ids, r,
                s in zip(batch["input_ids"], real, said, strict=True)]
        found.append((rows, batch.get("ref_chosen_logps"), batch.get("ref_rejected_logps")))
    return found

def padded(rows, pad):
    "Token ids, mask and labels of a batch, padded behind."
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in rows])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in rows])
    labels = torch.tensor([[-100] * asked + ids[asked:] + [-100] * (longest - len(ids)) for ids,
                           asked in rows])
    return ids, mask, labels

def losses(model, batch, pad):
    "Loss of each token of the answers, and the row of each."
    ids, mask, labels = padded(batch[0], pad)
    hidden = model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[:, :-1]
    learnt = labels[:, 1:] != -100
    return (cross_entropy(model.lm_head(hidden[learnt]), labels[:, 1:][learnt], reduction="none"),
            learnt.nonzero()[:, 0])

def sft_step(model, batch, pad):
    "Loss of a batch of answers."
    return losses(model, batch, pad)[0].mean()

def dpo_step(model, batch, pad):
    "Loss of a batch of pairs: DPO, and the SFT term on the chosen side."
    each, row = losses(model, batch, pad)
    n = len(batch[0]) // 2
    chosen, rejected = -torch.zeros(2 * n).index_add(0, row, each).view(2, n)
    return (-logsigmoid(BETA * (chosen - batch[1] - rejected + batch[2])).mean()
            + WEIGHT * each[row < n].mean())

def bare(model, step, found, pad, lr, log_every):
    "Seconds a step of a loop that logs as often, wall and CPU, and its losses."
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0., fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, -(-len(found) // 10), len(found))
    times, logged, total = [], [], 0.
    for i, batch in enumerate(found, 1):
        loss = step(model, batch, pad)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        total += loss.detach()
        if i % log_every == 0: logged, total = logged + [total.item() / log_every], 0.
        times.append((time.perf_counter(), time.process_time()))
    return *((b - a) / (len(times) - 1) for a, b in zip(times[0], times[-1], strict=True)), logged

def compare(kind, folder, path, rows, rounds, threads):
    "One row of the table for each round."
    torch.set_num_threads(threads)
    trainers = dict(trainer=shared.plain_head(make(kind, folder/f"{kind}{threads}", path, rows)),
                    trl=make(kind, folder/f"trl{kind}{threads}", path, rows))
    trainer = trainers["trainer"]
    weights = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    found, out = batches(trainer), []
    model = AutoModelForCausalLM.from_pretrained(path)
    for i in range(rounds + 1):
        model.load_state_dict(weights)
        ours = {}
        for name, one in trainers.items():
            reset(one, weights)
            ours[name] = train(one)
        ours["bare"] = bare(model, dict(sft=sft_step, dpo=dpo_step)[kind], found,
                            trainer.processing_class.pad_token_id, 1e-4, trainer.args.logging_steps)
        apart = max(abs(a - b) for name in trainers for a,
                    b in zip(ours[name][2], ours["bare"][2], strict=True))
        assert apart < 1e-4, f"the losses of trainer and loop are {apart:.1e} apart: they do not do the same"
        if i:
            out.append(dict(kind=kind, threads=threads, steps=len(found),
                            **{f"{clock} {who}": 1000 * t[j] for who, t in ours.items() for j,
                               clock in enumerate(("wall", "cpu"))}))
    return out

def where(kind, folder, path, rows):
    "Prints where a trainer's step spends its time."
    trainer, profile = shared.plain_head(make(kind, folder/"profile", path, rows)), cProfile.Profile()
    profile.enable()
    train(trainer)
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    pstats.Stats(profile).sort_stats("cumtime").print_stats(60)

def summary(rows):
    "Medians over the rounds, and the medians of their ratios."
    table = pd.DataFrame(rows)
    for clock in ("wall", "cpu"):
        for who, column in (("trainer", f"{clock} ratio"), ("trl", f"{clock} ratio, trl")):
            table[column] = table[f"{clock} {who}"] / table[f"{clock} bare"]
    return table.groupby(["kind", "threads"]).median().reset_index()

def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="10 steps in 3 rounds instead of 20 in 5")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--profile", action="store_true",
                        help="print where the time goes, and measure nothing")
    return parser.parse_args()

def main():
    options = arguments()
    rows, pairs, texts = data(160 if options.quick else 320)
    some, measured = {"sft": rows, "dpo": pairs[:len(rows) // 2]}, []
    with tempfile.TemporaryDirectory() as folder:
        folder, tokenizer = Path(folder), train_tokenizer(texts, 1152)
        save_model(fresh_model(tokenizer, 192, 4), tokenizer, folder/"model")
        for threads in options.threads[:1] if options.profile else options.threads:
            for kind, data_ in some.items():
                if options.profile: where(kind, folder, folder/"model", data_)
                else:
                    measured += compare(kind, folder, folder/"model", data_, 3 if options.quick else 5,
                                        threads)
    if options.profile: return
    table = summary(measured)
    print(table.round(2).to_string(index=False))
    one = table[table.threads == options.threads[0]].set_index("kind")
    print(json.dumps({f"{kind}_step_vs_bare": round(one.loc[kind, "cpu ratio"], 3) for kind in some}
                     | {f"{kind}_step_vs_bare_{clock}_{t}": round(row[f"{clock} ratio"], 3) for (kind, t),
                        row in
                        table.set_index(["kind", "threads"]).iterrows() for clock in ("wall", "cpu")}))

if __name__ == "__main__": main()
