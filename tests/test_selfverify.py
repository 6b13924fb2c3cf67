"""Scores from pass matrices: worked example, degenerate matrices, symmetry, measures against scipy, pairs."""
import json, subprocess, sys

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from codedpo_nb import selfverify as sv

SHAPES = st.tuples(st.integers(0, 9), st.integers(0, 9))
MATRICES = hnp.arrays(np.int8, SHAPES, elements=st.integers(0, 1))
FULL = hnp.arrays(np.int8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1))
STEADY = {name: rank for name, rank in sv.RANKERS.items() if name != "random"}
FIGURE_2 = [[1, 1, 0], [1, 0, 0], [0, 0, 1]]
quick = settings(max_examples=60, deadline=None)


def test_figure_2_of_the_paper():
    codes, tests = sv.self_validation(FIGURE_2, damping=.5, steps=2)
    assert codes.tolist() == [2.6875, 1.75, 1] and tests.tolist() == [2.25, 1.375, 1]
    first = [codes[0] for codes, _ in sv.sweeps(FIGURE_2, .5, 2)]
    assert first == [1.75, 2.6875]
    assert [codes[0] for codes, _ in sv.sweeps(FIGURE_2, .5, 2, at_once=False)] == [1.5, 2.0]


def by_loops(matrix, d, steps, at_once):
    codes, tests = [1.] * len(matrix), [1.] * len(matrix[0])
    for _ in range(steps):
        new = [(1 - d) * tests[j] + d * sum(codes[i] for i in range(len(codes)) if matrix[i][j]) for j in range(len(tests))]
        use = new if at_once else tests
        codes = [(1 - d) * codes[i] + d * sum(use[j] for j in range(len(tests)) if matrix[i][j]) for i in range(len(codes))]
        tests = new
    return codes, tests


@quick
@given(FULL, st.floats(0, 1), st.integers(0, 12))
def test_both_forms_are_what_loops_say(m, d, steps):
    for rank, at_once in ((sv.self_validation, True), (sv.equation_1, False)):
        for ours, theirs in zip(rank(m, d, steps), by_loops(m.tolist(), d, steps, at_once)): np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("name", sv.RANKERS)
def test_every_matrix_of_zeros_and_ones_has_an_answer(name):
    @quick
    @given(MATRICES)
    def check(m):
        codes, tests = sv.RANKERS[name](m)
        assert codes.shape == m.shape[:1] and tests.shape == m.shape[1:]
        assert np.isfinite(codes).all() and np.isfinite(tests).all() and (codes >= 0).all()
        s = sv.relative(codes)
        assert not s.size or s.max() in (0, 1)
        if name != "random" and (m.size == 0 or m.min() == m.max()): assert len(set(s)) <= 1
    check()


@pytest.mark.parametrize("name", STEADY)
def test_order_of_rows_and_columns_does_not_matter(name):
    @quick
    @given(FULL, st.randoms(use_true_random=False))
    def check(m, r):
        rows, cols = r.sample(range(m.shape[0]), m.shape[0]), r.sample(range(m.shape[1]), m.shape[1])
        codes, tests = map(sv.relative, STEADY[name](m))
        again, tests_again = map(sv.relative, STEADY[name](m[np.ix_(rows, cols)]))
        np.testing.assert_allclose(again, codes[rows], atol=2e-9)
        np.testing.assert_allclose(tests_again, tests[cols], atol=2e-9)
    check()


@pytest.mark.parametrize("name", STEADY)
def test_equal_rows_tie_exactly(name):
    @quick
    @given(FULL)
    def check(m):
        s = sv.relative(STEADY[name](np.repeat(m, 2, 0))[0])
        assert (s[::2] == s[1::2]).all()
    check()


@pytest.mark.parametrize("name", [n for n in STEADY if n != "CodeT"])
def test_passing_more_never_ranks_lower(name):
    "A solution that passes all that another passes, and more, does not score less (CodeT rewards company instead)."
    @quick
    @given(FULL)
    def check(m):
        s = sv.relative(STEADY[name](m)[0])
        for i in range(len(m)):
            for j in range(len(m)):
                if (m[i] >= m[j]).all(): assert s[i] >= s[j]
    check()


@quick
@given(hnp.arrays(np.int8, st.tuples(st.integers(1, 4), st.integers(0, 6), st.integers(0, 6)), elements=st.integers(0, 1)))
def test_prompts_can_be_scored_together(batch):
    for rank in STEADY.values():
        codes, tests = rank(batch)
        for m, c, t in zip(batch, codes, tests):
            one = rank(m)
            np.testing.assert_allclose(c, one[0], rtol=1e-12)
            np.testing.assert_allclose(t, one[1], rtol=1e-12)


def test_codet_against_its_definition():
    r = np.random.default_rng(0)
    for _ in range(50):
        m = r.integers(0, 2, (8, 3))
        rows = m.tolist()
        assert sv.codet(m)[0].tolist() == [rows.count(row) * sum(row) for row in rows]
        np.testing.assert_allclose(sv.codet(m, .5)[0], [rows.count(row) ** .5 * sum(row) for row in rows])


@pytest.mark.parametrize("bad, why", [
    ([[1, float("nan")]], r"Entry \(0, 1\) .* is nan: give 1"), ([[0], [2]], r"Entry \(1, 0\) .* is 2"), ([[.5]], "is 0.5"), ([[-1]], "is -1"),
    ([[1], [1, 0]], "differ in length"), ([["yes"]], "hold no numbers"), ([1, 0], r"shape \(2,\)"), (3, r"shape \(\)"), ([[1, None]], "is nan")])
@pytest.mark.parametrize("name", sv.RANKERS)
def test_what_is_no_pass_matrix_is_refused_in_one_sentence(name, bad, why):
    with pytest.raises(ValueError, match=why) as caught: sv.RANKERS[name](bad)
    assert "\n" not in str(caught.value)


def test_bad_parameters():
    with pytest.raises(ValueError, match="damping = 1.5"): sv.self_validation([[1]], damping=1.5)
    with pytest.raises(ValueError, match="overflow.*steps = 5000"): sv.self_validation(np.ones((15, 15)), steps=5000)
    with pytest.raises(ValueError, match="3 scores but 2 truths"): sv.judge([1, 2, 3], [True, False])


@quick
@given(st.lists(st.integers(0, 4), min_size=2, max_size=12), st.data())
def test_correlations_are_scipys(x, data):
    y = data.draw(st.lists(st.booleans(), min_size=len(x), max_size=len(x)))
    if len(set(x)) == 1 or len(set(y)) == 1: assert sv.spearman(x, y) == sv.kendall(x, y) == 0
    else:
        assert sv.spearman(x, y) == pytest.approx(stats.spearmanr(x, y)[0])
        assert sv.kendall(x, y) == pytest.approx(stats.kendalltau(x, y)[0])


@quick
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=10))
def test_measures_stay_in_range_and_perfect_is_one(rows):
    scores, right = map(np.array, zip(*rows))
    for measure, value in sv.judge(scores, right).items(): assert np.isnan(value) or -1 - 1e-9 <= value <= 1 + 1e-9, measure
    assume(right.any() and not right.all())
    assert all(v == pytest.approx(1) for v in sv.judge(right.astype(float), right).values())


def test_pair_accuracy_is_the_average_over_broken_ties():
    r = np.random.default_rng(0)
    scores, right = np.array([2, 2, 1, 0, 0, 0]), np.array([1, 0, 1, 1, 0, 0], bool)
    tops, bottoms = [0, 1], [3, 4, 5]
    assert sv.judge(scores, right)["pair accuracy"] == pytest.approx(np.mean([right[i] and not right[j] for i in tops for j in bottoms]))


def test_bootstrap():
    mean, low, high = sv.bootstrap(np.arange(100) % 2, np.random.default_rng(0))
    assert mean == .5 and .38 < low < .45 and .55 < high < .62
    assert sv.bootstrap([]) == pytest.approx((np.nan,) * 3, nan_ok=True)
    assert sv.bootstrap([np.nan, 3.]) == (3, 3, 3)


@quick
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a = 1", "a=1", "b = 1", "b = 1  # b", "c ="])), max_size=8), st.sampled_from([0, .2]))
def test_pairs_are_of_different_programs_and_far_enough_apart(rows, margin):
    scores, programs = [r[0] for r in rows], [r[1] for r in rows]
    pair = sv.pick_pair(scores, programs, margin)
    s, same = sv.relative(scores), list(map(sv.canonical_source, programs))
    if pair:
        i, j = pair
        assert s[i] == s.max() and s[i] - s[j] > margin and same[i] != same[j]
        assert i == min(k for k in range(len(s)) if s[k] == s[i])
        assert all(s[k] >= s[j] for k in range(len(s)) if same[k] != same[i])
    else: assert not rows or all(same[k] == same[sv.best_first(scores)[0]] or s.max() - s[k] <= margin for k in range(len(s)))


def test_preference_rows_are_plain_and_not_repeated(tmp_path):
    row = dict(task_id="t", prompt="Write f.", solutions=["x = 1", "x = 2"], code_scores=np.array([4., 1.]))
    rows = sv.correctness_pairs([row, dict(row, task_id="u"), dict(row, task_id="v", code_scores=[1, 1])], margin=.1)
    assert json.loads(json.dumps(rows)) == rows and len(rows) == 1
    assert rows[0] == dict(prompt=[dict(role="user", content="Write f.")], chosen=[dict(role="assistant", content="x = 1")],
                           rejected=[dict(role="assistant", content="x = 2")], task_id="t", kind="correctness", chosen_score=1, rejected_score=.25,
                           chosen_index=0, rejected_index=1)


def test_distinct_tests():
    said = ["assert f(1) == 2", "assert f(1)==2", "assert g(1) == 2", "assert f(", "f = 1\0", "assert f(2) == 3", "assert f(3) == 4"]
    assert sv.distinct_tests(said, "f") == ["assert f(1) == 2", "assert f(2) == 3", "assert f(3) == 4"]
    assert len(sv.distinct_tests(said, "f", 2)) == 2


def test_import_needs_numpy_only():
    code = "import sys, codedpo_nb.selfverify; print(sorted(m for m in ('torch', 'scipy', 'pandas', 'matplotlib') if m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
