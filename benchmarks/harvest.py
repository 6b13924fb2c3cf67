"""`codedpo pairs` on twenty prompts with each engine, undisturbed and killed three times; TRL on the result.

    .venv/bin/python benchmarks/harvest.py --model FOLDER

Prints what each engine gave and took, and one line of JSON; exit code 1 if a killed harvest differs from an
undisturbed one."""
import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT/"tests")]
RESULTS = ("pairs.jsonl", "verified.jsonl")


def command(args, out, *engine):
    return [sys.executable, "-m", "codedpo_nb.harvest", "pairs", "--prompts", str(args.prompts),
            "--out", str(out), "--n", str(args.n), "--n-tests", str(args.n_tests),
            "--longest", str(args.longest), "--batch", str(args.batch), *engine]


def run(words, kill_at=None): # rows in the journals, after which it is killed; None: never
    "Run a harvest to its end, or kill it; its exit code."
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL)
    out = Path(words[words.index("--out") + 1])
    while process.poll() is None:
        rows = sum(p.read_bytes().count(b"\n") for p in out.glob("*.journal.jsonl"))
        if kill_at is not None and rows >= kill_at:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(.05)
    return process.wait()


def compared(args, name, engine, folder):
    "An engine undisturbed and killed: seconds, pairs, and whether the results are the same."
    begun = time.monotonic()
    if run(command(args, folder/f"{name}-whole", *engine)): raise SystemExit(f"{name} did not end well")
    seconds = time.monotonic() - begun
    killed = [run(command(args, folder/f"{name}-killed", *engine), at) for at in (4, 9, 14)]
    if run(command(args, folder/f"{name}-killed", *engine)): raise SystemExit(f"{name} did not go on")
    one, two = (
        [(folder/f"{name}-{kind}"/file).read_bytes() for file in RESULTS] for kind in ("whole", "killed"))
    return dict(seconds=round(seconds, 1), pairs=one[0].count(b"\n"), killed=killed.count(-signal.SIGKILL),
                same=one == two)


def serving(model):
    "A server of OpenAI's protocol with the model behind it."
    import threading

    from protocol_server import ProtocolServer

    from codedpo_nb.world.engines import open_engine
    engine, lock = open_engine(model, "transformers"), threading.Lock()
    def say(prompt, asked):
        with lock:
            said, = engine.ask(engine.texts([prompt]), 1, asked["temperature"], asked["max_tokens"],
                               asked["seed"])
        return said[0], "length" if said[0].cut else "stop"
    return ProtocolServer(say)


def train(model, pairs, folder, steps):
    "A few steps of TRL's DPO; the losses."
    import torch
    from datasets import load_dataset
    from trl import DPOConfig, DPOTrainer
    data, gpu = load_dataset("json", data_files=str(pairs), split="train"), torch.cuda.is_available()
    config = DPOConfig(str(folder), max_steps=steps, per_device_train_batch_size=2, logging_steps=1,
                       max_length=512, report_to="none", save_strategy="no", use_cpu=not gpu, bf16=gpu)
    trainer = DPOTrainer(str(model), config, train_dataset=data)
    trainer.train()
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of a model")
    parser.add_argument("--prompts", type=Path, default=ROOT/"benchmarks/prompts.jsonl")
    parser.add_argument("--engines", nargs="+", default=["transformers", "ctranslate2", "recorded", "openai"])
    for name, value in dict(n=4, n_tests=5, longest=128, batch=16, steps=0).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    args, found = parser.parse_args(), {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name in args.engines:
            engine = ["--model", args.model, "--engine", name]
            if name == "recorded":
                tape = folder/"tape.jsonl"
                run(command(args, folder/"taped", "--model", args.model, "--engine", "ctranslate2",
                            "--record", str(tape)))
                engine = ["--model", str(tape), "--engine", "recorded"]
            if name == "openai":
                with serving(args.model) as server:
                    found[name] = compared(args, name, ["--model", "scale", "--base-url", server.url], folder)
            else: found[name] = compared(args, name, engine, folder)
            print(f"{name:14}", found[name], flush=True)
        whole = max((folder/f"{name}-whole/pairs.jsonl" for name in found), key=lambda p: p.stat().st_size)
        losses = train(args.model, whole, folder/"trained", args.steps) if args.steps else []
    print(json.dumps(dict(engines=found, losses=losses)))
    return int(not all(row["same"] for row in found.values()))


if __name__ == "__main__": raise SystemExit(main())
