"""Problems, verdicts, rates, intervals, differences and speed-ups, on inputs with known answers."""
import random, subprocess, sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import binomtest

from codedpo_nb import corpus, eval as evaluation, records, tasks

SOME = evaluation.scale_tasks("test", 5) + evaluation.scale_tasks("hard", 3)
PROBLEMS = evaluation.scale_problems("test", 5) + evaluation.scale_problems("hard", 3)


def answer(task, code, model="m", k=0): return dict(model=model, split=task["split"], task_id=task["task_id"], mode="sampled", k=k, answer=code)


@pytest.fixture(scope="module")
def judged():
    rows = [answer(t, corpus.solution(t["name"], t["args"], tasks.chain_of(t), lambda codes: codes[i % len(codes)]), f"idiom {i}") for i in range(3) for t in SOME]
    rows += [answer(t, text, "odd") for t, text in zip(SOME, ("", "def", "x = 1", "```python\n" + corpus.reference_solution(SOME[3]) + "\n```\nDone.",
                                                             "while True: pass", f"def {SOME[5]['name']}(*a): return None"))]
    return rows, evaluation.judge(rows, PROBLEMS, progress=False)


def test_import_is_light():
    code = "import sys, codedpo_nb.eval; sys.exit(any(m in sys.modules for m in ('torch', 'pandas', 'matplotlib', 'scipy')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_problems_are_the_same_for_a_seed_and_others_for_another():
    assert evaluation.scale_problems("test", 3) == PROBLEMS[:3]
    task = SOME[0]
    assert evaluation.two_kinds(task, 0) != evaluation.two_kinds(task, 1)


def test_tests_are_distinct_and_plus_tests_hold_the_edges():
    for t, p in zip(SOME, PROBLEMS):
        both = p["tests"] + p["plus_tests"]
        assert len(set(both)) == len(both) == 48
        assert set(evaluation.edge_tests(t)) <= set(both)
        first = dict(L="[]", S="''", C="{}")[t["takes"][0]]
        assert any(f"({first}" in test for test in both)


def test_every_task_of_both_splits_has_edges_without_an_error():
    for split in ("test", "hard"):
        for t in tasks.task_space(0)[split]: assert all(len(e) < 300 for e in evaluation.edge_tests(t))


@pytest.mark.parametrize("split, n, said", [("trian", 1, "choose one of train"), ("hard", 10**4, "has 200"), ("hard", -1, "ask for fewer")])
def test_unknown_split_or_too_many_problems_is_refused(split, n, said):
    with pytest.raises(ValueError, match=said): evaluation.scale_problems(split, n)


def test_every_idiom_is_right_and_odd_answers_are_wrong_in_their_way(judged):
    rows = judged[1]
    assert all(r["base"] and r["plus"] and r["kind"] == "right" for r in rows if r["model"] != "odd")
    odd = [r["kind"] for r in rows if r["model"] == "odd"]
    assert odd == ["unknown name", "syntax error", "unknown name", "right", "time-out", "wrong answer"]
    assert not any("answer" in r for r in rows)


def test_kinds_cover_every_word_of_the_sandbox():
    words = "fail error:TypeError error:NameError error:ValueError error:IndexError load-error:SyntaxError load-error:ZeroDivisionError timeout load-timeout " \
            "memory exit crash:SIGSEGV tamper not-run".split()
    for word in words: assert evaluation.kind(["pass", word], 2) in evaluation.KINDS[2:]
    assert evaluation.kind(["pass", "fail"], 1) == evaluation.KINDS[1]
    assert set(evaluation.ERRORS.values()) <= set(evaluation.KINDS)


def test_cost_is_counted_for_right_answers_only_and_repeats(judged):
    rows, marks = judged
    chosen = [i for i, r in enumerate(rows) if r["model"] in ("idiom 0", "odd")]
    rows, marks = [rows[i] for i in chosen], [marks[i] for i in chosen]
    first = evaluation.costs(marks, rows, SOME, PROBLEMS)
    assert first == evaluation.costs(marks, rows, SOME, PROBLEMS)
    assert [c is not None for c in first] == [m["plus"] for m in marks]


def test_journals_are_used_and_change_nothing(tmp_path, judged):
    rows = judged[0][:8]
    journal = records.Journal(tmp_path/"j.jsonl")
    first = evaluation.judge(rows, PROBLEMS, journal=journal, progress=False)
    n = len(journal)
    assert n and evaluation.judge(rows, PROBLEMS, journal=journal, progress=False) == first == judged[1][:8]
    assert len(journal) == n


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_pass_at_k_of_rows_is_the_chance_that_k_draws_hold_a_right_one(counts, k):
    rows = [dict(task_id=i, plus=j < c) for i, c in enumerate(counts) for j in range(6)]
    from math import comb
    assert evaluation.per_problem(rows, k) == pytest.approx({i: 1 - comb(6 - c, k) / comb(6, k) for i, c in enumerate(counts)})


def test_bootstrap_covers_and_is_seeded():
    values = np.linspace(0, 1, 50)
    one, two = (evaluation.bootstrap(values, records.rng(0, "x"), 500) for _ in range(2))
    assert one == two and one[1] < one[0] < one[2]
    assert one[2] - one[1] == pytest.approx(2 * 1.96 * values.std() / 50**.5, rel=.15)


def test_paired_difference_is_sharper_than_two_intervals_and_signed():
    r = records.rng(0, "pairs")
    before = dict(enumerate(r.random(80)))
    after = {i: min(1, v + .05) for i, v in before.items()}
    mean, low, high = evaluation.difference(after, before, r)
    assert 0 < low < mean < high < .06
    assert evaluation.difference(before, after, r)[0] == pytest.approx(-mean)
    assert [evaluation.reading(*x) for x in ((.1, .2), (-.2, -.1), (-.1, .1), (None, None))] == ["gain", "loss", "not resolved", "not measured"]


@given(st.integers(0, 15), st.integers(0, 15))
@settings(max_examples=40, deadline=None)
def test_mcnemar_is_the_binomial_test(gained, lost):
    pairs = dict(enumerate([(1, 0)] * gained + [(0, 1)] * lost + [(0, 0)] * 2))
    found = evaluation.mcnemar({i: a for i, (a, _) in pairs.items()}, {i: b for i, (_, b) in pairs.items()})
    assert found[:2] == (gained, lost)
    assert found[2] == pytest.approx(binomtest(gained, gained + lost).pvalue if gained + lost else 1)


def test_speed_up_uses_what_both_solved_and_right_answers_only():
    rows = lambda costs: [dict(task_id=t, cost=c, k=i) for t, cs in costs.items() for i, c in enumerate(cs)]
    before = evaluation.cost_of(rows(dict(a=[10, 30, None], b=[None], c=[5])))
    after = evaluation.cost_of(rows(dict(a=[10], b=[3], c=[10])))
    assert before == dict(a=20., c=5.)
    assert evaluation.speed_ups(before, after) == dict(a=2., c=.5)
    found = evaluation.speed_summary(dict(a=2., c=.5), records.rng(0, "s"))
    assert (found["problems"], found["speed-up"], found["10 % cheaper, percent"]) == (2, pytest.approx(1), 50)
    assert evaluation.speed_summary({}, None)["low"] is None
    even, odd = evaluation.halves(rows(dict(a=[1, 2, 3])))
    assert [r["cost"] for r in even] == [1, 3] and [r["cost"] for r in odd] == [2]
