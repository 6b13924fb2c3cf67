"Larger inputs for HumanEval+, what is measured on them, and ENAMEL's and EffiBench's ways of counting."
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codedpo_nb import benchmarks as B
from codedpo_nb import efficiency_suites as E
from codedpo_nb import sandbox, suites

DATA = Path(os.environ.get("CODEDPO_DATA") or Path(__file__).resolve().parents[2]/"shared"/"data")
ROW = dict(task_id="HumanEval/900", prompt="def total(xs: list, ys: list) -> int:\n", entry_point="total",
           atol=0,
           contract="    assert len(xs) == len(ys), 'lengths'\n    assert all(x >= 0 for x in xs)\n",
           canonical_solution="    out = 0\n    for x, y in zip(xs, ys): out += x * y\n    return out\n",
           base_input=[[[1, 2], [3, 4]], [[5], [6]]], plus_input=[[[7, 8, 9], [1, 0, 2]], [[-1], [1]]])
SLOW = ("def total(xs, ys):\n    return sum([x * y for i, x in enumerate(xs) for j, y in enumerate(ys) if i "
        "== j])")
SMALL = "def total(xs, ys):\n    return sum([x * y for x, y in zip(xs[:9], ys[:9])])"
OPTIONS = dict(levels=(2, 8, 32), inputs=2, form="solution", workers=1)


@pytest.fixture(scope="module")
def problem(): return B.from_evalplus(ROW, "humaneval+")

@pytest.fixture(scope="module")
def answers(problem): return [E.reference(problem), SLOW, SMALL, "def total(xs, ys): return 0"]

@pytest.fixture(scope="module")
def frame(problem, answers): return E.efficiency_frame([problem], [answers], **OPTIONS)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0,
                         4).flatmap(lambda n: st.tuples(st.lists(st.integers(-9, 9), min_size=n, max_size=n),
                                                        st.text(min_size=n, max_size=n), st.integers(1, 9))),
             min_size=1, max_size=5), st.booleans())
def test_joined_inputs_keep_equal_lengths_and_moved_parts_do_not_overlap(draws, move):
    xs, text, n = E.joined(list(map(list, draws)), move, grow=False)
    assert len(xs) == len(text) == sum(len(d[0]) for d in draws) and n == draws[0][2]
    if not move: assert xs == [x for d in draws for x in d[0]]
    ends, at = [], 0
    for d in draws:
        part, at = xs[at:at + len(d[0])], at + len(d[0])
        assert [x - y for x,
                y in zip(part, d[0], strict=False)] == [part[0] - d[0][0]] * len(part) if part else True
        if part: ends.append((min(part), max(part)))
    if move: assert all(a[1] < b[0] for a, b in zip(ends, ends[1:], strict=False))


def test_larger_inputs_keep_the_contract_and_come_out_alike(problem):
    first, second = (E.larger_inputs([problem], (2, 8, 32), 2, workers=1) for _ in "12")
    assert first == second and [len(level) for level in first[problem["task_id"]]] == [2, 2, 2]
    for level in first[problem["task_id"]]:
        for (xs, ys), out in level:
            assert len(xs) == len(ys) and min(xs) >= 0 and out == sum(x * y for x,
                y in zip(xs, ys, strict=False))


def test_the_frame_holds_what_the_sandbox_counts(problem, answers, frame):
    larger = E.larger_inputs([problem], (2, 8, 32), 2, workers=1)[problem["task_id"]]
    calls = [f"total({xs!r}, {ys!r})" for level in larger for (xs, ys), _ in level]
    counted = sandbox.cost(answers[:2], calls, workers=1)
    for i in (0, 1):
        assert frame[frame.answer == i].instructions.tolist() == [max(counted[i][2 * n:2 * n + 2])
            for n in range(3)]
    assert frame[frame.answer == 1].total.tolist() == [sum(counted[1][2 * n:2 * n + 2]) for n in range(3)]
    assert frame[frame.answer == 0].reference.tolist() == frame[
        frame.answer == 0].instructions.tolist() and set(frame.limit) == {2 * max(counted[0])}
    assert frame.groupby("answer").outcome.first().tolist() == ["pass", "pass", "wrong on larger inputs",
                                                                "fail"]
    assert frame.equals(E.efficiency_frame([problem], [answers], **OPTIONS)), "tables have to come out alike"


def test_scores_from_the_definitions(frame):
    "ENAMEL's score level by level, and eff@k over all choices, written out."
    [scores], limit = E.answer_scores(frame).values(), frame.limit[0]
    for i in (0, 1):
        rows, expected, late = frame[frame.answer == i], [], False
        for cost, top in zip(rows.instructions, rows.reference, strict=False):
            late = late or not cost < limit
            expected.append(0 if late else (limit - cost) / (limit - top))
        assert scores[i] == pytest.approx((3 * expected[0] + 3 * expected[1] + 4 * expected[2]) / 10)
    assert scores[0] == 1 > scores[1] and scores[2:] == [0, 0]
    summary = E.efficiency_summary(frame, ks=(1, 2))
    assert summary["eff@2"] == pytest.approx(np.mean([max(c) for c in itertools.combinations(scores, 2)]))
    assert summary["pass@1"] == .5 and (summary["right"], summary["finished"], summary["answers"]) == (2, 2,
        4)
    ok = frame[frame.answer < 2]
    assert summary["NET"] == pytest.approx(ok.total.sum() / ok["canonical total"].sum())
    assert summary["NTMU"] == pytest.approx(ok.held.sum() / ok["canonical held"].sum())


def test_a_better_reference_moves_the_limit_and_censors(problem):
    quick = "def total(xs, ys):\n    return sum(map(int.__mul__, xs, ys))"
    frame = E.efficiency_frame([problem], [[E.reference(problem), quick]],
                               references={problem["task_id"]: [quick]}, **OPTIONS)
    assert (
        frame.instructions[frame.answer == 1] == frame.reference[frame.answer == 1]).all() and frame.limit[
        0] < frame.instructions[2]
    assert E.answer_scores(frame)[problem["task_id"]] == [0, 1]


def test_nothing_right_and_nothing_to_enlarge(problem):
    frame = E.efficiency_frame([problem], [["def total(xs, ys): return 0"]], **OPTIONS)
    summary = E.efficiency_summary(frame)
    assert (summary["eff@1"], summary["finished"], summary["NET"]) == (0, 0, None)
    with pytest.raises(B.BenchmarkError, match="has no inputs to enlarge; load humaneval\\+"):
        E.inputs_of(dict(task_id="HumanEval/0", benchmark="humaneval"))


def test_the_hand_written_answers_are_right_and_in_order():
    try: rows = B.read_rows(B.find("humaneval+", DATA))
    except B.BenchmarkError as e: pytest.skip(str(e))
    problems = [B.from_evalplus(r, "humaneval+") for _, r in rows if r["task_id"] in E.BY_HAND]
    found = suites.judge(problems, [E.by_hand(p["task_id"]) for p in problems], form="solution", workers=1)
    assert found == [[("pass", "pass")] * 2] * len(E.BY_HAND)
    larger = E.larger_inputs(problems, inputs=1, workers=1)
    assert len(larger) >= 3
    for p in (p for p in problems if p["task_id"] in larger):
        [args, _] = larger[p["task_id"]][-1][0]
        [[slower], [faster]] = sandbox.cost(E.by_hand(p["task_id"]), [E.call(p, args)], workers=1)
        assert slower is None or slower > 2 * faster
