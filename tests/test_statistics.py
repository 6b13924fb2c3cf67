"""Intervals, paired tests, pooling, correction and resolution, against SciPy, closed formulas, enumeration
and cases worked out by hand."""
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, kendalltau, spearmanr

from codedpo_nb import seed
from codedpo_nb import statistics as S
from codedpo_nb.running import records


def test_import_is_light():
    code = ("import sys, codedpo_nb.statistics; sys.exit(any(m in sys.modules for m in ('torch', 'pandas', "
            "'matplotlib', 'scipy')))")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@given(st.integers(1, 200), st.data())
@settings(max_examples=40, deadline=None)
def test_wilson_is_scipys_and_the_one_of_the_seeds(n, data):
    k = data.draw(st.integers(0, n))
    z = 1.959963984540054
    assert S.wilson(k, n, z)[1:] == pytest.approx(tuple(binomtest(k, n).proportion_ci(method="wilson")),
                                                  abs=1e-12)
    assert seed.wilson is S.wilson


def test_bootstrap_covers_and_is_seeded():
    values = np.linspace(0, 1, 50)
    one, two = (S.bootstrap(values, records.rng(0, "x"), 500) for _ in range(2))
    assert one == two and one[1] < one[0] < one[2]
    assert one[2] - one[1] == pytest.approx(2 * 1.96 * values.std() / 50**.5, rel=.15)


def test_a_problem_without_a_value_has_no_say():
    mean, low, high = S.bootstrap(np.arange(100) % 2)
    assert mean == .5 and .38 < low < .45 and .55 < high < .62 and S.bootstrap(np.arange(100) % 2) == (mean,
        low, high)
    assert S.bootstrap([], nothing=np.nan) == pytest.approx((np.nan,) * 3, nan_ok=True)
    assert S.bootstrap([np.nan, np.nan]) == (None,) * 3 and S.bootstrap([np.nan, 3.]) == (3, 3, 3)
    values = np.linspace(0, 1, 40)
    few, many = (S.bootstrap([*values, *[np.nan] * n], records.rng(0, "no say"), 4000) for n in (0, 400))
    assert few[0] == many[0] and many[2] - many[1] == pytest.approx(few[2] - few[1], rel=.1)


@given(st.lists(st.sampled_from([0, .25, .5, 1]), min_size=1, max_size=60), st.integers(1, 200))
@settings(max_examples=150, deadline=None)
def test_a_rate_over_problems_lies_between_problems_and_answers(values, each):
    mean, low, high = S.clustered(values, each)
    wide, narrow = (S.wilson(mean * n, n) for n in (len(values), len(values) * each))
    assert mean == pytest.approx(np.mean(values)) and low < high and low - 1e-9 <= mean <= high + 1e-9
    assert wide[1] - 1e-9 <= low <= narrow[1] + 1e-9 and narrow[2] - 1e-9 <= high <= wide[2] + 1e-9
    if each == 1 or set(values) <= {0, 1} and len(values) > 3 and 0 < mean < 1:
        assert high - low == pytest.approx(wide[2] - wide[1], rel=.3)


def test_a_rate_over_many_problems_is_that_of_the_bootstrap():
    values = records.rng(0, "shares").beta(.5, .5, 400)
    assert S.clustered(values, 20)[1:] == pytest.approx(S.bootstrap(values, records.rng(0, "x"), 4000)[1:],
                                                        abs=.006)
    assert S.clustered([]) == (None,) * 3


def test_no_width_by_accident():
    same = dict.fromkeys("abc", .5)
    assert S.difference(same, same, None) == (0, -1, 1) and S.difference({}, {}, None) == (None,) * 3
    assert S.reading(*S.difference(dict.fromkeys(range(99), .75), dict.fromkeys(range(99), .5),
                                   None)[1:]) == "gain"
    assert S.bootstrap([3.], None)[0] == 3 and np.isnan(S.bootstrap([3.], None)[1:]).all()


def test_paired_difference_is_sharper_than_two_intervals_and_signed():
    r = records.rng(0, "pairs")
    before = dict(enumerate(r.random(80)))
    after = {i: min(1, v + .05) for i, v in before.items()}
    mean, low, high = S.difference(after, before, r)
    assert 0 < low < mean < high < .06
    assert S.difference(before, after, r)[0] == pytest.approx(-mean)
    assert S.paired_differences(dict(a=1, b=2), dict(b=1, c=3)) == [1]
    assert [S.reading(*x) for x in ((.1, .2), (-.2, -.1), (-.1, .1), (None, None))] == ["gain", "loss",
        "not resolved", "not measured"]


@given(st.integers(0, 15), st.integers(0, 15))
@settings(max_examples=40, deadline=None)
def test_mcnemar_is_the_tail_of_coin_tosses(gained, lost):
    pairs = dict(enumerate([(1, 0)] * gained + [(0, 1)] * lost + [(0, 0)] * 2))
    found = S.mcnemar({i: a for i, (a, _) in pairs.items()}, {i: b for i, (_, b) in pairs.items()})
    tail = sum(math.comb(gained + lost, i) for i in range(min(gained, lost) + 1)) / 2 ** (gained + lost)
    assert found == (gained, lost, pytest.approx(min(1, 2 * tail)))


@given(st.lists(st.integers(-4, 4), min_size=2, max_size=7))
@settings(max_examples=25, deadline=None)
def test_sign_flip_is_exact_for_few_problems(differences):
    after = {i: d / 4 for i, d in enumerate(differences)}
    before = dict.fromkeys(after, 0.)
    sums = [sum(s * d for s, d in zip(signs, differences, strict=False))
            for signs in itertools.product((1, -1), repeat=len(differences))]
    low = sum(x <= sum(differences) for x in sums) / len(sums)
    high = sum(x >= sum(differences) for x in sums) / len(sums)
    assert S.sign_flip(after, before, records.rng(0, "flip")) == pytest.approx(min(1, 2 * min(low, high)))


def test_sign_flip_agrees_with_mcnemar_on_verdicts():
    pairs = dict(enumerate([(1, 0)] * 9 + [(0, 1)] * 3 + [(1, 1)] * 30))
    after, before = ({i: p[j] for i, p in pairs.items()} for j in (0, 1))
    assert S.sign_flip(after, before, records.rng(0, "verdicts"),
                       20000) == pytest.approx(S.mcnemar(after, before)[2], abs=.015)


def test_pooled_has_the_variance_of_two_draws():
    r = records.rng(0, "two draws")
    table = r.normal(size=(5, 1)) * .2 + r.normal(size=40) * .3 + r.normal(size=(5, 40)) * .2
    effect = table - table.mean()
    a, b = effect.mean(1, keepdims=True), effect.mean(0, keepdims=True)
    crossed = ((a ** 2).mean() / 5 + (b ** 2).mean() / 40 + ((effect - a - b) ** 2).mean() / 200) ** .5
    nested = ((a ** 2).mean() / 5 + (table.var(axis=1) / 40).mean() / 5) ** .5
    for same, spread in ((True, crossed), (False, nested)):
        mean, low, high = S.mean_over_runs(table.tolist(), records.rng(0, "draws", same), same, 6000)
        assert mean == pytest.approx(table.mean()) and (high - low) / (2 * 1.96) == pytest.approx(spread,
            rel=.06)


def test_pooled_of_runs_without_noise_within_draws_runs_only():
    mean, low, high = S.mean_over_runs([[0.] * 9, [1.] * 9], records.rng(0, "runs"), draws=2000)
    assert (mean, low, high) == (.5, 0, 1)
    with pytest.raises(ValueError, match=r"the runs have \[2, 1\] problems"):
        S.mean_over_runs([[1, 2], [1]], None)
    assert S.mean_over_runs([[1, 1], [1]], records.rng(0, "uneven"), crossed=False, draws=50) == (1, 1, 1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_holm_is_the_closed_test_of_bonferroni(p):
    subsets = [s for k in range(1, len(p) + 1) for s in itertools.combinations(range(len(p)), k)]
    closed = [max(min(1, len(s) * min(p[j] for j in s)) for s in subsets if i in s) for i in range(len(p))]
    assert S.holm(p) == pytest.approx(closed)


def test_holm_by_hand(): assert S.holm([.01, .04, .03, .005]) == pytest.approx([.03, .06, .06, .02])


def test_resolvable_is_the_formula_of_power():
    assert S.resolvable([1, -1] * 50) == pytest.approx((1.959964 + .841621) * (100 / 99) ** .5 / 10, rel=1e-5)
    assert S.resolvable([1]) is None and S.resolution([1]) == "One problem resolves nothing."


@pytest.mark.parametrize("comparisons", [1, 3, 6, 20])
def test_least_gain_is_the_first_significant_one(comparisons):
    g = S.least_gain(comparisons=comparisons)
    assert binomtest(g, g).pvalue <= .05 / comparisons < binomtest(g - 1, g - 1).pvalue


def test_resolution_says_points_and_problems():
    said = S.resolution([.5, -.5] * 100, 1)
    assert "these 200 problems" in said and "9.9 points" in said and "below 6 problems (3.0 points)" in said


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=12), st.data())
def test_correlations_are_scipys(x, data):
    y = data.draw(st.lists(st.booleans(), min_size=len(x), max_size=len(x)))
    if len(set(x)) == 1 or len(set(y)) == 1: assert S.spearman(x, y) == S.kendall(x, y) == 0
    else:
        assert S.spearman(x, y) == pytest.approx(spearmanr(x, y)[0])
        assert S.kendall(x, y) == pytest.approx(kendalltau(x, y)[0])
