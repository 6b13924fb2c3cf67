"""Credible tests, calls inside tests, agreement without a reference, pairs by cost and by other rules, the
clock, the audit of a timing loop, and metrics."""
import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codedpo_nb import efficiency as ef
from codedpo_nb import efficiency_suites as suites
from codedpo_nb import sandbox
from codedpo_nb.benchmarks import pass_at_k
from codedpo_nb.isolation import border
from codedpo_nb.world import tasks

quick = settings(max_examples=60, deadline=None)


@quick
@given(st.integers(0,
                   6).flatmap(
    lambda m: st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 1), min_size=m, max_size=m)),
                       max_size=6)))
def test_candidates_pass_what_the_best_passes(rows):
    scores, matrix = [r[0] for r in rows], [r[1] for r in rows]
    credible = ef.credible_tests(scores, matrix)
    passing = ef.passing_solutions(matrix, credible)
    assert all(matrix[i][j] for i in passing for j in credible)
    if credible: assert ef.best_first(scores)[0] in passing
    else: assert passing == []


def test_calls_of():
    assert ef.calls_of("text = 'ab'\n# 'ba'\nassert f(text) == 'ba'", "f") == ["f('ab')"]
    assert ef.calls_of("a = [1]\nb = a\na = [2]\nassert f(a, other=b) == 3", "f") == ["f([2], other=[1])"]
    assert ef.calls_of("assert f(f(1)) == 1", "f") == ["f(f(1))", "f(1)"]
    assert ef.calls_of("for x in [1]:\n    assert f(x)", "f") == ["f(x)"]


def test_calls_do_what_the_assertions_do():
    task = tasks.task_space(0)["seed"][1]
    import random

    from codedpo_nb.world.corpus import reference_solution, test_document
    from codedpo_nb.world.sampling import extract_tests
    snippets = extract_tests(test_document(task, random.Random(1), 0)["answer"])
    calls = [c for s in snippets for c in ef.calls_of(s, task["name"])]
    found = sandbox.evaluate([reference_solution(task)], calls, workers=1)[0]
    scope = {}
    exec(reference_solution(task), scope)
    expected = [eval(s.split("assert ")[1].split(" == ")[1], dict(scope)) for s in snippets]
    assert found == [("pass", value) for value in expected]


def test_scaled_calls():
    task = tasks.task_space(0)["seed"][0]
    assert ef.scaled_calls(task, 3, 50) == ef.scaled_calls(task, 3, 50) != ef.scaled_calls(task, 3, 50,
        seed=1)
    assert ef.scaled_calls(dict(task_id="x"), 3, 50) == []


@quick
@given(st.lists(st.one_of(st.none(), st.sampled_from([["a"], ["b"], ["c"]])), max_size=8),
       st.randoms(use_true_random=False))
def test_agreeing_is_the_largest_group(outputs, r):
    order = r.sample(range(len(outputs)), len(outputs))
    passing = [i for i in range(len(outputs)) if r.random() < .8]
    found = ef.agreeing(outputs, passing, order)
    texts = [tuple(outputs[i]) for i in passing if outputs[i] is not None]
    if not texts: assert found == []
    else:
        most = max(map(texts.count, texts))
        assert len(found) == most and len({tuple(outputs[i]) for i in found}) == 1 and set(found) <= set(
            passing)
        rivals = [i for i in passing if outputs[i] is not None and texts.count(tuple(outputs[i])) == most]
        assert min(rivals, key=order.index) in found


@quick
@given(st.lists(st.one_of(st.none(), st.integers(1, 50)), max_size=8), st.floats(1, 4), st.data())
def test_fastest_and_slowest(costs, least, data):
    candidates = [i for i in range(len(costs)) if data.draw(st.booleans())]
    pair, ratio = ef.pick_fastest(costs, candidates, least), ef.cost_ratio(costs, candidates)
    known = [costs[i] for i in candidates if costs[i]]
    if pair:
        assert (costs[pair[0]], costs[pair[1]]) == (min(known),
                                                    max(known)) and pair[0] != pair[1] and ratio >= least * (
            1 - 1e-12)
    else: assert len(known) < 2 or max(known) < least * min(known) or max(known) == min(known)
    assert math.isnan(ratio) == (len(known) < 2)


def test_failing_programs_never_enter_a_pair():
    """A wrong program that is fast because it does less passes small tests, and loses its place on large
    inputs."""
    right = ["def f(xs): return sorted(xs)", "def f(xs):\n    out = list(xs)\n    for i in "
             "range(len(out)):\n        for j in range(i):\n"
             "            if out[j] > out[i]: out[i], out[j] = out[j], out[i]\n    return out"]
    lazy = "def f(xs): return xs if len(xs) < 3 else [min(xs)] + xs[1:]"
    programs, calls = [lazy, *right], ["f([4, 3, 2, 1])"]
    outputs = [[border.key(v) for _, v in row] for row in sandbox.evaluate(programs, calls, workers=1)]
    candidates = ef.agreeing(outputs, [0, 1, 2], [0, 1, 2])
    assert candidates == [1, 2]
    cost = [sum(row) for row in sandbox.cost(programs, calls, workers=1)]
    rows = ef.efficiency_pairs([dict(task_id="t", prompt="Sort.", solutions=programs)],
                               [dict(task_id="t", candidates=candidates, cost=cost)], 1.5)
    assert (rows[0]["chosen_index"], rows[0]["rejected_index"]) == (1,
        2) and json.loads(json.dumps(rows)) == rows


def test_bad_input_is_one_sentence():
    with pytest.raises(ValueError, match="min_ratio = 0.5.*give 1 or more"): ef.pick_fastest([1], [0], .5)
    with pytest.raises(ValueError, match="a stands beside the costs of b: run 03_efficiency again"):
        ef.efficiency_pairs([dict(task_id="a")], [dict(task_id="b")])


# ------------------------------------------------------------------ the clock

def test_paired_ratio_and_band_ignore_what_rounds_have_in_common():
    r = np.random.default_rng(0)
    # rounds differ by factors, copies by a hundredth
    noise, copies = np.exp(r.normal(0, 1, (201, 1))), np.exp(r.normal(0, .01, (201, 4)))
    a, b, c, d = (noise * copies * [1.1, 1, 1.1, 1]).T
    assert ef.paired_ratio([a, c], [b, d]) == pytest.approx(1.1, rel=.005)
    assert 1 < ef.noise_band(np.stack([a, b], 1), np.stack([c, d], 1)) < 1.01


@pytest.mark.parametrize("ratio, band, expected",
                         [(1.2, 1.05, "faster"), (1 / 1.2, 1.05, "slower"), (1.09, 1, "equal"),
                          (1.5, 1.6, "equal"), (1.1, 1.01, "faster")])
def test_verdict_needs_a_tenth_and_more_than_noise(ratio, band, expected):
    assert ef.verdict(ratio, band) == expected


def test_compare_speed_sees_work_that_instructions_hide():
    hidden, plain = ("def f(xs): return [x for x in xs if x in xs]", "def f(xs):\n    seen = set(xs)\n    "
                     "return [x for x in xs if x in seen]")
    with sandbox.Pool(1) as pool:
        found = ef.compare_speed(hidden, plain, ["f(list(range(800)))"], rounds=9, pool=pool)
        same = ef.compare_speed(plain, plain, ["f(list(range(800)))"], rounds=9, pool=pool)
        failed = ef.compare_speed(plain, "def f(xs): return y", ["f([1])"], rounds=7, pool=pool)
    assert found["verdict"] == "faster" and found["ratio"] > 2 and same["ratio"] < 1.5
    assert failed["verdict"] == "failed" and math.isnan(failed["ratio"])


# ------------------------------------------------------------------ rules for pairs

@quick
@given(st.lists(st.one_of(st.none(), st.integers(1, 9)), max_size=9))
def test_regimes_are_distributions_over_allowed_pairs(cost):
    passing, failing = (sorted((i for i, c in enumerate(cost) if c), key=lambda i: (cost[i], i)),
                        [i for i, c in enumerate(cost) if not c])
    for name, regime in ef.REGIMES.items():
        found = regime(cost, passing, failing)
        assert not found or sum(found.values()) == pytest.approx(1)
        for i, j in found:
            assert i in passing and i != j
            if "released" not in name and j in passing: assert cost[i] < cost[j]
            if name in ("quick, slow", "fastest, slowest", "fastest, random slower", "top quarter, rest"):
                assert j in passing
    differ = len({cost[i] for i in passing}) > 1
    assert bool(ef.fastest_slowest(cost, passing, failing)) == differ == bool(ef.quick_slow(cost, passing,
        failing))


def test_released_sampler_mostly_draws_failing_programs():
    found = ef.released_quick_slow([1, 2, 3] + [None] * 7, [0, 1, 2], list(range(3, 10)))
    assert sum(p for (i, j), p in found.items() if j > 2) == pytest.approx((7 / 9 + 7 / 8) / 2)
    assert all(i < 2 for i, _ in found), "the slowest is never chosen"
    assert {i for i, _ in ef.released_all([1, 2, 3, None], [0, 1, 2], [3])} == {0, 1, 2}


def test_drawing_a_pair_follows_the_distribution():
    rng = np.random.default_rng(0)
    drawn = [ef.draw_pair("fastest, random slower", [1, 2, 3, None], [2, 0, 1], [3], rng) for _ in range(400)]
    assert set(drawn) == {(0, 1), (0, 2)} and 150 < drawn.count((0, 1)) < 250
    assert ef.draw_pair("passed, failed", [1], [0], [], rng) is None
    with pytest.raises(ValueError, match="unknown regime 'qvs'; choose one of passed, failed"):
        ef.draw_pair("qvs", [], [], [], rng)


# ------------------------------------------------------------------ the audit of a timing loop

def test_timing_loop_and_its_parts():
    text = "def f(x):\n    return [v for v in x if v]\nassert f([0, 1]) == [1]"
    with sandbox.Pool(1) as pool:
        labels = ef.loop_labels([text, "assert False"], runs=2, pool=pool)
        share = ef.compile_share(text, pool)
    assert labels.shape == (2,
                            2) and (labels[0] > 1e-6).all() and np.isnan(labels[1]).all() and .5 < share < 1


def test_label_ratios_and_choice():
    same, other = ef.label_ratios([1, 2, 4], ["a", "b", "a"])
    assert (same, other) == ([4], [2, 2])
    found = ef.chosen_by([3, 1, 2], [10, 40, 20], [30, 10, 20])
    assert found == dict(with_length=1, with_cost=-1, shortest=True, over_least=4)


def test_a_problem_of_the_audit():
    row = ef.audit_row("HumanEval/0", ["def f(x): return x", "def f(x): return +x"],
                       ["assert f(1) == 1", "assert f(*(2,)) == 2", "assert f(1) == f(1)"], "f")
    assert row["calls"] == ["f(1)", "f(*(2,))"] and len(row["texts"]) == 2
    with sandbox.Pool(1) as pool:
        assert sandbox.run(row["texts"], ["assert f(3) == 3"], pool=pool).counts() == {"pass": 2}


@quick
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 99)), min_size=1, max_size=8))
def test_the_shortest_is_no_cheaper_than_the_least_and_costs_what_it_costs(rows):
    lengths, cost = map(list, zip(*rows, strict=False))
    found = ef.short_reward(lengths, cost)
    short = [math.log(c) for l, c in rows if l == min(lengths)]
    assert found["over_least"] == pytest.approx(np.mean(short) - math.log(min(cost))) and found[
        "over_least"] > -1e-9
    assert found["over_random"] == pytest.approx(np.mean(short) - np.mean(np.log(cost)), abs=1e-9)
    assert -1 <= round(found["correlation"], 9) <= 1


# ------------------------------------------------------------------ metrics

@quick
@given(st.lists(st.tuples(st.floats(.1, 10), st.floats(.1, 10), st.booleans()), min_size=1, max_size=9))
def test_speed_up_never_punishes(rows):
    before, after, right = zip(*rows, strict=False)
    found = ef.speed_up(before, after, right)
    assert 1 <= found["geometric"] <= found["arithmetic"] + 1e-9 and 0 <= found["optimised"] <= 1
    assert ef.speed_up(before, before) == dict(arithmetic=1, geometric=1, optimised=0)


def test_metrics_by_hand():
    assert ef.speed_up([4, 4], [1, math.nan], [True, False]) == dict(arithmetic=2.5, geometric=2,
        optimised=.5)
    assert ef.dps(3, [1, 2, 4, 4]) == (50, pytest.approx(100 / 3)) and ef.dps(5, [1, 2, 4, 4]) == (0, 0)
    assert [ef.beyond(c, [10, 20]) for c in (5, 10, 15, 20, 30)] == [1, 1, .5, 0, 0]
    assert suites.enamel_score([1, 2, 3], [1, 2, 3],
                               weights=[3, 3, 4]) == 1 and suites.enamel_score([1, 7, 1],
        [1, 2, 3]) == pytest.approx(1 / 3)
    assert suites.effibench(dict(ET=[2, 2]), dict(ET=[1, 4])) == {"ET": 2, "NET": .8, "NET of ratios": 1.25}
    assert suites.effibench(dict(MU=[1, 5], TMU=[4, 8]), dict(MU=[1, 1], TMU=[2, 4])) == {"MU": 3, "NMU": 3,
        "NMU of ratios": 3, "TMU": 6, "NTMU": 2, "NTMU of ratios": 2}


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=7), st.data())
def test_eff_at_k_is_the_mean_over_all_choices(scores, data):
    k = data.draw(st.integers(1, len(scores)))
    assert suites.eff_at_k(scores,
                           k) == pytest.approx(np.mean([max(c) for c in itertools.combinations(scores, k)]))


@quick
@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_eff_at_k_of_right_and_wrong_is_pass_at_k(case):
    n, c, k = case
    assert suites.eff_at_k([1] * c + [0] * (n - c), k) == pytest.approx(pass_at_k(n, c, k))


@quick
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), min_size=1, max_size=6))
def test_weighted_median_is_the_lower_median_of_repeated_values(rows):
    values, weights = map(list, zip(*rows, strict=False))
    repeated = sorted(v for v, w in rows for _ in range(w))
    assert ef.weighted_median(values, np.array(weights) / sum(weights)) == repeated[(len(repeated) - 1) // 2]
    assert math.isnan(ef.weighted_median([], []))


# ------------------------------------------------------------------ memory

def test_memory_is_the_same_each_time_whatever_ran_before():
    programs = ["def f(n):\n    kept = [float(i) for i in range(n)]\n    return sum(kept)",
                "def f(n): return sum(float(i) for i in range(n))", "def f(n): return len([0] * n) and 1"]
    calls, found = ["f(100)", "f(2000)"], []
    for busy, order in ((0, [0, 1, 2]), (30, [2, 1, 0])):
        with sandbox.Pool(1) as pool:
            if busy:
                sandbox.run([f"{p}\n# {i}" for i in range(busy) for p in programs], ["assert f(3)"],
                            pool=pool)
            measured = sandbox.memory([programs[i] for i in order], calls, pool=pool)
        found.append([measured[order.index(i)] for i in range(3)])
    kept, streamed, inside = found[0]
    assert found[0] == found[1]
    assert kept[1][0] > 2000 * (8 + 24) > 10 * streamed[1][0], "two thousand floats and the list of them"
    assert inside[1][0] > 2000 * 8 and inside[0][1] < kept[0][
        1], "the peak sees a list that lives for a moment, the sum hardly"


def test_memory_of_what_fails_is_unknown():
    found = sandbox.memory(["def f(n):\n    while n: pass\n    return 1", "def g(n): return 1"],
                           ["f(1)", "f(0)"], budget=1000, workers=1)
    assert found[0][0] is None and found[1] == [None, None]
    within, beyond = (sandbox.memory(["def f(n):\n    for i in range(n): pass"], ["f(10)", "f(5000)"],
                                     budget=1000, workers=1)[0])
    assert within and beyond is None, "a call of more instructions than the budget is given up"
