"""The memory planner against measured peaks: small models, each trained for three steps in a fresh process,
on a processor.

    python benchmarks/memory.py [--quick]

The measured peak is the largest resident size that Linux reports for the process while it trains (VmHWM),
less what it was before the model was read, after a
minute model had been trained to load all libraries. The C library is told to give every freed block above 64
KiB back, so that resident is what is in use. The
plan is `codedpo_nb.running.memory.plan`. Rows are as long as the sequence, and every token is learnt. With
`half` the products and what is not trained are in bfloat16, as they are on a GPU.

The last line is one JSON object."""
import os

os.environ |= dict(TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1", TQDM_DISABLE="1")

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from codedpo_nb.running import memory

SMALL = dict(hidden=384, layers=4, vocab=2048, length=256, batch=4)
WIDE = dict(hidden=256, layers=6, vocab=20000, length=512, batch=1)
BOTH = [(tuning, checkpointing) for tuning in ("full", "lora", "qlora") for checkpointing in (False, True)]
SOME = [("full", False), ("lora", True), ("qlora", True)]
SETTINGS = [
    *(dict(SMALL, tuning=t, checkpointing=c) for t, c in BOTH),
    dict(SMALL, tuning="full", checkpointing=False, length=64, batch=2),
    *(dict(WIDE, tuning=t, checkpointing=c) for t, c in SOME),
    dict(hidden=512, layers=8, vocab=2048, tuning="full", checkpointing=False, length=128, batch=2),
    dict(hidden=512, layers=3, vocab=4096, tuning="lora", checkpointing=False, length=1024, batch=1),
    *(dict(SMALL, tuning=t, checkpointing=c, half=True) for t, c in BOTH),
    *(dict(WIDE, hidden=512, tuning=t, checkpointing=c, half=True) for t, c in SOME)]


def resident(field="VmRSS"):
    "Bytes of this process."
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024

def model(hidden, layers, vocab, folder):
    "A Qwen2 with random weights, in a folder; its configuration."
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM
    torch.manual_seed(0)
    config = Qwen2Config(hidden_size=hidden, num_hidden_layers=layers, vocab_size=vocab,
                         intermediate_size=hidden * 4, num_attention_heads=hidden // 32,
                         num_key_value_heads=hidden // 64, tie_word_embeddings=True, eos_token_id=2,
                         bos_token_id=None, pad_token_id=0)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return config

def train(folder, path, tokenizer, vocab, tuning, checkpointing, length, batch, half=False, steps=3):
    """Steps on random tokens, with the trainer of `fit_sft`; with `half` in bfloat16 as on a GPU.

    Returns the largest resident size before the first step, in bytes."""
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from codedpo_nb.training import shared
    from codedpo_nb.world.model import quiet_trainer
    chance = torch.Generator().manual_seed(0)
    ids = torch.randint(3, vocab, (steps * batch, length), generator=chance).tolist()
    settings = shared.Settings(lr=1e-4, epochs=1, batch=batch, longest=length)
    how = shared.trainer_arguments(folder, steps * batch, settings) | dict(
        eval_strategy="no", save_strategy="no", eval_on_start=False, load_best_model_at_end=False,
        activation_checkpointing=checkpointing, bf16=half)
    adapted = shared.adapter(tuning)
    if half and tuning != "full": how |= dict(model_init_kwargs=dict(dtype="bfloat16"))
    if half and tuning == "qlora": adapted["quantization_config"].bnb_4bit_compute_dtype = torch.bfloat16
    with shared.calm():
        trainer = SFTTrainer(str(path), SFTConfig(**how),
                             train_dataset=Dataset.from_dict(dict(input_ids=ids, labels=ids)),
                             processing_class=tokenizer,
                             **adapted)
        # else a few of them keep the whole file mapped
        for weight in trainer.model.parameters(): weight.data = weight.data.clone()
        loading = resident("VmHWM")
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
        shared.plain_head(shared.exact(quiet_trainer(trainer))).train()
        return loading

def peak(path, how, vocab=300):
    """Resident bytes: with all libraries loaded, and the most while the model in `path` is read and trained.

    Called in a process of its own."""
    from codedpo_nb.training import shared
    from codedpo_nb.world.model import train_tokenizer
    with tempfile.TemporaryDirectory() as folder, shared.calm():
        folder, tokenizer = Path(folder), train_tokenizer(["a b c"], 300)
        model(64, 1, vocab, folder/"minute")
        train(folder/"w", folder/"minute", tokenizer, vocab, **how | dict(length=16, batch=1))
        before = resident()
        loading = train(folder/"w", path, tokenizer, vocab, **how)
        return dict(libraries=before, loading=loading, training=resident("VmHWM"))

def measure(hidden, layers, vocab, **how):
    "Measured and planned bytes of one setting; called in a process of its own."
    with tempfile.TemporaryDirectory() as folder:
        config = model(hidden, layers, vocab, folder)
        found = peak(folder, how, vocab)
        return dict(measured=found["training"] - found["libraries"],
                    **memory.plan(config.to_dict(), gpu=False, **how))

def child(setting, call="measure", threads=1):
    "`measure`, or another function of this file, in a fresh process."
    code = (f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import json, memory as m; "
            f"print(json.dumps(m.{call}(**{setting!r})))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=os.environ | dict(MALLOC_MMAP_THRESHOLD_="65536", OMP_NUM_THREADS=str(threads)))
    if done.returncode: raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three settings")
    rows = []
    for setting in SETTINGS[::5] if parser.parse_args().quick else SETTINGS:
        found = child(setting)
        planned = sum(found[part] for part in memory.PARTS)
        rows.append(dict(half=False) | setting
                    | dict(measured=found["measured"] / 1e6, planned=planned / 1e6,
                           ratio=planned / found["measured"],
                                   **{part: found[part] / 1e6 for part in memory.PARTS if part != "context"}))
        print(len(rows), "measured", file=sys.stderr, flush=True)
    print(pd.DataFrame(rows).round(3).to_string(index=False), end="\n\n")
    apart = max(abs(row["ratio"] - 1) for row in rows)
    print(json.dumps(dict(memory_largest_error=round(apart, 4), memory_measurements=len(rows))))

if __name__ == "__main__": main()
