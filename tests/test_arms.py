"All arms of a comparison take as many steps, and a killed one goes on."
import pytest

from codedpo_nb.arms import ARMS, arm_key, as_turns, train_arm
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
