"""The stage: rankings judged against the truth, margins, exams, published samples."""
import itertools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from codedpo_nb import pairs, ranking
from codedpo_nb import selfverify as sv

quick = settings(max_examples=60, deadline=None)


def test_what_the_readme_names_is_here():
    assert sv.self_validation is ranking.self_validation and sv.relative is ranking.relative


def test_judging_needs_a_truth_a_solution():
    with pytest.raises(ValueError, match="3 scores but 2 truths"): sv.judge_scores([1, 2, 3], [True, False])


@quick
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=10))
def test_measures_stay_in_range_and_perfect_is_one(rows):
    scores, right = map(np.array, zip(*rows, strict=False))
    for measure, value in sv.judge_scores(scores, right).items():
        assert np.isnan(value) or -1 - 1e-9 <= value <= 1 + 1e-9, measure
    assume(right.any() and not right.all())
    judged = sv.judge_scores(right.astype(float), right)
    y, n = right.sum(), len(right)
    assert judged.pop("ties") == pytest.approx((y * (y - 1) + (n - y) * (n - y - 1)) / (n * (n - 1)))
    assert all(v == pytest.approx(1) for v in judged.values())


def test_pair_accuracy_is_the_average_over_broken_ties():
    np.random.default_rng(0)
    scores, right = np.array([2, 2, 1, 0, 0, 0]), np.array([1, 0, 1, 1, 0, 0], bool)
    tops, bottoms = [0, 1], [3, 4, 5]
    assert sv.judge_scores(scores,
                           right)["pair accuracy"] == pytest.approx(
        np.mean([right[i] and not right[j] for i in tops for j in bottoms]))


@quick
@given(hnp.arrays(np.int8, st.tuples(st.integers(1, 4), st.integers(0, 6)), elements=st.integers(0, 3)),
       st.data(), st.sampled_from([0, .3]))
def test_pair_accuracy_of_many_prompts_is_that_of_each(scores, data, margin):
    right = data.draw(hnp.arrays(bool, scores.shape))
    one = [sv.judge_scores(s, y, margin)["pair accuracy"] for s, y in zip(scores, right, strict=False)]
    np.testing.assert_allclose(pairs.pair_accuracy(scores, right, margin), one)


def test_margin_curve_falls_in_yield_and_counts_pairs():
    r = np.random.default_rng(0)
    scores, truths = list(r.random((40, 6))), list(r.random((40, 6)) < .5)
    curve = sv.margin_curve(scores, truths, [0, .5, .9, 1])
    assert [row["yield"] for row in curve] == sorted((row["yield"] for row in curve),
                                                     reverse=True) and curve[-1]["pairs"] == 0
    assert all(row["yield"] == row["pairs"] / 40 for row in curve) and math.isnan(curve[-1]["accuracy"])


def test_decontamination_finds_text_and_names():
    exam = dict(prompt="Write a function that returns the sum of the squares of all odd numbers",
                canonical="return sum(x * x for x in xs if x % 2)",
                entry_point="odd_squares")
    task = dict(task_id="t", prompt="Please: the sum of the squares of all odd numbers below n")
    for prompt, chosen, found in ((task["prompt"], "def g(n): pass", None),
                                  ("Returns the SUM of the squares, of all odd numbers!", "x = 1",
                                   "10 tokens"),
                                  ("Anything", "def odd_squares(xs):\n  pass", "entry point odd_squares"),
                                  ("Anything", "odd_squares([1])", None)):
        kept, removed = (sv.decontaminate([pairs.as_preference(task | dict(prompt=prompt), chosen, "x = 2")],
                                          [exam]))
        assert len(kept) + len(removed) == 1
        assert removed[0]["reason"].startswith(found) if found else kept


def test_completions_end_where_the_block_ends():
    assert (sv.completed("def f():\n",
                         "    return 1\n\n    # more\nprint(2)\n    x")
            == "def f():\n    return 1\n\n    # more")


def test_assertions_are_counted_in_order_of_appearance():
    found = sv.sampled_assertions(["f(2) == 2\nassert f(1) == 1\nassert f(", "f(1) == 1\n\nmore text", "\n"])
    assert list(found.items()) == [("assert f(2) == 2", 1), ("assert f(1) == 1", 2)]


def test_missing_samples_are_a_sentence(tmp_path, monkeypatch):
    from codedpo_nb.benchmarks import BenchmarkError
    with pytest.raises(BenchmarkError, match="has no codegen16b_solutions.jsonl.gz"):
        sv.codet_samples(tmp_path)
    monkeypatch.delenv("CODEDPO_DATA", raising=False)
    with pytest.raises(BenchmarkError, match="CODEDPO_DATA is not set"): sv.codet_samples(None)


@pytest.mark.skipif(not os.environ.get("CODEDPO_DATA"),
                    reason="CODEDPO_DATA names no folder with CodeT's samples")
def test_published_samples_end_where_their_block_ends():
    from codedpo_nb.benchmarks import data_folder, read_rows
    _, row = next(iter(read_rows(next(data_folder().rglob("codegen16b_solutions.jsonl.gz")))))
    def block(sample):
        return itertools.takewhile(lambda line: not line.strip() or line[0] in " \t#", sample.split("\n"))
    [first] = sv.codet_samples(None, 1)
    assert first["solutions"] == [row["prompt"] + "\n".join(block(s))
                                  for s in row["samples"]] and 0 < len(first["tests"]) <= 100


def test_distinct_tests():
    said = ["assert f(1) == 2", "assert f(1)==2", "assert g(1) == 2", "assert f(", "f = 1\0",
            "assert f(2) == 3", "assert f(3) == 4"]
    assert sv.distinct_tests(said, "f") == ["assert f(1) == 2", "assert f(2) == 3", "assert f(3) == 4"]
    assert len(sv.distinct_tests(said, "f", 2)) == 2


def test_import_needs_numpy_only():
    code = ("import sys, codedpo_nb.selfverify; print(sorted(m for m in ('torch', 'scipy', 'pandas', "
            "'matplotlib') if m in sys.modules))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True).stdout.strip() == "[]"
