"""Pairs by every strategy, nested shares, the plan of runs, and one run that is really trained and judged."""
import random

import numpy as np
import pytest

from codedpo_nb import ablation, arms
from codedpo_nb import eval as evaluation
from codedpo_nb.pairs import correctness_pairs
from codedpo_nb.ranking import self_validation
from codedpo_nb.running import records
from codedpo_nb.world import tasks
from codedpo_nb.world.corpus import code_document, mutate, reference_solution


def verified(n, seed=0, codes=6, tests=5):
    "Rows as stage 02 writes them, with simulated verdicts that are mostly right."
    r, out = records.rng(seed, "verified"), []
    for i in range(n):
        right = r.random(codes) < .5
        matrix = np.where(np.outer(right, r.random(tests) < .7), 1,
                          r.random((codes, tests)) < .25).astype(int)
        out.append(dict(task_id=f"t{i}", prompt=f"Write f{i}.",
                        solutions=[f"def f(): return {j}" for j in range(codes)],
                        tests=[f"assert {j}" for j in range(tests)],
                        matrix=matrix.tolist(), code_scores=self_validation(matrix)[0].tolist(),
                        right=right.tolist()))
    return out


ROWS = verified(200)


def test_self_validation_makes_the_pairs_of_stage_02():
    assert ablation.pairs_by("self-validation", ROWS, .1) == correctness_pairs(ROWS, .1)


@pytest.mark.parametrize("strategy", ablation.STRATEGIES)
def test_every_strategy_makes_pairs_of_different_programs_repeatably(strategy):
    pairs = ablation.pairs_by(strategy, ROWS, .05, seed=1)
    assert pairs == ablation.pairs_by(strategy, ROWS, .05,
                                      seed=1) and len({p["task_id"] for p in pairs}) == len(pairs) > 0
    assert all(p["chosen"] != p["rejected"] and p["chosen_score"] > p["rejected_score"] for p in pairs)


def test_truth_of_pairs_orders_the_strategies():
    true = {s: np.mean(ablation.true_pairs(ablation.pairs_by(s, ROWS), ROWS)) for s in ablation.STRATEGIES}
    assert true["oracle"] == 1 and true["random"] < .4 < true["number passed"] < 1
    assert true["self-validation"] > true["random"] and true["CodeT"] > true["random"]


def test_strategies_survive_prompts_without_tests_or_solutions():
    empty = [dict(ROWS[0], tests=[], matrix=[[] for _ in ROWS[0]["solutions"]], code_scores=[1.] * 6),
             dict(ROWS[1], solutions=[], matrix=[], code_scores=[], right=[])]
    for s in ablation.STRATEGIES: assert len(ablation.pairs_by(s, empty)) <= 1


def test_unknown_names_and_impossible_shares_are_refused():
    with pytest.raises(ValueError, match="use one of random"): ablation.pairs_by("beauty", ROWS)
    with pytest.raises(ValueError, match="ablate holds 'sise'"): arms.arms_of(["sise"])
    with pytest.raises(ValueError, match="data = 'beauty'"): ablation.arm_rows("beauty", ROWS, MEASURED, [])
    for share in (0, 1.5):
        with pytest.raises(ValueError, match="above 0"): ablation.share_of([], share)


def test_shares_are_nested_and_in_order():
    pairs = ablation.pairs_by("self-validation", ROWS)
    parts = [ablation.share_of(pairs, s) for s in (.25, .5, .75, 1)]
    assert [len(p) for p in parts] == [round(s * len(pairs)) for s in (.25, .5, .75, 1)]
    for small, large in zip(parts, parts[1:], strict=False): assert [p for p in large if p in small] == small


def test_paper_figures_stand_beside_rows_that_exist():
    questions = arms.scale_arms(counts=(5, 50))
    for q, (source, models, figures) in ablation.PAPER.items():
        assert "Table" in source and set(figures) - {"base"} <= set(questions[q])
        assert all(len(f) == len(models) for f in figures.values())


def measured_of(rows, seed=0):
    "Costs as stage 03 writes them: a solution that passes all that the best one passes has one."
    r, out = records.rng(seed, "measured"), []
    for v in rows:
        best = max(range(len(v["solutions"])), key=lambda i: v["code_scores"][i])
        credible = [j for j, passed in enumerate(v["matrix"][best]) if passed]
        passing = [i for i, row in enumerate(v["matrix"]) if credible and all(row[j] for j in credible)]
        out.append(dict(task_id=v["task_id"], credible=credible, passing=passing, candidates=passing,
                        cost=[int(r.integers(10, 99)) if i in passing else None
                              for i in range(len(v["solutions"]))]))
    return out


MEASURED = measured_of(ROWS)


def test_the_table_of_regimes_is_that_of_the_report():
    table = ablation.regime_table()
    assert len(ablation.REPORT) == 17 and set(ablation.REPORT) <= set(table) and table["base"] == ()
    assert table["dpo-pvf-qts"] == (("dpo", "pvf"),
                                    ("dpo", "qts")) and table["25-sft-dpo-codedpo"] == (("sft", "25"),
        ("dpo+sft", "codedpo"))
    for chain in table.values():
        for objective, data in chain:
            assert objective == "sft" or data == "codedpo" or ablation.weights_of(data)


def test_common_beginnings_are_trained_once_and_first():
    plan = ablation.trainings(ablation.regime_table().values())
    assert len(plan) == len(set(plan)) == 17 + len(ablation.MIXTURES)
    for i, chain in enumerate(plan): assert len(chain) == 1 or chain[:-1] in plan[:i]


@pytest.mark.parametrize("pairs", [*ablation.PAIR_RULES, "0.5pvf-0.5qra"])
def test_regime_pairs_follow_their_rule(pairs):
    cost, passing = ({m["task_id"]: m[k] for m in MEASURED} for k in ("cost", "passing"))
    made = ablation.regime_pairs(pairs, ROWS, MEASURED, draws=2, seed=1)
    assert made and made == ablation.regime_pairs(pairs, ROWS, MEASURED, draws=2, seed=1)
    # which alone leaves no choice
    assert (made == ablation.regime_pairs(pairs, ROWS, MEASURED, draws=2, seed=2)) == (pairs == "qfs")
    for p in made:
        t, i, j = p["task_id"], p["chosen_index"], p["rejected_index"]
        assert i in passing[t] and p["chosen"] != p["rejected"]
        if pairs == "pvf": assert j not in passing[t]
        elif pairs.startswith("q"): assert cost[t][i] < cost[t][j]
        if pairs == "qfs":
            assert cost[t][i] == min(filter(None, cost[t])) and cost[t][j] == max(filter(None, cost[t]))


def test_mixtures_have_their_shares():
    made = ablation.regime_pairs("0.2pvf-0.8qra", ROWS, MEASURED, draws=10)
    alone = {p: len(ablation.regime_pairs(p, ROWS, MEASURED)) for p in ("pvf", "qra")}
    expected = 10 * (.2 * alone["pvf"] + .8 * alone["qra"])
    assert abs(len(made) - expected) < 3 * (10 * 200 * .2 * .8) ** .5
    for bad in ("0.5pvf", "0.5pvf-0.6qra", "pvf-qra", "nonsense", "0.5pvf-0.5nonsense"):
        with pytest.raises(ValueError, match="cannot be drawn"): ablation.weights_of(bad)


def test_sft_rows_come_from_the_cheapest_share():
    cost = {m["task_id"]: m["cost"] for m in MEASURED}
    for row in ablation.regime_solutions(.25, ROWS, MEASURED, draws=3):
        code, costs = row["completion"][0]["content"], cost[row["task_id"]]
        own = costs[[f"def f(): return {j}" for j in range(6)].index(code)]
        known = sorted(filter(None, costs))
        assert own in known[:max(1, len(known) // 4)]
    assert len(ablation.regime_solutions(1., ROWS, MEASURED, draws=3)) == 3 * sum(bool(m["passing"])
        for m in MEASURED)


def test_regimes_are_chosen_by_name_with_what_they_are_compared_to():
    assert list(ablation.wanted_regimes(["all"])) == list(
        ablation.regime_table()) and ablation.wanted_regimes([]) == {}
    assert list(ablation.wanted_regimes(["25-sft-dpo-qra"])) == ["base", "25-sft", "25-sft-dpo-qra"]
    with pytest.raises(ValueError, match="regimes holds 'dpo-pvx': use"): ablation.wanted_regimes(["dpo-pvx"])


def test_costs_are_compared_on_what_both_solved():
    r = np.random.default_rng(0)
    before = dict(rates={t: .5 for t in "abcd"}, cost=dict(a=100., b=100., c=1000.), own_cost=400.)
    after = dict(rates={t: .75 for t in "abcd"}, cost=dict(a=50., b=50., d=9999.), own_cost=3366.)
    row = ablation.against(after, before, r, 200)
    assert row["points"] == 25 and row["points low"] < 0 and row[
        "pass@1"] == "not resolved", "four problems alike resolve nothing"
    assert (row["solved by both"], row["times cheaper"], row["cost"]) == (2, pytest.approx(2),
        "cheaper") and row["times cheaper, own answers"] < 1


def test_every_arm_has_rows_to_learn_from():
    fast = [p | dict(kind="efficiency") for p in ablation.regime_pairs("qfs", ROWS, MEASURED)]
    method = ablation.pairs_by("self-validation", ROWS, .1)
    plan = arms.arms_of(list(arms.scale_arms()), shares=(.25, .5), counts=(3,))
    assert len(plan) > 20
    for arm in plan.values():
        rows = ablation.arm_rows(arm.data, ROWS, MEASURED, fast, .1)
        assert rows == ablation.arm_rows(arm.data, ROWS, MEASURED, fast, .1)
        assert rows and all(r["chosen"][0]["content"] in r_solutions(r) for r in rows)
        if arm.objective != "sft": assert all(r["rejected"] != r["chosen"] for r in rows)
        if arm.data not in ("both", "best", "random samples", "efficiency"): assert len(rows) <= len(method)
        if arm.name.startswith("25%"): assert len(rows) == round(.25 * len(method))


def r_solutions(row): return next(v["solutions"] for v in ROWS if v["task_id"] == row["task_id"])


def test_few_samples_are_ranked_anew_and_few_prompts_are_few():
    few = [ablation.first_samples(v, 3) for v in ROWS]
    assert all(len(v["solutions"]) == len(v["code_scores"]) == len(v["matrix"]) == 3 for v in few)
    assert ablation.first_samples(ROWS[0], 99)["code_scores"] == pytest.approx(ROWS[0]["code_scores"])
    rows = ablation.of_few_prompts(ROWS, 60, .1)
    assert len(rows) == 60 and len({r["task_id"] for r in rows}) <= len(ROWS) // 10
    unlucky = dict(ROWS[0], solutions=["", " "] + ROWS[0]["solutions"][2:])
    assert all(r["chosen"][0]["content"].strip() for r in ablation.random_samples([unlucky] * 20))
    assert ablation.random_samples([dict(ROWS[0], solutions=[""])]) == []


def test_a_chain_of_a_regime_is_trained_and_judged(tmp_path):
    model = pytest.importorskip("codedpo_nb.world.model")
    some, r = tasks.task_space(0)["test"][:16], random.Random(0)
    docs = [code_document(t, r, .5, 0.) for t in some]
    tokenizer = model.train_tokenizer([d["prompt"] + d["answer"] for d in docs], 400)
    model.save_model(model.fresh_model(tokenizer, 32, 1), tokenizer, tmp_path/"base")
    rows = [dict(task_id=t["task_id"], prompt=t["prompt"],
                 solutions=[reference_solution(t), mutate(reference_solution(t), r)], tests=["t"],
                 matrix=[[1], [0]],
                 code_scores=[2., 1.]) for t in some]
    how = dict(lr=1e-3, epochs=2, batch=8, seed=0)
    place, found = tmp_path/"base", []
    for i, stage in enumerate((("sft", "25"), ("dpo", "pvf"))):
        data = ablation.stage_rows(stage, rows, measured_of(rows), [], how, how)
        assert len(data) == 2 * len(some)
        log = ablation.train_stage(stage, data, place, tmp_path/str(i), how, how)
        place = tmp_path/str(i)
        assert any(row.get("kept") for row in log)
        found.append(ablation.judge_regime("x", *model.load_model(place), some[:2],
                                           evaluation.scale_problems("test", 2), n=2, longest=12, seed=0))
    assert all(set(f["rates"]) == {t["task_id"] for t in some[:2]} and f["answers"] == 4
               and f["own_cost"] is None for f in found)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0", "1", "base"]
