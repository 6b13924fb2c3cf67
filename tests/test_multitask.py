"""Weightings of tasks against loops and numbers worked out by hand, and the trainer that uses them against
TRL's own."""
import math

import numpy as np
import pytest
import test_sft
import torch
from test_sft import HOW
from transformers import TrainerCallback

from codedpo_nb import sft
from codedpo_nb.training import multitask as mt
from codedpo_nb.training import shared

torch.set_num_threads(1)
rows, tiny = test_sft.rows, test_sft.tiny   # fixtures


def by_loop(losses, mask, tasks, case, weights):
    "MFTCoder's cases, written out with Python's numbers."
    each = [[x for x, m in zip(row, on, strict=True) if m] for row,
            on in zip(losses.tolist(), mask.tolist(), strict=True)]
    mean = lambda x: sum(x) / len(x)
    if case == 1: return mean(sum(each, []))
    if case == 2: return mean([mean(row) for row in each])
    total = share = 0
    for t in sorted(set(tasks.tolist())):
        mine = [row for row, task in zip(each, tasks.tolist(), strict=True) if task == t]
        total += weights[t] * (mean(sum(mine, [])) if case == 3 else mean([mean(row) for row in mine]))
        share += weights[t]
    return total / share


@pytest.mark.parametrize("case", [1, 2, 3, 4])
def test_cases_equal_a_loop(case):
    g = torch.Generator().manual_seed(case)
    for _ in range(20):
        losses, mask = torch.rand(6, 9, generator=g), (torch.rand(6, 9, generator=g) < .6).int()
        mask[:, 0] = 1
        tasks, weights = torch.randint(0, 4, (6,), generator=g), torch.rand(4, generator=g).tolist()
        assert mt.task_loss(losses, mask, tasks, case,
                            weights).item() == pytest.approx(by_loop(losses, mask, tasks, case, weights),
                                                             rel=1e-5)


def test_slopes_equal_polyfit():
    history = np.random.default_rng(0).random((12, 3))
    expected = [np.polyfit(range(len(h)), h, 1)[0] for end in range(2, 13)
                for h in [history[max(0, end - 5):end]]]
    assert mt.slopes(history, 5) == pytest.approx(np.array(expected))


def test_self_paced_by_hand():
    # slopes -.1 and -.3; relative -.5 and -1.5; shares 1/(1+e^-1) and the rest; scores .5 * share, 1.5 *
    # share
    share = 1 / (1 + math.exp(-1))
    gap = 50 * (.5 * share - 1.5 * (1 - share))
    assert mt.self_paced([[1, 1], [.9, .7], [.8, .4]]) == pytest.approx([1 / (1 + math.exp(-gap)),
        1 / (1 + math.exp(gap))])


def test_coba_by_hand_when_the_worst_task_has_turned():
    # window 2: slopes of a -.2, -.2 and of b -.4, +.3 (as shares of the first loss); of the worst task -.2,
    # +.1 (1, .8, .9)
    weights = mt.coba([[2., 1.], [1.6, .6], [1.2, .9]], window=2, tau=1)
    e = math.exp
    together = np.array([e(-.2 / .25), e(.3 / .25)]); together /= together.sum()
    own = np.array([e(1), e(-.3 / .35)]); own /= own.sum()
    divergence = 2 * e(-.1 / .15) / (e(.2 / .15) + e(-.1 / .15))
    mixed = np.exp(2 * (divergence * together + (1 - divergence) * own)); mixed /= mixed.sum()
    assert weights == pytest.approx(.05 + .9 * mixed)
    assert divergence < 1 and weights.sum() == pytest.approx(1) and weights.min() >= .05


def test_weights_are_equal_in_the_warm_up_and_for_fixed_cases():
    history = [[1, 1], [.9, .7], [.8, .4]]
    for how in mt.WEIGHTINGS: assert mt.weights_now(how, history, 2) == pytest.approx([.5, .5])
    for how in ("selfpaced", "coba"): assert abs(mt.weights_now(how, history, 2, warm_up=2)[0] - .5) > .1


def test_long_runs_have_mftcoders_lengths_and_short_ones_twice_their_warm_up():
    history = 1 + np.random.default_rng(0).random((260, 3))
    assert mt.weights_now("coba", history, 3) == pytest.approx(mt.coba(history, 200))
    assert mt.weights_now("selfpaced", history, 3) == pytest.approx(mt.self_paced(history, 100))
    assert mt.weights_now("coba", history, 3, warm_up=4) == pytest.approx(mt.coba(history, 8))
    assert mt.weights_now("coba", history[:4], 3, warm_up=4) == pytest.approx([1 / 3] * 3)


@pytest.fixture
def two(rows):
    "Rows of two tasks, and some held out."
    named = [r | dict(task="code" if i % 3 else "size") for i, r in enumerate(rows)]
    return named[:32], named[32:44]


def test_case_1_is_trl(two, tiny, tmp_path):
    how = dict(lr=3e-3, epochs=1, batch=8, valid=two[1])
    plain, weighted = (
        sft.fit_sft(two[0], tiny, tmp_path/f"{w}", **how, weighting=w) for w in (None, "case1"))
    for key in ("loss", "eval_loss", "grad_norm"):
        assert shared.curve(weighted, key)[1] == pytest.approx(shared.curve(plain, key)[1], rel=1e-4)


def test_adaptive_weights_are_used_logged_and_survive_a_break(two, tiny, tmp_path):
    how = dict(lr=3e-3, epochs=2, batch=8, valid=two[1], weighting="coba")
    log = sft.fit_sft(two[0], tiny, tmp_path/"whole", **how)
    probes = [row["task_losses"] for row in log if "task_losses" in row]
    assert len(probes) == 8 and all(len(p) == 2 for p in probes)
    used = shared.curve(log, "code_weight")[1]
    assert used == pytest.approx(
        [float(mt.weights_now("coba", probes[:i], 2, 2)[0]) for i in range(1, 9)]) and len(set(used)) > 2
    class Stop(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            if state.global_step == 4: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        sft.fit_sft(two[0], tiny, tmp_path/"halves", **how, work=tmp_path/"work", callbacks=[Stop()])
    assert sft.fit_sft(two[0], tiny, tmp_path/"halves", **how, work=tmp_path/"work") == log


@pytest.mark.parametrize("change, says", [
    (dict(weighting="case9"), "weighting = 'case9' is unknown: use one of case1, case2, case3, case4, "
     "selfpaced, coba"),
    (dict(weighting="case3", packing=True), "packing = True mixes tasks"),
    (dict(weighting="case3", valid="one"), "Tasks size are not both in the training and in the validation "
     "part"),
    (dict(weighting="case3", valid="none"), "the name of their task .* missing in row 1 "),
])
def test_tasks_that_cannot_be_weighted_are_refused(two, tiny, tmp_path, change, says):
    train, valid = two
    spoiled = dict(one=[r for r in valid if r["task"] == "code"],
                   none=[{k: v for k, v in r.items() if k != "task"} for r in valid])
    change = dict(valid=valid) | change
    with pytest.raises(ValueError, match=says):
        sft.fit_sft(train, tiny, tmp_path/"model", **HOW,
                    **change
                    | dict(valid=spoiled.get(change["valid"]) if isinstance(change["valid"], str) else valid))
    assert not list(tmp_path.iterdir())
