"""Two processes, started by `torchrun` and talking through gloo, through both trainers: one model comes out,
written by one of them."""
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from codedpo_nb import dpo, sft
from codedpo_nb.training import shared
from codedpo_nb.world.model import load_model

ROOT = Path(__file__).parent.parent
HOW = dict(
    sft=dict(lr=3e-3, epochs=2, batch=8),
    dpo=dict(lr=1e-3, epochs=2, batch=8, objective="dpo+sft", beta=.2),
    kto=dict(lr=1e-3, epochs=1, batch=8, objective="kto", beta=.2))
EACH = """
    import hashlib, json, os, sys
    from pathlib import Path
    import torch
    from transformers import TrainerCallback
    torch.set_num_threads(1)
    from codedpo_nb.dpo import fit_dpo
    from codedpo_nb.sft import fit_sft
    base, rank = Path(sys.argv[1]), os.environ["RANK"]
    given, how = json.loads((base/"given.json").read_text()), json.loads((base/"how.json").read_text())
    weights, written = {}, []
    class End(TrainerCallback):
        def on_train_end(self, args, state, control, model=None, **kwargs):
            raw = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
            weights[name] = hashlib.sha256(raw).hexdigest()
    def note(event, args):
        if event == "open" and isinstance(args[0], str) and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.append(args[0])
        if event in ("os.rename", "shutil.rmtree", "os.remove"): written.append(os.fspath(args[0]))
    sys.addaudithook(note)
    logs = {}
    for name, settings in how.items():
        fit = fit_sft if name == "sft" else fit_dpo
        train, valid = given["sft" if name == "sft" else "dpo"]
        logs[name] = fit(train, base/"model", base/name, valid=valid, callbacks=[End()], **settings)
    mine = sorted({os.path.relpath(p, base) for p in written if os.path.abspath(p).startswith(str(base))})
    (base/f"rank{rank}.json").write_text(json.dumps(dict(logs=logs, weights=weights, written=mine)))
"""  # noqa: E501


def message(role, text): return [dict(role=role, content=text)]


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A minute model, rows and pairs, and what two processes made of them:

    `(folder, rows and pairs, what each process says)`."""
    import random

    from codedpo_nb.world.corpus import code_document, mutate
    from codedpo_nb.world.model import fresh_model, save_model, train_tokenizer
    from codedpo_nb.world.tasks import task_space
    base, r = tmp_path_factory.mktemp("two"), random.Random(0)
    docs = [code_document(t, r, .6, 0.) for t in task_space(0)["train"][:80]]
    pairs = [dict(task_id=d["task_id"], prompt=message("user", d["prompt"]),
                  chosen=message("assistant", d["answer"]),
                  rejected=message("assistant", mutate(d["answer"], r))) for d in docs]
    # whole batches: the last one would be filled up
    pairs = [p for p in pairs if p["chosen"] != p["rejected"]][:40]
    rows = [dict(task_id=p["task_id"], prompt=p["prompt"], completion=p["chosen"]) for p in pairs]
    tok = train_tokenizer([d["prompt"] + d["answer"] for d in docs], 450)
    save_model(fresh_model(tok, 32, 1), tok, base/"model")
    data = dict(sft=(rows[:32], rows[32:]), dpo=(pairs[:32], pairs[32:]))
    (base/"given.json").write_text(json.dumps(data))
    (base/"how.json").write_text(json.dumps(HOW))
    (base/"each.py").write_text(textwrap.dedent(EACH))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend",
               "c10d",
               "--rdzv-endpoint", "127.0.0.1:0", str(base/"each.py"), str(base)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600,
                          env=os.environ | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1"))
    assert done.returncode == 0, done.stderr[-3000:]
    return base, data, [json.loads((base/f"rank{i}.json").read_text()) for i in range(2)]


def test_both_processes_end_with_the_same_weights(given):
    base, _, (first, second) = given
    assert set(first["weights"]) == set(HOW) and first["weights"] == second["weights"]
    for name in HOW:
        steps, losses = shared.curve(first["logs"][name], "loss")
        assert max(steps) == 4 * HOW[name]["epochs"] and len(losses) == len(steps)
        assert load_model(base/name)


def test_one_process_writes(given):
    base, _, (first, second) = given
    folders = [f"{name}.work" for name in HOW]
    own = [p for p in second["written"] if not p.endswith("/rng_state_1.pth") and ".work/data/" not in p]
    assert own == [], ("the second process writes the state of its random numbers, and tokens where TRL has "
                       "it tokenize, nothing else")
    assert all("rng_state_1" not in p for p in first["written"])
    assert all(any(p.startswith(folder) for p in first["written"]) for folder in folders)
    assert not any((base/folder).exists()
                   for folder in folders), "the checkpoints that nobody asked for are gone"


@pytest.mark.parametrize("name", HOW)
def test_two_processes_have_the_losses_of_one(name, given, tmp_path):
    base, data, (two, _) = given
    train, valid = data["sft" if name == "sft" else "dpo"]
    fit = sft.fit_sft if name == "sft" else dpo.fit_dpo
    log = fit(train, base/"model", tmp_path/"one", valid=valid, **HOW[name])
    first = {"sft": None, "dpo": "eval_loss", "kto": "eval_loss"}[name]
    if first:
        assert shared.curve(two["logs"][name], first)[1][0] == pytest.approx(shared.curve(log, first)[1][0],
            rel=1e-3)
    if name == "kto": return   # its reference point is a mean over what each process holds
    steps, losses = shared.curve(log, "loss")
    assert shared.curve(two["logs"][name], "loss")[0] == steps
    assert shared.curve(two["logs"][name], "loss")[1] == pytest.approx(losses,
        rel=2e-3), "DPO's SFT term is a mean of each process's mean"
    tok = shared.training_tokenizer(base/"model")
    rows = data["sft"][1]
    say = [shared.log_probabilities(load_model(folder)[0], tok, rows)
           for folder in (base/name, tmp_path/"one")]
    assert say[0] == pytest.approx(say[1], abs=.1)
