"All arms of a comparison take as many steps, and a killed one goes on."
import pytest

from codedpo_nb.arms import (
    ARMS,
    OWN,
    Arm,
    Trials,
    arm_key,
    arms_of,
    as_turns,
    examined,
    over_seeds,
    scale_arms,
    train_arm,
    weighed,
)
from codedpo_nb.eval import scale_problems
from codedpo_nb.running.records import rng
from codedpo_nb.world.corpus import corpus
from codedpo_nb.world.model import fresh_model, save_model, train_tokenizer
from codedpo_nb.world.tasks import task_space


def said(role, text): return [dict(role=role, content=text)]


PAIRS = [as_turns(dict(task_id=str(i), prompt=said("user", f"Write `f(x)`, {i}."),
                       chosen=said("assistant", f"def f(x): return x + {i}"),
                       rejected=said("assistant", f"def f(x): return x - {i}")), "f") for i in range(6)]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    docs = list(corpus(task_space(0)["train"], 60, 0))
    tokenizer = train_tokenizer([d["prompt"] + "\n" + d["answer"] for d in docs], 512)
    save_model(fresh_model(tokenizer, 32, 1), tokenizer, folder)
    return folder


@pytest.mark.parametrize("arm", ARMS[:5], ids=lambda arm: arm.name)
def test_every_arm_ends_after_as_many_steps(base, arm, tmp_path):
    log = train_arm(arm, PAIRS[:4], PAIRS[4:], base, tmp_path/"model", tmp_path/"work", steps=3, batch=2)
    assert max(row["step"] for row in log) == 3
    assert (tmp_path/"model/model.safetensors").exists()


def test_an_adapter_is_trained_and_merged(base, tmp_path):
    train_arm(ARMS[3], PAIRS[:4], PAIRS[4:], base, tmp_path/"model", tmp_path/"work", steps=2, batch=2,
              tuning="lora", beta=.2)
    assert (tmp_path/"model/model.safetensors").exists() and (tmp_path/"model/adapter").is_dir()


def test_other_pairs_settings_and_starts_are_other_trainings():
    keys = {arm_key(ARMS[0], PAIRS, "m", 0), arm_key(ARMS[0], PAIRS[1:], "m", 0),
            arm_key(ARMS[0], PAIRS, "m", 1),
            arm_key(ARMS[0], PAIRS, "m", 0, lr=1.), arm_key(ARMS[0], PAIRS, "m", 0, "other"),
            arm_key(ARMS[1], PAIRS, "m", 0)}
    assert len(keys) == 6


def test_the_key_of_a_real_training_is_what_it_was():
    "Trainings that took a night are kept under these names."
    assert arm_key(ARMS[0], PAIRS, "m", 0, lr=1e-5) == "1ee67ebe1c"


def test_common_arms_are_planned_once_and_starts_come_first():
    plan = arms_of(list(scale_arms()))
    for i, arm in enumerate(plan.values()):
        assert not arm.start or arm.start in list(plan)[:i], arm.name
    assert len({(a.objective, a.data, a.start, a.name) for a in plan.values()}) == len(plan)


def test_the_lowest_loss_may_be_kept(base, tmp_path):
    log = train_arm(ARMS[1], PAIRS[:4], PAIRS[4:], base, tmp_path/"model", tmp_path/"work", steps=2, batch=2,
                    keep="best")
    assert any(row.get("kept") for row in log)


def test_a_model_sits_the_exam(base):
    problems = scale_problems("test", 2)
    found = examined(base, problems, samples=2, longest=8)
    assert all(set(found[m]) == {p["task_id"] for p in problems} for m in found)
    assert found == examined(base, problems, samples=2, longest=8)
    assert examined(base, problems, samples=0, longest=8)["sampled"] == {}
    rows = [dict(p, completion=p["chosen"]) for p in PAIRS[:3]]
    moved = weighed(base, dict(chosen=rows, none=[]))
    assert list(moved) == ["chosen"] and len(moved["chosen"]) == 3 and max(moved["chosen"]) < 0


def test_seeds_that_disagree_widen_the_interval():
    r = rng(0, "seeds")
    before = [dict.fromkeys(range(200), 0.)]
    alike = [{t: float(r.random() < .3) for t in range(200)} for _ in range(3)]
    apart = [{t: float(r.random() < p) for t in range(200)} for p in (.1, .3, .5)]
    narrow, wide = (over_seeds(x, before, rng(1, "x")) for x in (alike, apart))
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"]) and narrow["p"] < 1e-9
    assert over_seeds(alike, alike[:2], r) is None and narrow["seeds"] == 3


FEW = {a.name: a for a in (Arm("SFT", "sft", "best"), Arm("then", "dpo+sft", "both", "SFT"),
                           Arm("again", "sft", "both", "SFT"), Arm(OWN + "SFT", "sft", "best"))}


def trials(home, base, monkeypatch, trained, beta=.1, lr=1e-3, **changed):
    "Trials whose trainings are noted instead of done, so that nothing but the bookkeeping takes time."
    def train_nothing(arm, rows, held, source, folder, work, steps, seed, batch, **settings):
        assert source.exists(), "what an arm goes on from is trained before it"
        trained.append((arm.name, seed))
        folder.mkdir(parents=True)
    monkeypatch.setattr("codedpo_nb.arms.train_arm", train_nothing)
    how = dict(rows=dict(best=PAIRS, both=PAIRS), held=PAIRS, models=dict(base=base, generator=base),
               settings=lambda a: dict(lr=lr) if a.objective == "sft" else dict(lr=lr, beta=beta), steps=10,
               batch=2, exam=lambda folder: dict(name=folder.name)) | changed
    return Trials(home, FEW, **how)


def all_of(made): return [made.result(arm, k) for arm in FEW.values() for k in (0, 1)]


def test_one_changed_arm_is_trained_alone(base, tmp_path, monkeypatch):
    trained = []
    first = all_of(trials(tmp_path, base, monkeypatch, trained))
    assert trained == [(name, k) for name in FEW for k in (0, 1)]
    assert len({row["name"] for row in first}) == len(first)
    trained.clear()
    assert all_of(trials(tmp_path, base, monkeypatch, trained)) == first and trained == []
    changed = trials(tmp_path, base, monkeypatch, trained, beta=.3)
    assert all_of(changed)[:2] == first[:2] and trained == [("then", 0), ("then", 1)]
    trained.clear()
    all_of(trials(tmp_path, base, monkeypatch, trained, rows=dict(best=PAIRS, both=PAIRS[1:])))
    assert {name for name, _ in trained} == {"then", "again"}
    trained.clear()
    all_of(trials(tmp_path, base, monkeypatch, trained, depends="another exam"))
    assert len(trained) == 2 * len(FEW)


def test_a_torn_line_and_lost_weights_are_made_again(base, tmp_path, monkeypatch):
    trained = []
    first = all_of(trials(tmp_path, base, monkeypatch, trained))
    file = tmp_path/"results.jsonl"
    file.write_bytes(file.read_bytes()[:-9])
    trained.clear()
    made = trials(tmp_path, base, monkeypatch, trained)
    for k in (0, 1): made.forget(FEW[OWN + "SFT"], k)
    assert all_of(made) == first and trained == [(OWN + "SFT", 1)]
    for arm in FEW.values():
        for k in (0, 1): made.forget(arm, k)
    trained.clear()
    assert made.weights(FEW["then"]).exists() and trained == [("SFT", 0), ("then", 0)]
    assert made.result("base")["name"] == base.name
