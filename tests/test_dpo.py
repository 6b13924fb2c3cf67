"Preference optimisation on minute models: starting values, formulas, refusals, determinism, and a kill in the middle."
import json, math, random, signal, subprocess, sys, textwrap
from pathlib import Path

import pytest
import torch

from codedpo_nb import dpo, sft
from codedpo_nb.corpus import code_document, mutate
from codedpo_nb.model import fresh_model, load, save, train_tokenizer
from codedpo_nb.records import digest
from codedpo_nb.tasks import task_space

torch.set_num_threads(1)
HOW = dict(beta=.2, lr=1e-3, epochs=3, batch=6)


def message(role, text): return [dict(role=role, content=text)]


@pytest.fixture(scope="session")
def pairs():
    r = random.Random(0)
    docs = [code_document(t, r, .6, 0.) for t in task_space(0)["train"][:60]]
    rows = [dict(task_id=d["task_id"], kind="correctness", prompt=message("user", d["prompt"]), chosen=message("assistant", d["answer"]),
                 rejected=message("assistant", mutate(d["answer"], r))) for d in docs]
    return [p for p in rows if p["chosen"] != p["rejected"]]


@pytest.fixture(scope="session")
def tiny(pairs, tmp_path_factory):
    tok = train_tokenizer([p["prompt"][0]["content"] + p["chosen"][0]["content"] for p in pairs], 450)
    folder = tmp_path_factory.mktemp("tiny")/"model"
    save(fresh_model(tok, 32, 1), tok, folder)
    return folder


def watch(pairs): return {side: [dict(p, completion=p[side]) for p in pairs[:5]] for side in ("chosen", "rejected")}
def first(log, key="eval_loss"): return next(row[key] for row in log if key in row)


def test_starting_loss_is_known_and_training_widens_the_margin(pairs, tiny, tmp_path):
    for objective in dpo.OBJECTIVES:
        log = dpo.fit_dpo(pairs, tiny, tmp_path/objective, objective, sft_weight=2., **HOW)
        start = {"dpo": math.log(2), "ipo": (1 / .4) ** 2, "kto": .5}.get(objective)
        if start: assert first(log) == pytest.approx(start, abs=1e-5)
        else: assert first(log) == pytest.approx(math.log(2) + 2 * math.log(450), abs=.5)
        if objective == "kto": assert sum(sft.curve(log, "loss")[1][-8:]) / 8 < .5
        else: assert sum(sft.curve(log, "rewards/margins")[1][-8:]) > 0
        assert load(tmp_path/objective)


def test_reference_is_the_start_and_is_computed_once(pairs, tiny, tmp_path):
    tok, model = sft.training_tokenizer(tiny), load(tiny)[0]
    settings = sft.common(tmp_path, len(pairs), 1e-3, 1, 6, 0, 512) | dpo.goal("dpo", .1, 0.)
    trainer = dpo.dpo_trainer(pairs, pairs[:6], tiny, tok, "dpo", settings)
    assert trainer.ref_model is None
    for side in ("chosen", "rejected"):
        assert trainer.train_dataset[f"ref_{side}_logps"][:] == pytest.approx(sft.log_probabilities(model, tok, pairs, side), abs=1e-3)


def test_formulas_at_hand_computed_points():
    assert dpo.dpo_loss(1., 1., 5.) == math.log(2)
    assert dpo.dpo_loss(2., 0., 1.) == pytest.approx(0.126928, abs=1e-6)
    assert dpo.dpo_loss(0., 2., 1.) == pytest.approx(2.126928, abs=1e-6)
    assert dpo.ipo_loss(4., -4., 1., (4, 2)) == pytest.approx((1 + 2 - .5) ** 2)
    assert dpo.kto_loss(2., True, 0., 1.) == pytest.approx(1 - 0.880797, abs=1e-6)
    assert dpo.kto_loss(2., False, 0., 1.) == pytest.approx(0.880797, abs=1e-6)


def test_sft_weight_is_used_by_its_objective_alone():
    assert dpo.goal("dpo+sft", .1, 7.)["loss_weights"] == [1., 7.]
    assert not any("loss_weights" in dpo.goal(o, .1, 7.) for o in ("dpo", "ipo", "kto"))
    with pytest.raises(ValueError, match="objective = 'orpo' is unknown: use one of dpo, "): dpo.goal("orpo", .1, 1.)


def test_unpaired_keeps_every_side_and_mixes_labels(pairs):
    rows = dpo.unpaired(pairs, 0)
    assert len(rows) == 2 * len(pairs) and rows == dpo.unpaired(pairs, 0) != dpo.unpaired(pairs, 1)
    blocks = [{r["label"] for r in rows[i:i + 12]} for i in range(0, len(rows) - 11, 12)]
    assert all(b == {True, False} for b in blocks)


@pytest.mark.parametrize("spoil, says", [
    (lambda pairs: [], "The set of training pairs is empty"),
    (lambda pairs: pairs[:7] + [pairs[7] | dict(rejected=pairs[7]["chosen"])] + pairs[8:], r"chosen equals rejected in row \d+ \("),
    (lambda pairs: [{k: v for k, v in p.items() if k != "chosen"} for p in pairs], r"lacks the column 'chosen' in row 1 \(.*\), row 2 .* and \d+ more"),
    (lambda pairs: pairs[:3] + [pairs[3] | dict(prompt=message("user", "word " * 999))] + pairs[4:], r"more than 1024 tokens in row \d+ \("),
    (lambda pairs: pairs[:3] + [pairs[3] | dict(rejected=message("assistant", "x = 1\n" * 999))] + pairs[4:], "prompt and rejected have more than 1024"),
])
def test_broken_pairs_are_refused_before_training(pairs, tiny, tmp_path, spoil, says):
    with pytest.raises(ValueError, match=says) as caught: dpo.fit_dpo(spoil(pairs), tiny, tmp_path/"model", **HOW)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


KILL = """
    import json, os, signal, torch
    from transformers import TrainerCallback
    from codedpo_nb import dpo
    torch.set_num_threads(1)
    class Kill(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 13: os.kill(os.getpid(), signal.SIGKILL)
    pairs = json.load(open({pairs!r}))
    watch = {{side: [dict(p, completion=p[side]) for p in pairs[:5]] for side in ("chosen", "rejected")}}
    for objective in ("dpo+sft", "kto"):
        if os.fork() == 0: dpo.fit_dpo(pairs, {tiny!r}, {folder!r} + objective, objective, **{how!r}, watch=watch, work={folder!r} + objective + " work", callbacks=[Kill()])
        print(os.wait()[1])
"""


def test_killed_and_resumed_equals_uninterrupted(pairs, tiny, tmp_path):
    (tmp_path/"pairs.json").write_text(json.dumps(pairs))
    script = KILL.format(pairs=str(tmp_path/"pairs.json"), tiny=str(tiny), folder=f"{tmp_path}/", how=HOW)
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert killed.stdout.split() == [str(int(signal.SIGKILL))] * 2, killed.stderr
    for objective in ("dpo+sft", "kto"):
        work = tmp_path/f"{objective} work"
        assert sft.newest_checkpoint(work) and not (tmp_path/objective).exists()
        resumed = dpo.fit_dpo(pairs, tiny, tmp_path/objective, objective, **HOW, watch=watch(pairs), work=work)
        whole = dpo.fit_dpo(pairs, tiny, tmp_path/f"{objective} whole", objective, **HOW, watch=watch(pairs))
        assert resumed == whole and digest(tmp_path/objective) == digest(tmp_path/f"{objective} whole")


def test_seed_decides_the_order(pairs, tiny, tmp_path):
    logs = [dpo.fit_dpo(pairs[:30], tiny, tmp_path/"model", "dpo", **HOW | dict(epochs=1), seed=s, valid=pairs[30:36]) for s in (0, 0, 1)]
    assert logs[0] == logs[1] != logs[2]


def test_training_is_quiet(pairs, tiny, tmp_path, capfd):
    capfd.readouterr()
    dpo.fit_dpo(pairs[:12], tiny, tmp_path/"model", epochs=1)
    assert capfd.readouterr() == ("", "") and [p.name for p in tmp_path.iterdir()] == ["model"]
