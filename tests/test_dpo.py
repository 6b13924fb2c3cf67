"""Preference optimisation on minute models: starting values, formulas, refusals, determinism, and a kill in
the middle."""
import json
import math
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from codedpo_nb import dpo
from codedpo_nb.running.records import digest
from codedpo_nb.training import shared
from codedpo_nb.world.corpus import code_document, mutate
from codedpo_nb.world.model import fresh_model, load_model, newest_checkpoint, save_model, train_tokenizer
from codedpo_nb.world.tasks import task_space

torch.set_num_threads(1)
HOW = dict(beta=.2, lr=1e-3, epochs=3, batch=6)


def message(role, text): return [dict(role=role, content=text)]
def arguments(folder, n, batch):
    return shared.trainer_arguments(folder, n, shared.Settings(lr=1e-3, epochs=1, batch=batch, longest=512))


@pytest.fixture(scope="session")
def pairs():
    r = random.Random(0)
    docs = [code_document(t, r, .6, 0.) for t in task_space(0)["train"][:60]]
    rows = [dict(task_id=d["task_id"], kind="correctness", prompt=message("user", d["prompt"]),
                 chosen=message("assistant", d["answer"]),
                 rejected=message("assistant", mutate(d["answer"], r))) for d in docs]
    return [p for p in rows if p["chosen"] != p["rejected"]]


@pytest.fixture(scope="session")
def tiny(pairs, tmp_path_factory):
    tok = train_tokenizer([p["prompt"][0]["content"] + p["chosen"][0]["content"] for p in pairs], 450)
    folder = tmp_path_factory.mktemp("tiny")/"model"
    save_model(fresh_model(tok, 32, 1), tok, folder)
    return folder


def watch(pairs):
    return {side: [dict(p, completion=p[side]) for p in pairs[:5]] for side in ("chosen", "rejected")}
def first(log, key="eval_loss"): return next(row[key] for row in log if key in row)


def test_starting_loss_is_known_and_training_widens_the_margin(pairs, tiny, tmp_path):
    for objective in [*dpo.OBJECTIVES, "dpo+sft"]:
        log = dpo.fit_dpo(pairs, tiny, tmp_path/objective, objective=objective, sft_weight=2., **HOW)
        start = {"dpo": math.log(2), "robust": math.log(2), "length": math.log(2), "ipo": (1 / .4) ** 2,
                 "kto": .5}.get(objective)
        if start: assert first(log) == pytest.approx(start, abs=1e-5)
        else: assert first(log) == pytest.approx(math.log(2) + 2 * math.log(450), abs=.5)
        if objective == "kto": assert sum(shared.curve(log, "loss")[1][-8:]) / 8 < .5
        else: assert sum(shared.curve(log, "rewards/margins")[1][-8:]) > 0
        assert load_model(tmp_path/objective)


@pytest.mark.parametrize("tuning", ["lora", "qlora"])
def test_adapters_are_trained_merged_and_answer(pairs, tiny, tmp_path, tuning):
    log = dpo.fit_dpo(pairs, tiny, tmp_path/tuning, objective="dpo", tuning=tuning, rank=4,
                      **HOW | dict(lr=1e-2))
    assert first(log) == pytest.approx(math.log(2),
                                       abs=1e-5), "without its adapter the model is the reference"
    assert sum(shared.curve(log, "rewards/margins")[1][-8:]) > 0
    model, tok = load_model(tmp_path/tuning)
    assert digest(tmp_path/tuning/"model.safetensors") != digest(Path(tiny)/"model.safetensors")
    assert model.generate(**tok("def", return_tensors="pt"), max_new_tokens=3).shape[1] > 1


def test_reference_is_the_start_and_is_computed_once(pairs, tiny, tmp_path):
    tok, model = shared.training_tokenizer(tiny), load_model(tiny)[0]
    settings = arguments(tmp_path, len(pairs), 6) | dpo.goal("dpo", .1, 0.)
    trainer = dpo.dpo_trainer(pairs, pairs[:6], tiny, tok, "dpo", settings)
    assert trainer.ref_model is None
    for side in ("chosen", "rejected"):
        assert trainer.train_dataset[f"ref_{side}_logps"][:] == pytest.approx(shared.log_probabilities(model,
            tok, pairs, side), abs=1e-3)


def test_formulas_at_hand_computed_points():
    assert dpo.dpo_loss(1., 1., 5.) == math.log(2)
    assert dpo.dpo_loss(2., 0., 1.) == pytest.approx(0.126928, abs=1e-6)
    assert dpo.dpo_loss(0., 2., 1.) == pytest.approx(2.126928, abs=1e-6)
    assert dpo.ipo_loss(4., -4., 1., (4, 2)) == pytest.approx((1 + 2 - .5) ** 2)
    assert dpo.kto_loss(2., True, 0., 1.) == pytest.approx(1 - 0.880797, abs=1e-6)
    assert dpo.kto_loss(2., False, 0., 1.) == pytest.approx(0.880797, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_losses_are_stable_for_large_margins(dtype):
    w = torch.tensor([1e4, -1e4, 0.], dtype=dtype, requires_grad=True)
    loss = dpo.dpo_loss(w, torch.zeros(3, dtype=dtype), 1.)
    loss.sum().backward()
    far = torch.tensor(1e4, dtype=dtype).item()   # bfloat16 has eight bits
    assert loss.tolist() == pytest.approx([0., far, math.log(2)], rel=1e-2) and loss.dtype == dtype
    assert w.grad.tolist() == [0., -1., -.5] and loss.isfinite().all()
    for margin in (1e4, -1e4, 0.):
        assert dpo.dpo_loss(margin, 0.,
                            1.) == pytest.approx(max(-margin, 0.) + math.log1p(math.exp(-abs(margin))))
    assert [dpo.robust_loss(m, 0., 1., .2) for m in (1e4, -1e4)] == pytest.approx([-.2e4 / .6, .8e4 / .6])
    assert [dpo.kto_loss(m, True, 0., 1.) for m in (1e4, -1e4)] == [0., 1.]


@pytest.mark.parametrize("change, says", [
    (dict(beta=0), "beta = 0 is no tie to the reference: give a number above 0"),
    (dict(sft_weight=-1), "sft_weight = -1 is no weight: give a number from 0"),
    (dict(tail=-.5), "tail = -0.5 is no weight"),
    (dict(noise=.5), "noise = 0.5 of the pairs cannot be wrong"),
    (dict(objective="ppo"), "objective = 'ppo' is unknown"),
    (dict(lr=-1), "lr = -1 is no learning rate")])
def test_wrong_settings_are_refused_where_they_are_given(change, says, pairs, tiny, tmp_path):
    with pytest.raises(ValueError, match=says): dpo.DPOSettings(**change)
    with pytest.raises(ValueError, match=says):
        dpo.fit_dpo(pairs, tiny, tmp_path/"model", dpo.DPOSettings(), **change)
    assert not list(tmp_path.iterdir())


def test_sft_weight_is_used_by_its_objective_alone():
    assert dpo.goal("dpo+sft", .1, 7.)["loss_weights"] == [1., 7.]
    assert not any("loss_weights" in dpo.goal(o, .1, 7.) for o in dpo.OBJECTIVES)
    assert dpo.goal("robust+sft", .1, 7.)["loss_type"] == ["robust", "sft"]
    for wrong in ("orpo", "kto+sft", "dpo+", "dpo+sft+sft", ""):
        with pytest.raises(ValueError, match="is unknown: use one of dpo, ipo, robust, length, kto, or"):
            dpo.goal(wrong, .1, 1.)


def test_robust_loss_undoes_turned_pairs_and_length_control_counts_the_tail_less():
    assert dpo.robust_loss(2., 0., 1., .25) == pytest.approx((.75 * 0.126928 - .25 * 2.126928) / .5, abs=1e-6)
    assert dpo.controlled([-1., -2., -3., -4.], 2, .5) == -3 - 3.5 and dpo.controlled([-1.], 9, .5) == -1
    for noise in (.5, 1., -.1):
        with pytest.raises(ValueError, match="cannot be wrong"): dpo.goal("robust", .1, noise=noise)


def test_references_are_not_taken_over_from_another_objective(pairs, tiny, tmp_path):
    """TRL names the file of the references after the data and the model alone; taken over by length control
    or masks, they would give a first loss other than ln 2."""
    for objective, masked in (("dpo", False), ("length", False), ("dpo", True)):
        log = dpo.fit_dpo(pairs, tiny, tmp_path/"model", objective=objective, **HOW | dict(epochs=1, lr=1e-6),
                          tail=.1, masked=masked)
        assert first(log) == pytest.approx(math.log(2), abs=1e-5), (objective, masked)


def test_parts_agree_with_a_direct_search():
    r = random.Random(1)
    for _ in range(200):
        a, b = ([r.randrange(3) for _ in range(r.randrange(9))] for _ in "ab")
        found, n = dpo.parts(a, b), next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y),
                                         min(len(a), len(b)))
        assert len(found) == len(a) and [w == "before" for w in found] == [i < n for i in range(len(a))]
        shared = [x for x, w in zip(a, found, strict=True) if w == "shared"]
        rest = iter(b[n:])
        # a common subsequence of what follows the first difference
        assert all(any(x == y for y in rest) for x in shared)


def test_masked_tokens_get_no_gradient(pairs, tiny, tmp_path):
    settings = arguments(tmp_path, len(pairs), 4) | dpo.goal("dpo", .1)
    batches = {}
    for masked in (False, True):
        trainer = dpo.dpo_trainer(pairs, pairs[:4], tiny, shared.training_tokenizer(tiny), "dpo", settings,
                                  masked=masked)
        batches[masked] = trainer.data_collator([trainer.train_dataset[i] for i in range(4)])
    assert batches[True]["input_ids"].equal(batches[False]["input_ids"])
    gone = batches[False]["completion_mask"] - batches[True]["completion_mask"]
    assert gone.min() == 0 and gone.sum() > 0 and batches[True]["completion_mask"].sum() > 0


def test_sampled_answers_are_logged_at_both_ends_and_disturb_nothing(pairs, tiny, tmp_path):
    tasks = dpo.held_out(task_space(0)["valid"], 2, 0, tests=3)
    assert tasks == dpo.held_out(task_space(0)["valid"], 2, 0,
                                 tests=3) and all(len(t["tests"]) == 3 for t in tasks)
    plain = dpo.fit_dpo(pairs, tiny, tmp_path/"plain", objective="dpo", **HOW)
    seen = dpo.fit_dpo(pairs, tiny, tmp_path/"seen", objective="dpo", **HOW,
                       callbacks=[dpo.Sampled(tasks, 3, 3, tiny, longest=8)])
    assert [row for row in seen
            if "sampled" not in row] == plain and digest(tmp_path/"plain") == digest(tmp_path/"seen")
    rows = [row for row in seen if "sampled" in row]
    assert len(rows) == 3 and rows[0]["step"] == 0 and rows[-1]["step"] == max(row["step"] for row in plain)
    assert rows[0]["sampled"]["kl"] == [0., 0.] != rows[-1]["sampled"]["kl"]
    assert set(rows[0]["sampled"]) == {"passed", "syntax", "tokens", "kl"}


def test_a_model_that_writes_right_programs_passes(pairs, tiny, monkeypatch):
    from codedpo_nb.world.corpus import reference_solution
    task = task_space(0)["valid"][0]
    said = [reference_solution(task), "def broken(:", "def wrong(): pass"]
    monkeypatch.setattr(dpo, "sample", lambda *args, **how: [said])
    model, tok = load_model(tiny)[0], shared.training_tokenizer(tiny)
    found = dpo.look_at(model, model, tok, dpo.held_out([task], 1, 0), 3, 0)
    assert found["passed"] == [.3333] and found["syntax"] == [.3333] and found["kl"] == [0.]


def test_on_policy_pairs_are_right_against_wrong_by_the_tests_that_the_chosen_side_passed(monkeypatch):
    v = dict(task_id="a", prompt="Write f.", solutions=["def f(): return 1", "def f(): return 2"],
             tests=["assert f() == 1", "assert f() == 9"], matrix=[[1, 0], [0, 0]])
    pair = dict(task_id="a", kind="correctness", prompt=message("user", "Write f."), chosen_index=0,
                rejected_index=1)
    monkeypatch.setattr(dpo, "sample", lambda *args, **how: [["def f(): return 3", "def f(): return 5 - 4"]])
    made = dpo.on_policy_pairs([pair], [v], None, None, 2, 0)
    assert [(p["chosen"][0]["content"], p["rejected"][0]["content"])
            for p in made] == [("def f(): return 5 - 4", "def f(): return 3")]


def test_nearest_pairs_keep_the_chosen_side(pairs):
    v = dict(task_id="a", prompt="f", solutions=["return 1", "return 2", "x = 3", "return 1 "],
             tests=["t", "u"], matrix=[[1, 1], [1, 0], [0, 0], [1, 1]])
    pair = dict(task_id="a", kind="correctness", prompt=message("user", "f"),
                chosen=message("assistant", "return 1"), rejected=message("assistant", "x = 3"),
                chosen_index=0, rejected_index=2)
    made = dpo.nearest_pairs([pair], [v])[0]
    assert made["rejected_index"] == 1 and made["chosen"] == pair["chosen"]


def test_answers_of_one_kind_are_refused_for_kto(pairs, tiny, tmp_path):
    rows = [dict(task_id=p["task_id"], prompt=p["prompt"], completion=p[side], label=side == "chosen")
            for p in pairs for side in ("chosen", "rejected")]
    for wanted, word in ((True, "desirable"), (False, "undesirable")):
        with pytest.raises(ValueError, match=f"training answers has {word} answers only: row 1 .* more; KTO "
                           "needs both") as caught:
            dpo.fit_dpo([r for r in rows if r["label"] == wanted], tiny, tmp_path/"model", objective="kto",
                        **HOW)
        assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"true or false in 'label' in row \d+ \("):
        dpo.fit_dpo([rows[0] | dict(label="good"), *rows[1:]], tiny, tmp_path/"model", objective="kto",
                    share=.02, **HOW)
    log = dpo.fit_dpo(rows, tiny, tmp_path/"model", objective="kto", **HOW | dict(epochs=1))
    assert first(log) == pytest.approx(.5, abs=1e-5)


def test_unpaired_keeps_every_side_and_mixes_labels(pairs):
    rows = dpo.unpaired(pairs, 0)
    assert len(rows) == 2 * len(pairs) and rows == dpo.unpaired(pairs, 0) != dpo.unpaired(pairs, 1)
    blocks = [{r["label"] for r in rows[i:i + 12]} for i in range(0, len(rows) - 11, 12)]
    assert all(b == {True, False} for b in blocks)


@pytest.mark.parametrize("spoil, says", [
    (lambda pairs: [], "The set of training pairs is empty"),
    (lambda pairs: pairs[:7] + [pairs[7] | dict(rejected=pairs[7]["chosen"])] + pairs[8:],
     r"chosen equals rejected in row \d+ \("),
    (lambda pairs: [{k: v for k, v in p.items() if k != "chosen"} for p in pairs], r"lacks the column "
     r"'chosen' in row 1 \(.*\), row 2 .* and \d+ more"),
    (lambda pairs: pairs[:3] + [pairs[3] | dict(prompt=message("user", "word " * 999))] + pairs[4:],
     r"more than 1024 tokens in row \d+ \("),
    (lambda pairs: pairs[:3] + [pairs[3] | dict(rejected=message("assistant", "x = 1\n" * 999))] + pairs[4:],
     "prompt and rejected have more than 1024"),
])
def test_broken_pairs_are_refused_before_training(pairs, tiny, tmp_path, spoil, says):
    with pytest.raises(ValueError, match=says) as caught:
        dpo.fit_dpo(spoil(pairs), tiny, tmp_path/"model", **HOW)
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
        if os.fork() == 0: dpo.fit_dpo(pairs, {tiny!r}, {folder!r} + objective, objective=objective, **{how!r}, watch=watch, work={folder!r} + objective + " work", callbacks=[Kill()])
        print(os.wait()[1])
"""  # noqa: E501


def test_killed_and_resumed_equals_uninterrupted(pairs, tiny, tmp_path):
    (tmp_path/"pairs.json").write_text(json.dumps(pairs))
    script = KILL.format(pairs=str(tmp_path/"pairs.json"), tiny=str(tiny), folder=f"{tmp_path}/", how=HOW)
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=Path(__file__).parent.parent,
                            capture_output=True, text=True)
    assert killed.stdout.split() == [str(int(signal.SIGKILL))] * 2, killed.stderr
    for objective in ("dpo+sft", "kto"):
        work = tmp_path/f"{objective} work"
        assert newest_checkpoint(work) and not (tmp_path/objective).exists()
        resumed = dpo.fit_dpo(pairs, tiny, tmp_path/objective, objective=objective, **HOW, watch=watch(pairs),
                              work=work)
        whole = dpo.fit_dpo(pairs, tiny, tmp_path/f"{objective} whole", objective=objective, **HOW,
                            watch=watch(pairs))
        assert resumed == whole and digest(tmp_path/objective) == digest(tmp_path/f"{objective} whole")


def test_seed_decides_the_order(pairs, tiny, tmp_path):
    logs = [dpo.fit_dpo(pairs[:30], tiny, tmp_path/"model", objective="dpo", **HOW | dict(epochs=1), seed=s,
                        valid=pairs[30:36]) for s in (0, 0, 1)]
    assert logs[0] == logs[1] != logs[2]


def test_training_is_quiet(pairs, tiny, tmp_path, capfd):
    capfd.readouterr()
    dpo.fit_dpo(pairs[:12], tiny, tmp_path/"model", epochs=1)
    assert capfd.readouterr() == ("", "") and [p.name for p in tmp_path.iterdir()] == ["model"]
