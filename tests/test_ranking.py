"""Scores from pass matrices: worked example, oracles, degenerate matrices, symmetry, failures."""
import math
import subprocess
import sys

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

from codedpo_nb import ranking as R

SHAPES = st.tuples(st.integers(0, 9), st.integers(0, 9))
MATRICES = hnp.arrays(np.int8, SHAPES, elements=st.integers(0, 1))
FULL = hnp.arrays(np.int8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1))
STEADY = {name: rank for name, rank in R.RANKERS.items() if name != "random"}
FIGURE_2 = [[1, 1, 0], [1, 0, 0], [0, 0, 1]]
quick = settings(max_examples=60, deadline=None)


def test_import_needs_numpy_and_nothing_else():
    code = ("import sys, numpy.random; before = set(sys.modules); import codedpo_nb.ranking; "
            "print(sorted({m.split('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names),"
            "      sorted(m for m in sys.modules if m.startswith('codedpo_nb')))")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert (said.strip() == "['codedpo_nb', 'numpy'] ['codedpo_nb', 'codedpo_nb._extras', "
            "'codedpo_nb.ranking']")


def test_figure_2_of_the_paper():
    codes, tests = R.self_validation(FIGURE_2, damping=.5, steps=2)
    assert codes.tolist() == [2.6875, 1.75, 1] and tests.tolist() == [2.25, 1.375, 1]
    first = [codes[0] for codes, _ in R.sweeps(FIGURE_2, .5, 2)]
    assert first == [1.75, 2.6875]
    assert [codes[0] for codes, _ in R.sweeps(FIGURE_2, .5, 2, at_once=False)] == [1.5, 2.0]


def by_loops(matrix, d, steps, at_once):
    codes, tests = [1.] * len(matrix), [1.] * len(matrix[0])
    for _ in range(steps):
        new = [(1 - d) * tests[j] + d * sum(codes[i] for i in range(len(codes)) if matrix[i][j])
               for j in range(len(tests))]
        use = new if at_once else tests
        codes = [(1 - d) * codes[i] + d * sum(use[j] for j in range(len(tests)) if matrix[i][j])
                 for i in range(len(codes))]
        tests = new
    return codes, tests


@quick
@given(FULL, st.floats(0, 1), st.integers(0, 12))
def test_both_forms_are_what_loops_say(m, d, steps):
    for rank, at_once in ((R.self_validation, True), (R.equation_1, False)):
        for ours, theirs in zip(rank(m, d, steps), by_loops(m.tolist(), d, steps, at_once), strict=False):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("name", R.RANKERS)
def test_every_matrix_of_zeros_and_ones_has_an_answer(name):
    @quick
    @given(MATRICES)
    def check(m):
        codes, tests = R.RANKERS[name](m)
        assert codes.shape == m.shape[:1] and tests.shape == m.shape[1:]
        assert np.isfinite(codes).all() and np.isfinite(tests).all() and (codes >= 0).all()
        s = R.relative(codes)
        assert not s.size or s.max() in (0, 1)
        if name != "random" and (m.size == 0 or m.min() == m.max()): assert len(set(s)) <= 1
    check()


@pytest.mark.parametrize("name", STEADY)
def test_order_of_rows_and_columns_does_not_matter(name):
    @quick
    @given(FULL, st.randoms(use_true_random=False))
    def check(m, r):
        rows, cols = r.sample(range(m.shape[0]), m.shape[0]), r.sample(range(m.shape[1]), m.shape[1])
        codes, tests = map(R.relative, STEADY[name](m))
        again, tests_again = map(R.relative, STEADY[name](m[np.ix_(rows, cols)]))
        np.testing.assert_allclose(again, codes[rows], atol=2e-9)
        np.testing.assert_allclose(tests_again, tests[cols], atol=2e-9)
    check()


@pytest.mark.parametrize("name", STEADY)
def test_equal_rows_tie_exactly(name):
    @quick
    @given(FULL)
    def check(m):
        s = R.relative(STEADY[name](np.repeat(m, 2, 0))[0])
        assert (s[::2] == s[1::2]).all()
    check()


@pytest.mark.parametrize("name",
                         ["filter with all tests", "number passed", "self-validation, Equation 1",
                          "self-validation", "HITS", "PageRank"])
def test_passing_more_never_ranks_lower(name):
    """A solution that passes all that another passes, and more, does not score less (the other rankers reward
    company, or doubt tests)."""
    @quick
    @given(FULL)
    def check(m):
        s = R.relative(STEADY[name](m)[0])
        for i in range(len(m)):
            for j in range(len(m)):
                if (m[i] >= m[j]).all(): assert s[i] >= s[j]
    check()


@quick
@given(hnp.arrays(np.int8, st.tuples(st.integers(1, 4), st.integers(0, 6), st.integers(0, 6)),
                  elements=st.integers(0, 1)))
def test_prompts_can_be_scored_together(batch):
    for rank in STEADY.values():
        codes, tests = rank(batch)
        for m, c, t in zip(batch, codes, tests, strict=False):
            one = rank(m)
            np.testing.assert_allclose(c, one[0], rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(t, one[1], rtol=1e-9, atol=1e-9)


def test_pieces_and_leading_axes_change_nothing(monkeypatch):
    batch = np.random.default_rng(0).integers(0, 2, (2, 7, 4, 5))
    for name, rank in STEADY.items():
        whole = rank(batch)
        with monkeypatch.context() as patched:
            patched.setattr(R, "PIECE", 60)
            for one, other in zip(whole, rank(batch), strict=False): np.testing.assert_array_equal(one, other)
        assert whole[0].shape == (2, 7, 4) and whole[1].shape == (2, 7, 5)
        assert [x.shape for x in rank(batch[:0])] == [(0, 7, 4), (0, 7, 5)], name


# ------------------------------------------------------------------ oracles: another library, or the
# definition as a slow loop

def graph(m):
    g = nx.Graph()
    g.add_nodes_from([("c", i) for i in range(m.shape[0])] + [("t", j) for j in range(m.shape[1])])
    g.add_edges_from((("c", i), ("t", j)) for i, j in np.argwhere(m))
    return g


@quick
@given(FULL, st.sampled_from([.5, .85]))
def test_page_rank_is_that_of_networkx(m, d):
    theirs = nx.pagerank(graph(m), alpha=d, tol=1e-14, max_iter=5000)
    codes, tests = R.page_rank(m, damping=d)
    np.testing.assert_allclose(codes, [theirs["c", i] for i in range(len(m))], atol=1e-9)
    np.testing.assert_allclose(tests, [theirs["t", j] for j in range(m.shape[1])], atol=1e-9)


@quick
@given(FULL)
def test_hits_is_the_leading_singular_vector_and_that_of_networkx(m):
    u, s, v = np.linalg.svd(m)
    codes, tests = R.hits(m)
    if not m.any(): return np.testing.assert_array_equal(np.concatenate([codes, tests]), 0)
    assert codes.sum() == pytest.approx(1) and tests.sum() == pytest.approx(1)
    assume(len(s) == 1 or s[1] < .999 * s[0])
    np.testing.assert_allclose(codes, abs(u[:, 0]) / abs(u[:, 0]).sum(), atol=1e-9)
    np.testing.assert_allclose(tests, abs(v[0]) / abs(v[0]).sum(), atol=1e-9)
    if min(m.shape) > 2:
        g = nx.DiGraph([(("c", i), ("t", j)) for i, j in np.argwhere(m)])
        hubs, authorities = nx.hits(g, tol=0)
        for i in range(len(m)): assert hubs.get(("c", i), 0) == pytest.approx(codes[i], abs=1e-9)
        for j in range(m.shape[1]): assert authorities.get(("t", j), 0) == pytest.approx(tests[j], abs=1e-9)


@quick
@given(FULL, st.sampled_from([.5, .85]))
def test_damping_does_not_move_the_limit(m, d):
    s = np.linalg.svd(m)[1]
    assume(m.any() and (len(s) == 1 or s[1] < .8 * s[0]))
    np.testing.assert_allclose(R.relative(R.self_validation(m, d, 120)[0]), R.relative(R.hits(m)[0]),
                               atol=1e-5)


def by_b4(m, alpha=10, beta=10):
    rows, (N, M), out = [tuple(r) for r in m.tolist()], m.shape, []
    for mine in rows:
        x, y = [i for i, row in enumerate(rows) if row == mine], [j for j in range(M) if mine[j]]
        others, rest = [i for i in range(N) if i not in x], [j for j in range(M) if j not in y]
        e1, e0 = (sum(rows[i][j] for i in others for j in js) for js in (y, rest))
        s1, s0 = len(others) * len(y), len(others) * len(rest)
        out.append(special.betaln(len(y) + alpha, M - len(y) + 1)
                   + special.betaln(len(x) + alpha, N - len(x) + 1)
                   + special.betaln(e1 + 1, s1 - e1 + 1) + special.betaln(e0 + 1, s0 - e0 + beta))
    return np.array(out)


@quick
@given(FULL, st.sampled_from([(10, 10), (2.5, 1), (1, 7.25)]))
def test_b4_against_its_definition(m, priors):
    log_p = by_b4(m, *priors)
    codes, tests = R.b4(m, *priors)
    np.testing.assert_allclose(codes, 1 / (1 + log_p.max() - log_p), atol=1e-9)
    for j in range(m.shape[1]):
        assert tests[j] == max([codes[i] for i in range(len(m)) if m[i, j]], default=0)


def by_em(m, steps):
    (n, k), right = m.shape, [float(row.mean()) for row in m]
    for _ in range(steps):
        prior = (sum(right) + 1) / (n + 2)
        s = [(sum(q for q, row in zip(right, m, strict=False) if row[j]) + 1) / (sum(right) + 2)
             for j in range(k)]
        f = [(sum(1 - q for q, row in zip(right, m, strict=False) if row[j]) + 1) / (n - sum(right) + 2)
             for j in range(k)]
        new = []
        for row in m:
            good = prior * math.prod(s[j] if row[j] else 1 - s[j] for j in range(k))
            bad = (1 - prior) * math.prod(f[j] if row[j] else 1 - f[j] for j in range(k))
            new.append(good / (good + bad))
        right = new
    return np.array(right), np.array(s) - np.array(f)


@quick
@given(FULL, st.integers(1, 8))
def test_dawid_skene_against_its_definition(m, steps):
    right, gain = by_em(m, steps)
    codes, tests = R.dawid_skene(m, steps)
    turned = not np.allclose(codes, right, atol=1e-6)
    np.testing.assert_allclose(codes, 1 - right if turned else right, atol=1e-6)
    np.testing.assert_allclose(tests, np.maximum(0, -gain if turned else gain), atol=1e-6)
    assert ((codes - codes.mean()) * m.sum(1)).sum() >= -1e-6, "passing more is the sign of being right"


def test_agreement_against_its_definition():
    r = np.random.default_rng(0)
    for _ in range(50):
        m = r.integers(0, 2, (8, 3))
        assert R.agreement(m)[0].tolist() == [m.tolist().count(row) if any(row) else 0 for row in m.tolist()]


def test_codet_against_its_definition():
    r = np.random.default_rng(0)
    for _ in range(50):
        m = r.integers(0, 2, (8, 3))
        rows = m.tolist()
        assert R.codet(m)[0].tolist() == [rows.count(row) * sum(row) for row in rows]
        for rank in (lambda m: R.codet(m, .5), R.RANKERS["CodeT, square root"]):
            np.testing.assert_allclose(rank(m)[0], [rows.count(row) ** .5 * sum(row) for row in rows])


# ------------------------------------------------------------------ many prompts, bad input

@quick
@given(st.lists(MATRICES, max_size=8), st.integers(1, 4), st.sampled_from(sorted(STEADY)))
def test_score_all_keeps_order_and_sizes(matrices, batch, name):
    scored = list(R.score_all(STEADY[name], iter(matrices), batch=batch))
    assert len(scored) == len(matrices)
    for m, (codes, tests) in zip(matrices, scored, strict=False):
        one = STEADY[name](m)
        np.testing.assert_allclose(codes, one[0], atol=1e-9)
        np.testing.assert_allclose(tests, one[1], atol=1e-9)


def test_score_all_reads_no_further_than_a_batch():
    read = []
    def source():
        for i in range(100): read.append(i); yield FIGURE_2
    next(R.score_all(R.hits, source(), batch=8))
    assert len(read) == 8


@pytest.mark.parametrize("bad, why",
                         [([[1, float("nan")]], r"Prompt 2: Entry \(0, 1\) .* is nan"),
                          (np.array([[0, 3]]), r"Prompt 2: Entry \(0, 1\) .* is 3"),
                                      ([[1], [1, 0]], "Prompt 2: .*differ in length"),
                                      (np.ones((2, 2, 2)), "Prompt 2: the matrix has 3 axes")])
def test_score_all_names_the_prompt(bad, why):
    with pytest.raises(ValueError, match=why): list(R.score_all(R.codet, [FIGURE_2, [[1, 0]], bad]))


def test_an_entry_is_named_by_its_place_in_the_whole(monkeypatch):
    monkeypatch.setattr(R, "PIECE", 30)
    stack = np.zeros((9, 3, 3)); stack[7, 2, 1] = 5
    with pytest.raises(ValueError, match=r"Entry \(7, 2, 1\) of the pass matrix is 5"): R.b4(stack)


@pytest.mark.parametrize("bad, why", [
    ([[1, float("nan")]], r"Entry \(0, 1\) .* is nan: give 1"), ([[0], [2]], r"Entry \(1, 0\) .* is 2"),
    ([[.5]], "is 0.5"), ([[-1]], "is -1"),
    ([[1], [1, 0]], "differ in length"), ([["yes"]], "hold no numbers"), ([1, 0], r"shape \(2,\)"),
    (3, r"shape \(\)"), ([[1, None]], "is nan")])
@pytest.mark.parametrize("name", R.RANKERS)
def test_what_is_no_pass_matrix_is_refused_in_one_sentence(name, bad, why):
    with pytest.raises(ValueError, match=why) as caught: R.RANKERS[name](bad)
    assert "\n" not in str(caught.value)


def test_bad_parameters():
    with pytest.raises(ValueError, match="damping = 1.5"): R.self_validation([[1]], damping=1.5)
    with pytest.raises(ValueError, match="overflow.*steps = 5000"):
        R.self_validation(np.ones((15, 15)), steps=5000)


# ------------------------------------------------------------------ where it fails

def test_always_true_tests_move_self_validation_but_not_counting():
    worlds = R.toy_matrix(np.random.default_rng(0), prompts=300)[0]
    assert R.disturbed(R.self_validation, worlds, 5)["an order"].any()
    for rank in (R.number_passed, R.filter_all):
        assert not any(hit.any() for hit in R.disturbed(rank, worlds, 5).values())
    assert R.with_trivial(worlds, 2).shape == (300, 15, 17)


@given(*[st.integers(1, 9)] * 4)
def test_the_larger_camp_takes_all(a, b, c, e):
    assume(a * b != c * e)
    first, last = R.hits(R.two_camps(a, b, c, e))[0][[0, -1]]
    assert (first > .99 / a, last > .99 / c) == (a * b > c * e, a * b < c * e)
    score = R.codet(R.two_camps(a, b, c, e))[0]
    assert (score[0] > score[-1]) == (a * b > c * e)


def test_toy_worlds_have_the_shares_asked_for():
    matrix, right, valid = (R.toy_matrix(np.random.default_rng(0), p_code=.3, p_test=.4, trivial=.5,
                                         by_chance=0, prompts=2000))
    assert matrix.shape == (2000, 15, 15) and right.mean() == pytest.approx(.3,
        abs=.01) and valid.mean() == pytest.approx(.7, abs=.01)
    assert matrix[right[..., None] & valid[:, None]].all()
    assert [x.shape for x in R.toy_matrix(np.random.default_rng(0), codes=3, tests=2)] == [(3, 2), (3,), (2,)]
