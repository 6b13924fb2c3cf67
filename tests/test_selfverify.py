"""Scores from pass matrices: worked example, oracles, degenerate matrices, symmetry, measures against scipy, failures, pairs."""
import itertools, json, math, os, subprocess, sys

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special, stats

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


@pytest.mark.parametrize("name", ["filter with all tests", "number passed", "self-validation, Equation 1", "self-validation", "HITS", "PageRank"])
def test_passing_more_never_ranks_lower(name):
    "A solution that passes all that another passes, and more, does not score less (the other rankers reward company, or doubt tests)."
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
            np.testing.assert_allclose(c, one[0], rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(t, one[1], rtol=1e-9, atol=1e-9)


def test_pieces_and_leading_axes_change_nothing(monkeypatch):
    batch = np.random.default_rng(0).integers(0, 2, (2, 7, 4, 5))
    for name, rank in STEADY.items():
        whole = rank(batch)
        with monkeypatch.context() as patched:
            patched.setattr(sv, "PIECE", 60)
            for one, other in zip(whole, rank(batch)): np.testing.assert_array_equal(one, other)
        assert whole[0].shape == (2, 7, 4) and whole[1].shape == (2, 7, 5)
        assert [x.shape for x in rank(batch[:0])] == [(0, 7, 4), (0, 7, 5)], name


# ------------------------------------------------------------------ oracles: another library, or the definition as a slow loop

def graph(m):
    g = nx.Graph()
    g.add_nodes_from([("c", i) for i in range(m.shape[0])] + [("t", j) for j in range(m.shape[1])])
    g.add_edges_from((("c", i), ("t", j)) for i, j in np.argwhere(m))
    return g

@quick
@given(FULL, st.sampled_from([.5, .85]))
def test_page_rank_is_that_of_networkx(m, d):
    theirs = nx.pagerank(graph(m), alpha=d, tol=1e-14, max_iter=5000)
    codes, tests = sv.page_rank(m, damping=d)
    np.testing.assert_allclose(codes, [theirs["c", i] for i in range(len(m))], atol=1e-9)
    np.testing.assert_allclose(tests, [theirs["t", j] for j in range(m.shape[1])], atol=1e-9)


@quick
@given(FULL)
def test_hits_is_the_leading_singular_vector_and_that_of_networkx(m):
    u, s, v = np.linalg.svd(m)
    codes, tests = sv.hits(m)
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
    np.testing.assert_allclose(sv.relative(sv.self_validation(m, d, 120)[0]), sv.relative(sv.hits(m)[0]), atol=1e-5)


def by_b4(m, alpha=10, beta=10):
    rows, (N, M), out = [tuple(r) for r in m.tolist()], m.shape, []
    for mine in rows:
        x, y = [i for i, row in enumerate(rows) if row == mine], [j for j in range(M) if mine[j]]
        others, rest = [i for i in range(N) if i not in x], [j for j in range(M) if j not in y]
        e1, e0 = (sum(rows[i][j] for i in others for j in js) for js in (y, rest))
        s1, s0 = len(others) * len(y), len(others) * len(rest)
        out.append(special.betaln(len(y) + alpha, M - len(y) + 1) + special.betaln(len(x) + alpha, N - len(x) + 1)
                   + special.betaln(e1 + 1, s1 - e1 + 1) + special.betaln(e0 + 1, s0 - e0 + beta))
    return np.array(out)

@quick
@given(FULL, st.sampled_from([(10, 10), (2.5, 1), (1, 7.25)]))
def test_b4_against_its_definition(m, priors):
    log_p = by_b4(m, *priors)
    codes, tests = sv.b4(m, *priors)
    np.testing.assert_allclose(codes, 1 / (1 + log_p.max() - log_p), atol=1e-9)
    for j in range(m.shape[1]): assert tests[j] == max([codes[i] for i in range(len(m)) if m[i, j]], default=0)


def by_em(m, steps):
    (n, k), right = m.shape, [float(row.mean()) for row in m]
    for _ in range(steps):
        prior = (sum(right) + 1) / (n + 2)
        s = [(sum(q for q, row in zip(right, m) if row[j]) + 1) / (sum(right) + 2) for j in range(k)]
        f = [(sum(1 - q for q, row in zip(right, m) if row[j]) + 1) / (n - sum(right) + 2) for j in range(k)]
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
    codes, tests = sv.dawid_skene(m, steps)
    turned = not np.allclose(codes, right, atol=1e-6)
    np.testing.assert_allclose(codes, 1 - right if turned else right, atol=1e-6)
    np.testing.assert_allclose(tests, np.maximum(0, -gain if turned else gain), atol=1e-6)
    assert ((codes - codes.mean()) * m.sum(1)).sum() >= -1e-6, "passing more is the sign of being right"


def test_agreement_against_its_definition():
    r = np.random.default_rng(0)
    for _ in range(50):
        m = r.integers(0, 2, (8, 3))
        assert sv.agreement(m)[0].tolist() == [m.tolist().count(row) if any(row) else 0 for row in m.tolist()]


def test_codet_against_its_definition():
    r = np.random.default_rng(0)
    for _ in range(50):
        m = r.integers(0, 2, (8, 3))
        rows = m.tolist()
        assert sv.codet(m)[0].tolist() == [rows.count(row) * sum(row) for row in rows]
        for rank in (lambda m: sv.codet(m, .5), sv.RANKERS["CodeT, square root"]):
            np.testing.assert_allclose(rank(m)[0], [rows.count(row) ** .5 * sum(row) for row in rows])


# ------------------------------------------------------------------ many prompts, bad input
@quick
@given(st.lists(MATRICES, max_size=8), st.integers(1, 4), st.sampled_from(sorted(STEADY)))
def test_score_all_keeps_order_and_sizes(matrices, batch, name):
    scored = list(sv.score_all(STEADY[name], iter(matrices), batch=batch))
    assert len(scored) == len(matrices)
    for m, (codes, tests) in zip(matrices, scored):
        one = STEADY[name](m)
        np.testing.assert_allclose(codes, one[0], atol=1e-9)
        np.testing.assert_allclose(tests, one[1], atol=1e-9)


def test_score_all_reads_no_further_than_a_batch():
    read = []
    def source():
        for i in range(100): read.append(i); yield FIGURE_2
    next(sv.score_all(sv.hits, source(), batch=8))
    assert len(read) == 8


@pytest.mark.parametrize("bad, why", [([[1, float("nan")]], r"Prompt 2: Entry \(0, 1\) .* is nan"), (np.array([[0, 3]]), r"Prompt 2: Entry \(0, 1\) .* is 3"),
                                      ([[1], [1, 0]], "Prompt 2: .*differ in length"), (np.ones((2, 2, 2)), "Prompt 2: the matrix has 3 axes")])
def test_score_all_names_the_prompt(bad, why):
    with pytest.raises(ValueError, match=why): list(sv.score_all(sv.codet, [FIGURE_2, [[1, 0]], bad]))


def test_an_entry_is_named_by_its_place_in_the_whole(monkeypatch):
    monkeypatch.setattr(sv, "PIECE", 30)
    stack = np.zeros((9, 3, 3)); stack[7, 2, 1] = 5
    with pytest.raises(ValueError, match=r"Entry \(7, 2, 1\) of the pass matrix is 5"): sv.b4(stack)


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
    judged = sv.judge(right.astype(float), right)
    y, n = right.sum(), len(right)
    assert judged.pop("ties") == pytest.approx((y * (y - 1) + (n - y) * (n - y - 1)) / (n * (n - 1)))
    assert all(v == pytest.approx(1) for v in judged.values())


def test_pair_accuracy_is_the_average_over_broken_ties():
    r = np.random.default_rng(0)
    scores, right = np.array([2, 2, 1, 0, 0, 0]), np.array([1, 0, 1, 1, 0, 0], bool)
    tops, bottoms = [0, 1], [3, 4, 5]
    assert sv.judge(scores, right)["pair accuracy"] == pytest.approx(np.mean([right[i] and not right[j] for i in tops for j in bottoms]))


@quick
@given(hnp.arrays(np.int8, st.tuples(st.integers(1, 4), st.integers(0, 6)), elements=st.integers(0, 3)), st.data(), st.sampled_from([0, .3]))
def test_pair_accuracy_of_many_prompts_is_that_of_each(scores, data, margin):
    right = data.draw(hnp.arrays(bool, scores.shape))
    one = [sv.judge(s, y, margin)["pair accuracy"] for s, y in zip(scores, right)]
    np.testing.assert_allclose(sv.pair_accuracy(scores, right, margin), one)


# ------------------------------------------------------------------ where it fails

def test_always_true_tests_move_self_validation_but_not_counting():
    worlds = sv.toy_matrix(np.random.default_rng(0), prompts=300)[0]
    assert sv.disturbed(sv.self_validation, worlds, 5)["an order"].any()
    for rank in (sv.number_passed, sv.filter_all): assert not any(hit.any() for hit in sv.disturbed(rank, worlds, 5).values())
    assert sv.with_trivial(worlds, 2).shape == (300, 15, 17)


@given(*[st.integers(1, 9)] * 4)
def test_the_larger_camp_takes_all(a, b, c, e):
    assume(a * b != c * e)
    first, last = sv.hits(sv.two_camps(a, b, c, e))[0][[0, -1]]
    assert (first > .99 / a, last > .99 / c) == (a * b > c * e, a * b < c * e)
    score = sv.codet(sv.two_camps(a, b, c, e))[0]
    assert (score[0] > score[-1]) == (a * b > c * e)


def test_toy_worlds_have_the_shares_asked_for():
    matrix, right, valid = sv.toy_matrix(np.random.default_rng(0), p_code=.3, p_test=.4, trivial=.5, by_chance=0, prompts=2000)
    assert matrix.shape == (2000, 15, 15) and right.mean() == pytest.approx(.3, abs=.01) and valid.mean() == pytest.approx(.7, abs=.01)
    assert matrix[right[..., None] & valid[:, None]].all()
    assert [x.shape for x in sv.toy_matrix(np.random.default_rng(0), codes=3, tests=2)] == [(3, 2), (3,), (2,)]


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


def test_pairs_say_where_they_come_from():
    row = dict(task_id="t", prompt="Write f.", solutions=["x = 1", "x = 2"], code_scores=[4., 1.])
    [pair] = sv.correctness_pairs([row], stage="02_selfverify", ranker="HITS", seed=3)
    assert (pair["stage"], pair["ranker"], pair["seed"]) == ("02_selfverify", "HITS", 3)


def test_pairs_of_all_kinds_are_one_data_set(tmp_path):
    datasets = pytest.importorskip("datasets")
    from codedpo_nb import efficiency
    from codedpo_nb.running.records import Run
    row = dict(task_id="t", prompt="Write f.", solutions=["x = 1", "x = 2"], code_scores=[.3, .1])
    made = dict(correctness=sv.correctness_pairs([row], stage="02_selfverify", ranker="r", seed=1), bare=sv.correctness_pairs([row]),
                efficiency=efficiency.efficiency_pairs([row], [dict(task_id="t", candidates=[0, 1], cost=[2 ** 53 + 1, 2 ** 60 + 3])]),
                unscored=efficiency.efficiency_pairs([{k: v for k, v in row.items() if k != "code_scores"}], [dict(task_id="t", candidates=[0, 1], cost=[1, 9])]), empty=[])
    run = Run("p", "s", {}, home=tmp_path)
    paths = {name: run.write(f"{name}.jsonl", sv.pair_rows(pairs), like=sv.PAIR) for name, pairs in made.items()}
    assert {tuple(r) for name in made for r in run.read(f"{name}.jsonl")} == {tuple(sv.PAIR)}
    names = list(made)
    for order in (names, names[::-1], names[2:] + names[:2]):
        loaded = datasets.load_dataset("json", data_files=[str(paths[n]) for n in order], split="train", cache_dir=str(tmp_path/"-".join(order)))
        assert len(loaded) == 4 and loaded.column_names == list(sv.PAIR)
        [fast] = [r for r in loaded if r["chosen_cost"] > 99]
        assert (fast["chosen_cost"], fast["rejected_cost"]) == (2 ** 53 + 1, 2 ** 60 + 3) and fast["rejected_score"] == float(sv.relative([.3, .1])[1])


def test_margin_curve_falls_in_yield_and_counts_pairs():
    r = np.random.default_rng(0)
    scores, truths = list(r.random((40, 6))), list(r.random((40, 6)) < .5)
    curve = sv.margin_curve(scores, truths, [0, .5, .9, 1])
    assert [row["yield"] for row in curve] == sorted((row["yield"] for row in curve), reverse=True) and curve[-1]["pairs"] == 0
    assert all(row["yield"] == row["pairs"] / 40 for row in curve) and math.isnan(curve[-1]["accuracy"])


def test_decontamination_finds_text_and_names():
    exam = dict(prompt="Write a function that returns the sum of the squares of all odd numbers", canonical="return sum(x * x for x in xs if x % 2)",
                entry_point="odd_squares")
    task = dict(task_id="t", prompt="Please: the sum of the squares of all odd numbers below n")
    for prompt, chosen, found in ((task["prompt"], "def g(n): pass", None), ("Returns the SUM of the squares, of all odd numbers!", "x = 1", "10 tokens"),
                                  ("Anything", "def odd_squares(xs):\n  pass", "entry point odd_squares"), ("Anything", "odd_squares([1])", None)):
        kept, removed = sv.decontaminate([sv.as_preference(task | dict(prompt=prompt), chosen, "x = 2")], [exam])
        assert len(kept) + len(removed) == 1
        assert removed[0]["reason"].startswith(found) if found else kept


# ------------------------------------------------------------------ published samples

def test_completions_end_where_the_block_ends():
    assert sv.completed("def f():\n", "    return 1\n\n    # more\nprint(2)\n    x") == "def f():\n    return 1\n\n    # more"


def test_assertions_are_counted_in_order_of_appearance():
    found = sv.sampled_assertions(["f(2) == 2\nassert f(1) == 1\nassert f(", "f(1) == 1\n\nmore text", "\n"])
    assert list(found.items()) == [("assert f(2) == 2", 1), ("assert f(1) == 1", 2)]


def test_missing_samples_are_a_sentence(tmp_path, monkeypatch):
    from codedpo_nb.benchmarks import BenchmarkError
    with pytest.raises(BenchmarkError, match="has no codegen16b_solutions.jsonl.gz"): sv.codet_samples(tmp_path)
    monkeypatch.delenv("CODEDPO_DATA", raising=False)
    with pytest.raises(BenchmarkError, match="CODEDPO_DATA is not set"): sv.codet_samples(None)


@pytest.mark.skipif(not os.environ.get("CODEDPO_DATA"), reason="CODEDPO_DATA names no folder with CodeT's samples")
def test_published_samples_end_where_their_block_ends():
    from codedpo_nb.benchmarks import data_folder, read_rows
    _, row = next(iter(read_rows(next(data_folder().rglob("codegen16b_solutions.jsonl.gz")))))
    def block(sample): return itertools.takewhile(lambda line: not line.strip() or line[0] in " \t#", sample.split("\n"))
    [first] = sv.codet_samples(None, 1)
    assert first["solutions"] == [row["prompt"] + "\n".join(block(s)) for s in row["samples"]] and 0 < len(first["tests"]) <= 100


def test_distinct_tests():
    said = ["assert f(1) == 2", "assert f(1)==2", "assert g(1) == 2", "assert f(", "f = 1\0", "assert f(2) == 3", "assert f(3) == 4"]
    assert sv.distinct_tests(said, "f") == ["assert f(1) == 2", "assert f(2) == 3", "assert f(3) == 4"]
    assert len(sv.distinct_tests(said, "f", 2)) == 2


def test_import_needs_numpy_only():
    code = "import sys, codedpo_nb.selfverify; print(sorted(m for m in ('torch', 'scipy', 'pandas', 'matplotlib') if m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
