"""Estimates of hours, memory and dollars: the table of rates, profiles with `costs`, and the dry run."""
import dataclasses
import json
import math
import re
from pathlib import Path

import pytest

from codedpo_nb.running import costs, plan, runner
from codedpo_nb.running.costs import Work

ROOT = Path(__file__).parent.parent
TABLE = ROOT/"benchmarks/results/rates.json"
RATES = costs.load_rates(TABLE)
PROFILES = [p.stem for p in sorted((ROOT/"profiles").glob("*.yaml")) if plan.make_plan(p.stem, ROOT).costs]


def work(**changes):
    return dataclasses.replace(Work("a step", "train", 1e9, "A100-80GB", weights=3.213), **changes)


def values_of(profile):
    made = plan.make_plan(profile, ROOT)
    defaults = {name: value for stage in made.stages for name, value in stage.params.items()}
    return made, defaults | made.values


def test_every_rate_and_machine_has_a_source_and_a_possible_value():
    for rate in RATES.rates:
        assert rate.kind in ("sample", "train", "judge") and rate.source and rate.how
        assert rate.here or rate.source.startswith(("https://", "arXiv:")), "a published rate has an address"
    for machine in RATES.machines.values():
        assert machine.source
        if machine.pattern: assert min(machine.memory_gb, machine.peak_tflops, machine.bandwidth_gbs) > 0


def test_no_published_rate_is_beyond_the_peak_of_its_chip():
    for rate in RATES.rates:
        peak = RATES.machines[rate.machine].peak_tflops
        if rate.kind == "judge" or not peak: continue
        used = costs.operations(rate.kind, rate.weights * 1e9, rate.tuning) * rate.per_second
        assert used < peak * 1e12


def test_no_machine_is_hidden_by_one_above_it():
    for name, machine in RATES.machines.items():
        if machine.pattern and ".*" not in machine.pattern:
            assert costs.machine_called(f"NVIDIA {machine.pattern}", RATES).machine == name
    for unknown in ("Tesla T4", "NVIDIA A1000", "NVIDIA L400", "cpu"):
        assert costs.machine_called(unknown, RATES) is None


def test_a_rate_of_the_same_machine_and_size_is_taken_as_it_is():
    rate = next(r for r in RATES.rates if r.model == "Llama-3.2-3B")
    assert costs.best_rate(work(), RATES) == (rate, pytest.approx(rate.per_second))
    row = costs.estimate(work(amount=rate.per_second * 3600, devices=2, price=3.), RATES)
    assert row["hours"] == pytest.approx(.5) and row["dollars"] == pytest.approx(3.)
    assert "scaled" not in row["basis"] and rate.source in row["basis"]


def test_scaling_is_said_and_goes_with_operations_peak_and_memory():
    whole, thin = (costs.best_rate(work(tuning=t), RATES)[1] for t in ("full", "lora"))
    assert thin == pytest.approx(1.5 * whole)
    assert costs.best_rate(work(weights=2 * 3.213), RATES)[1] == pytest.approx(whole / 2)
    small = work(machine="A10")
    rate, per = costs.best_rate(small, RATES)
    peaks = [RATES.machines[name].peak_tflops for name in ("A10", rate.machine)]
    assert per == pytest.approx(rate.per_second * rate.weights / 3.213 * peaks[0] / peaks[1])
    assert costs.estimate(small, RATES)["basis"].endswith("scaled by peak")
    rate, per = costs.best_rate(work(kind="sample", machine="A10", weights=7.248), RATES)
    widths = [RATES.machines[name].bandwidth_gbs for name in ("A10", rate.machine)]
    assert per == pytest.approx(rate.per_second * widths[0] / widths[1])


def test_a_processor_is_never_scaled_to_a_gpu_or_back():
    assert costs.best_rate(work(kind="sample", weights=.5), RATES)[0].machine != "two CPU cores"
    assert costs.best_rate(work(kind="sample", machine="two CPU cores"), RATES)[0].machine == "two CPU cores"
    only = dataclasses.replace(RATES, rates=[r for r in RATES.rates if r.machine == "two CPU cores"])
    with pytest.raises(plan.BadInput, match="no rate of kind 'train' is known for A100-80GB: measure one"):
        costs.best_rate(work(), only)


@pytest.mark.parametrize("text,why", [
    ("{", "no table of machines and rates that can be read"), ("[]", "no table"),
    ('{"machines": []}', "no table"),
    ('{"machines": [{"machine": "x"}], "rates": []}', "machine 1 is not an entry with bandwidth_gbs"),
    ('{"machines": [], "rates": [3]}', "rate 1 is not an entry with here")])
def test_a_damaged_table_is_one_sentence(tmp_path, text, why):
    (tmp_path/"rates.json").write_text(text)
    with pytest.raises(plan.BadInput, match=why): costs.load_rates(tmp_path/"rates.json")


def test_a_rate_of_an_unknown_machine_is_refused(tmp_path):
    found = json.loads(TABLE.read_text())
    found["rates"][0]["machine"] = "abacus"
    (tmp_path/"rates.json").write_text(json.dumps(found))
    with pytest.raises(plan.BadInput, match="rate 1 is of no machine here"):
        costs.load_rates(tmp_path/"rates.json")


def test_there_are_profiles_with_costs(): assert {"gpu", "paper"} <= set(PROFILES)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_says_what_each_step_takes(profile):
    made, values = values_of(profile)
    for machine, price in made.costs["machines"].items():
        steps = costs.profile_work(values, made.costs, machine, price, RATES)
        rows = [costs.estimate(w, RATES) for w in steps]
        assert [row["step"] for row in rows if row["step"].startswith("DPO")] \
            == [f"DPO of {name}" for name in made.costs["models"]]
        assert all(0 <= row["hours"] < math.inf and row["dollars"] >= 0 for row in rows)
        assert sum(row["hours"] for row in rows) > 0
    text = runner.cost_report(profile, ROOT)
    assert text.count("one after the other") == len(made.costs["machines"])
    assert set(re.findall(r"\$  \[(\d+)\]", text)) == set(re.findall(r"^\[(\d+)\]", text, re.M))


def test_the_paper_has_its_eight_models_at_their_size():
    made, values = values_of("paper")
    sizes = {name: sum(costs.weights(costs.shape(config)).values()) / 1e9
             for name, config in made.costs["models"].items()}
    assert len(sizes) == 8 and values["dpo_lr"] == 5e-6 and values["dpo_epochs"] == 10
    published = [2.78, 1.35, 6.74, 7.17, 6.74, 6.74, 6.74, 6.74]   # 10^9, as on each model's page
    assert list(sizes.values()) == [pytest.approx(size, rel=.005) for size in published]
    one = {w.step: w for w in costs.profile_work(values, made.costs, "A100-80GB", 2., RATES)}
    assert one["judging solutions"].amount == values["n_tasks"] * 15
    assert one["writing solutions and tests"].amount > 114_000 * 15


def test_a_larger_epoch_count_costs_more_and_the_shared_memory_is_said():
    made, values = values_of("paper")
    hours = lambda **changes: sum(costs.estimate(w, RATES)["hours"] for w in costs.profile_work(
        values | changes, made.costs, "A100-80GB", 2., RATES))
    assert hours() > hours(dpo_epochs=1) > hours(dpo_epochs=1, n_tasks=10)
    big = next(w for w in costs.profile_work(values, made.costs, "A100-80GB", 2., RATES)
               if w.step == "DPO of DeepSeekCoder-6.7B")
    assert "shared by 16" in big.note and big.memory < 80e9
    single = costs.profile_work(values, made.costs | dict(devices=1), "A100-80GB", 2., RATES)
    assert not costs.estimate(next(w for w in single if w.step == big.step), RATES)["fits"]


def test_the_dry_run_says_it_and_the_run_is_refused(capsys, monkeypatch):
    monkeypatch.setenv("CODEDPO_ROOT", str(ROOT))
    assert runner.main(["--profile", "paper", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "On 16 x A100-80GB, at 2.0 $" in said and "DPO of StarCoder2-7B" in said and "05_dpo" in said
    assert runner.main(["--profile", "paper"]) == 2
    assert "too large to be run from here: give --dry-run" in capsys.readouterr().err
    assert not (ROOT/"outputs/paper").exists()


def test_a_profile_without_costs_says_nothing_of_them(): assert runner.cost_report("smoke", ROOT) == ""


def test_an_override_changes_the_estimate():
    assert runner.cost_report("paper", ROOT, ["dpo_epochs=1"]) != runner.cost_report("paper", ROOT)


@pytest.mark.parametrize("text,why", [
    ("costs: 3", "costs is 3, but it has to be a mapping"),
    ("costs: {devices: 1}", "costs: machines is None"),
    ("costs: {gpu: 1}", "costs: machines is None")])
def test_bad_costs_are_one_sentence(tmp_path, text, why):
    (tmp_path/"odd.yaml").write_text(f"profile: odd\n{text}\n")
    with pytest.raises(plan.BadInput, match=why): runner.cost_report(str(tmp_path/"odd.yaml"), ROOT)


def test_costs_are_no_parameter_of_a_stage():
    made = plan.make_plan("paper", ROOT)
    assert "costs" not in made.values and not any("costs" in made.passed(stage) for stage in made.stages)
