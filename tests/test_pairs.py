"""Preference pairs: which two, rows that are plain and of one data set."""
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codedpo_nb import pairs as P
from codedpo_nb.ranking import relative

quick = settings(max_examples=60, deadline=None)


@quick
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a = 1", "a=1", "b = 1", "b = 1  # b", "c ="])),
                max_size=8), st.sampled_from([0, .2]))
def test_pairs_are_of_different_programs_and_far_enough_apart(rows, margin):
    scores, programs = [r[0] for r in rows], [r[1] for r in rows]
    pair = P.pick_pair(scores, programs, margin)
    s, same = relative(scores), list(map(P.canonical_source, programs))
    if pair:
        i, j = pair
        assert s[i] == s.max() and s[i] - s[j] > margin and same[i] != same[j]
        assert i == min(k for k in range(len(s)) if s[k] == s[i])
        assert all(s[k] >= s[j] for k in range(len(s)) if same[k] != same[i])
    else:
        assert not rows or all(same[k] == same[P.best_first(scores)[0]] or s.max() - s[k] <= margin
                               for k in range(len(s)))


def test_preference_rows_are_plain_and_not_repeated(tmp_path):
    row = dict(task_id="t", prompt="Write f.", solutions=["x = 1", "x = 2"], code_scores=np.array([4., 1.]))
    rows = P.correctness_pairs([row, dict(row, task_id="u"), dict(row, task_id="v", code_scores=[1, 1])],
                               margin=.1)
    assert json.loads(json.dumps(rows)) == rows and len(rows) == 1
    assert rows[0] == dict(prompt=[dict(role="user", content="Write f.")],
                           chosen=[dict(role="assistant", content="x = 1")],
                           rejected=[dict(role="assistant", content="x = 2")], task_id="t",
                           kind="correctness", chosen_score=1, rejected_score=.25,
                           chosen_index=0, rejected_index=1)


def test_pairs_say_where_they_come_from():
    row = dict(task_id="t", prompt="Write f.", solutions=["x = 1", "x = 2"], code_scores=[4., 1.])
    [pair] = P.correctness_pairs([row], stage="02_selfverify", ranker="HITS", seed=3)
    assert (pair["stage"], pair["ranker"], pair["seed"]) == ("02_selfverify", "HITS", 3)


def test_pairs_of_all_kinds_are_one_data_set(tmp_path):
    datasets = pytest.importorskip("datasets")
    from codedpo_nb import efficiency
    from codedpo_nb.running.records import Run
    row = dict(task_id="t", prompt="Write f.", solutions=["x = 1", "x = 2"], code_scores=[.3, .1])
    made = dict(correctness=P.correctness_pairs([row], stage="02_selfverify", ranker="r", seed=1),
                bare=P.correctness_pairs([row]),
                efficiency=efficiency.efficiency_pairs([row],
                                                       [dict(task_id="t", candidates=[0, 1],
                                                             cost=[2 ** 53 + 1, 2 ** 60 + 3])]),
                unscored=efficiency.efficiency_pairs([{k: v for k, v in row.items() if k != "code_scores"}],
                                                     [dict(task_id="t", candidates=[0, 1], cost=[1, 9])]),
                empty=[])
    run = Run("p", "s", {}, home=tmp_path)
    paths = {name: run.write(f"{name}.jsonl", P.pair_rows(pairs), like=P.PAIR) for name,
             pairs in made.items()}
    assert {tuple(r) for name in made for r in run.read(f"{name}.jsonl")} == {tuple(P.PAIR)}
    names = list(made)
    for order in (names, names[::-1], names[2:] + names[:2]):
        loaded = datasets.load_dataset("json", data_files=[str(paths[n]) for n in order], split="train",
                                       cache_dir=str(tmp_path/"-".join(order)))
        assert len(loaded) == 4 and loaded.column_names == list(P.PAIR)
        [fast] = [r for r in loaded if r["chosen_cost"] > 99]
        assert (fast["chosen_cost"], fast["rejected_cost"]) == (2 ** 53 + 1,
                                                                2 ** 60
                                                                + 3) and fast["rejected_score"] == float(
            relative([.3, .1])[1])
