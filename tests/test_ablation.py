"""Pairs by every strategy, nested shares, the plan of runs, and one run that is really trained and judged."""
import random

import numpy as np
import pytest

from codedpo_nb import ablation, eval as evaluation, records, tasks
from codedpo_nb.corpus import code_document, reference_solution, mutate, test_document as document_of_tests
from codedpo_nb.selfverify import correctness_pairs, self_validation


def verified(n, seed=0, codes=6, tests=5):
    "Rows as stage 02 writes them, with simulated verdicts that are mostly right."
    r, out = records.rng(seed, "verified"), []
    for i in range(n):
        right = r.random(codes) < .5
        matrix = np.where(np.outer(right, r.random(tests) < .7), 1, r.random((codes, tests)) < .25).astype(int)
        out.append(dict(task_id=f"t{i}", prompt=f"Write f{i}.", solutions=[f"def f(): return {j}" for j in range(codes)], tests=[f"assert {j}" for j in range(tests)],
                        matrix=matrix.tolist(), code_scores=self_validation(matrix)[0].tolist(), right=right.tolist()))
    return out


ROWS = verified(200)


def test_self_validation_makes_the_pairs_of_stage_02():
    assert ablation.pairs_by("self-validation", ROWS, .1) == correctness_pairs(ROWS, .1)


@pytest.mark.parametrize("strategy", ablation.STRATEGIES)
def test_every_strategy_makes_pairs_of_different_programs_repeatably(strategy):
    pairs = ablation.pairs_by(strategy, ROWS, .05, seed=1)
    assert pairs == ablation.pairs_by(strategy, ROWS, .05, seed=1) and len({p["task_id"] for p in pairs}) == len(pairs) > 0
    assert all(p["chosen"] != p["rejected"] and p["chosen_score"] > p["rejected_score"] for p in pairs)


def test_truth_of_pairs_orders_the_strategies():
    true = {s: np.mean(ablation.true_pairs(ablation.pairs_by(s, ROWS), ROWS)) for s in ablation.STRATEGIES}
    assert true["oracle"] == 1 and true["random"] < .4 < true["number passed"] < 1
    assert true["self-validation"] > true["random"] and true["CodeT"] > true["random"]


def test_strategies_survive_prompts_without_tests_or_solutions():
    empty = [dict(ROWS[0], tests=[], matrix=[[] for _ in ROWS[0]["solutions"]], code_scores=[1.] * 6), dict(ROWS[1], solutions=[], matrix=[], code_scores=[], right=[])]
    for s in ablation.STRATEGIES: assert len(ablation.pairs_by(s, empty)) <= 1


def test_unknown_names_and_impossible_shares_are_refused():
    with pytest.raises(ValueError, match="use one of random"): ablation.pairs_by("beauty", ROWS)
    with pytest.raises(ValueError, match="ablate holds 'sise'"): ablation.runs(["sise"])
    for share in (0, 1.5):
        with pytest.raises(ValueError, match="above 0"): ablation.share_of([], share)


def test_shares_are_nested_and_in_order():
    pairs = ablation.pairs_by("self-validation", ROWS)
    parts = [ablation.share_of(pairs, s) for s in (.25, .5, .75, 1)]
    assert [len(p) for p in parts] == [round(s * len(pairs)) for s in (.25, .5, .75, 1)]
    for small, large in zip(parts, parts[1:]): assert [p for p in large if p in small] == small


def test_common_runs_are_planned_once():
    plan = ablation.runs(["ranking", "objective", "size"])
    assert len(plan) == len(set(plan)) == 12 and plan.count(ablation.METHOD) == 1
    for questions in (["ranking"], ["objective"], ["size"]): assert ablation.METHOD in ablation.runs(questions)
    assert all(labels["base"] is None for labels in ablation.ablations().values())


def test_paper_figures_stand_beside_rows_that_exist():
    for q, (source, models, figures) in ablation.PAPER.items():
        assert "Table" in source and set(figures) <= set(ablation.ablations()[q])
        assert all(len(f) == len(models) for f in figures.values())


@pytest.mark.parametrize("objective", ["sft", "dpo+sft"])
def test_a_run_is_trained_judged_and_leaves_no_weights(tmp_path, objective):
    model = pytest.importorskip("codedpo_nb.model")
    some, r = tasks.task_space(0)["test"][:24], random.Random(0)
    docs = [code_document(t, r, .5, 0.) for t in some] + [document_of_tests(t, r, 0.) for t in some]
    tokenizer = model.train_tokenizer([d["prompt"] + d["answer"] for d in docs], 400)
    model.save(model.fresh_model(tokenizer, 32, 1), tokenizer, tmp_path/"base")
    rows = [dict(task_id=t["task_id"], prompt=t["prompt"], solutions=[reference_solution(t), mutate(reference_solution(t), r)], code_scores=[2., 1.]) for t in some]
    pairs = correctness_pairs(rows)
    how = dict(lr=1e-3, epochs=1, batch=8, seed=0)
    found = ablation.train_and_judge(("self-validation", objective, 1.), pairs, tmp_path/"base", tmp_path/"out", evaluation.scale_problems("test", 2), how, how, n=2, longest=12)
    assert set(found["rates"]) == {t["task_id"] for t in some[:2]} and found["answers"] == 4 == sum(found["kinds"].values())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base"]
