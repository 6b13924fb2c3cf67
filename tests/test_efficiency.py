"""Credible tests, calls inside tests, agreement without a reference, and pairs by cost."""
import json, math

import pytest
from hypothesis import given, settings, strategies as st

from codedpo_nb import efficiency as ef, sandbox, tasks

quick = settings(max_examples=60, deadline=None)


@quick
@given(st.integers(0, 6).flatmap(lambda m: st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 1), min_size=m, max_size=m)), max_size=6)))
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
    from codedpo_nb.corpus import reference_solution, test_document
    import random
    from codedpo_nb.sampling import extract_tests
    snippets = extract_tests(test_document(task, random.Random(1), 0)["answer"])
    calls = [c for s in snippets for c in ef.calls_of(s, task["name"])]
    found = sandbox.evaluate([reference_solution(task)], calls, workers=1)[0]
    scope = {}
    exec(reference_solution(task), scope)
    expected = [eval(s.split("assert ")[1].split(" == ")[1], dict(scope)) for s in snippets]
    assert found == [("pass", value) for value in expected]


def test_scaled_calls():
    task = tasks.task_space(0)["seed"][0]
    assert ef.scaled_calls(task, 3, 50) == ef.scaled_calls(task, 3, 50) != ef.scaled_calls(task, 3, 50, seed=1)
    assert ef.scaled_calls(dict(task_id="x"), 3, 50) == []


@quick
@given(st.lists(st.one_of(st.none(), st.sampled_from([["a"], ["b"], ["c"]])), max_size=8), st.randoms(use_true_random=False))
def test_agreeing_is_the_largest_group(outputs, r):
    order = r.sample(range(len(outputs)), len(outputs))
    passing = [i for i in range(len(outputs)) if r.random() < .8]
    found = ef.agreeing(outputs, passing, order)
    texts = [tuple(outputs[i]) for i in passing if outputs[i] is not None]
    if not texts: assert found == []
    else:
        most = max(map(texts.count, texts))
        assert len(found) == most and len({tuple(outputs[i]) for i in found}) == 1 and set(found) <= set(passing)
        rivals = [i for i in passing if outputs[i] is not None and texts.count(tuple(outputs[i])) == most]
        assert min(rivals, key=order.index) in found


@quick
@given(st.lists(st.one_of(st.none(), st.integers(1, 50)), max_size=8), st.floats(1, 4), st.data())
def test_fastest_and_slowest(costs, least, data):
    candidates = [i for i in range(len(costs)) if data.draw(st.booleans())]
    pair, ratio = ef.pick_fastest(costs, candidates, least), ef.cost_ratio(costs, candidates)
    known = [costs[i] for i in candidates if costs[i]]
    if pair:
        assert (costs[pair[0]], costs[pair[1]]) == (min(known), max(known)) and pair[0] != pair[1] and ratio >= least * (1 - 1e-12)
    else: assert len(known) < 2 or max(known) < least * min(known) or max(known) == min(known)
    assert math.isnan(ratio) == (len(known) < 2)


def test_failing_programs_never_enter_a_pair():
    "A wrong program that is fast because it does less passes small tests, and loses its place on large inputs."
    right = ["def f(xs): return sorted(xs)", "def f(xs):\n    out = list(xs)\n    for i in range(len(out)):\n        for j in range(i):\n"
             "            if out[j] > out[i]: out[i], out[j] = out[j], out[i]\n    return out"]
    lazy = "def f(xs): return xs if len(xs) < 3 else [min(xs)] + xs[1:]"
    programs, calls = [lazy, *right], ["f([4, 3, 2, 1])"]
    outputs = [[sandbox.canonical(v) for _, v in row] for row in sandbox.evaluate(programs, calls, workers=1)]
    candidates = ef.agreeing(outputs, [0, 1, 2], [0, 1, 2])
    assert candidates == [1, 2]
    cost = [sum(row) for row in sandbox.cost(programs, calls, workers=1)]
    rows = ef.efficiency_pairs([dict(task_id="t", prompt="Sort.", solutions=programs)], [dict(task_id="t", candidates=candidates, cost=cost)], 1.5)
    assert (rows[0]["chosen_index"], rows[0]["rejected_index"]) == (1, 2) and json.loads(json.dumps(rows)) == rows


def test_bad_input_is_one_sentence():
    with pytest.raises(ValueError, match="min_ratio = 0.5.*give 1 or more"): ef.pick_fastest([1], [0], .5)
    with pytest.raises(ValueError, match="a stands beside the costs of b: run 03_efficiency again"):
        ef.efficiency_pairs([dict(task_id="a")], [dict(task_id="b")])
