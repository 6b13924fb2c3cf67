"Engines: one way to ask any model, whatever goes wrong on the way."
import sys
import time
from pathlib import Path

import pytest

from codedpo_nb.running.records import Journal
from codedpo_nb.world import engines
from codedpo_nb.world.engines import EngineError, OpenAI, Recorded, SampledAnswer, open_engine
from codedpo_nb.world.sampling import cut_share, sample

sys.path.insert(0, str(Path(__file__).parent))
from protocol_server import ProtocolServer  # noqa: E402

openai = pytest.importorskip("openai")
PROMPTS = [f"prompt {i}" for i in range(6)]


def echo(prompt, asked): return f"{prompt} by {asked['seed']}", "stop"


def quick(server, **options):
    return OpenAI(server.url, "scale", **dict(timeout=5, patience=20, concurrency=3) | options)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch): # between two tries, but those that a server asks for
    monkeypatch.setattr(engines, "FIRST_PAUSE", 0.01)


def test_a_server_answers_in_order_and_at_once():
    with ProtocolServer(echo) as server:
        said = sample(quick(server), PROMPTS, n=2, seed=3)
        assert [[a.split(" by ")[0] for a in row] for row in said] == [[p, p] for p in PROMPTS]
        assert len({a for row in said for a in row}) == 12 and set(server.seen.values()) == {1}
        assert said == sample(quick(server, concurrency=1), PROMPTS, n=2, seed=3)
        assert said[0][0].tokens == 4 and said[0][0].asked == 3 and said[0][0].cut is False


@pytest.mark.parametrize("plan",
                         [["429"], ["429 0.2"], ["500", "500"], ["broken"], ["empty"], ["drop", "drop"],
                                  ["slow 6"], ["429", "500", "broken", "empty", "drop"]])
def test_trouble_passes_and_nothing_is_sampled_twice(plan):
    with ProtocolServer(echo, ["ok", *plan]) as server:
        engine = quick(server, timeout=2)
        said = sample(engine, PROMPTS, n=1, seed=1)
        assert said == sample(quick(server), PROMPTS, n=1, seed=1) and engine.retried == len(plan)


def test_retry_after_is_kept():
    with ProtocolServer(echo, ["429 1"]) as server:
        start = time.monotonic()
        sample(quick(server), ["a"])
        assert time.monotonic() - start >= 1   # a server's word, not a measurement


@pytest.mark.parametrize("options, plan, words", [
    (dict(key="wrong"), {}, "refuses the key"),
    (dict(model="other"), {}, "has no model 'other'; it has scale"),
    ({}, {"always": "429"}, "has not answered for 1 seconds"),
    ({}, {"always": "400"}, "does not take the request")])
def test_what_waiting_does_not_mend_is_one_sentence(options, plan, words):
    with ProtocolServer(echo, key="right") as server:
        server.plan = plan
        engine = OpenAI(server.url, options.get("model", "scale"), key=options.get("key", "right"),
                        patience=1)
        with pytest.raises(EngineError, match=words): sample(engine, PROMPTS)


def test_a_server_that_is_gone_leaves_what_it_said_and_resumes(tmp_path):
    with ProtocolServer(echo) as server:
        server.plan = {i: "ok" for i in range(4)} | {"always": "500"}
        with Journal(tmp_path/"j") as journal, pytest.raises(EngineError,
                                                             match="give the same command again"):
            sample(quick(server, patience=.5, concurrency=1), PROMPTS, n=2, seed=5, journal=journal)
        done = sum(server.seen.values())
        assert done == 4
        server.plan = {}
        with Journal(tmp_path/"j") as journal:
            said = sample(quick(server), PROMPTS, n=2, seed=5, journal=journal)
        assert set(server.seen.values()) == {1} and sum(server.seen.values()) == 12
        assert said == sample(quick(server), PROMPTS, n=2, seed=5)
    with pytest.raises(EngineError, match="has not answered"): sample(quick(server, patience=.5), ["a"])


def test_cut_answers_are_marked():
    with ProtocolServer(lambda prompt,
                        asked: ("half", "length" if prompt.endswith("1") else "stop")) as server:
        assert cut_share(sample(quick(server), PROMPTS)) == pytest.approx(1 / 6)


def test_recorded_replies_run_again_without_the_server(tmp_path):
    with ProtocolServer(echo) as server:
        said = sample(Recorded(tmp_path/"tape", quick(server)), PROMPTS, n=2, seed=2)
    assert sample(Recorded(tmp_path/"tape"), PROMPTS, n=2, seed=2) == said
    with pytest.raises(EngineError, match="holds no reply"):
        sample(Recorded(tmp_path/"tape"), PROMPTS, n=2, seed=9)
    (tmp_path/"tape").write_text("{}\n")
    with pytest.raises(EngineError, match="line 1 is no recorded reply"): Recorded(tmp_path/"tape")


def test_vllm_is_asked_in_its_own_words(monkeypatch, tmp_path, models):
    from types import SimpleNamespace as NS
    seen = {}
    class LLM:
        def __init__(self, model, **options): seen["model"] = model
        def generate(self, rows, settings, use_tqdm):
            seen["settings"] = settings
            return [
                NS(
                outputs=[NS(text=f"{k}", finish_reason="stop", token_ids=[1, 2])
                         for k in range(settings["n"])]) for _ in rows]
    monkeypatch.setitem(sys.modules, "vllm",
                        NS(LLM=LLM, SamplingParams=lambda **given: given, __version__="0"))
    engine = open_engine(models["llama"], "vllm")
    assert sample(engine, ["a", "b"], n=2, temperature=.5, longest=7) == [["0", "1"]] * 2
    assert seen["settings"]["max_tokens"] == 7 and seen["settings"]["stop_token_ids"] == engine.ends


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    "Tiny models of three families, saved to disk."
    import torch
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        LlamaConfig,
        LlamaForCausalLM,
        Qwen2Config,
        Qwen2ForCausalLM,
    )

    from codedpo_nb.world.model import save_model, train_tokenizer
    tokenizer = train_tokenizer(["def f(x):\n    return x + 1\nassert f(1) == 2"] * 50, 300)
    ends = dict(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
                vocab_size=len(tokenizer))
    small = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
                 num_key_value_heads=2, max_position_embeddings=256)
    out = {}
    for name, make in dict(llama=lambda: LlamaForCausalLM(LlamaConfig(**small, **ends)),
                           qwen2=lambda: Qwen2ForCausalLM(Qwen2Config(**small, **ends)),
                              gpt2=lambda: GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=1, n_head=2,
                              n_positions=256, **ends))).items():
        torch.manual_seed(0)
        out[name] = tmp_path_factory.mktemp(name)
        save_model(make().eval(), tokenizer, out[name])
    return out


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2"])
@pytest.mark.parametrize("engine", ["transformers", "ctranslate2"])
def test_any_family_through_any_engine(models, family, engine, tmp_path, monkeypatch):
    if engine == "ctranslate2": pytest.importorskip("ctranslate2")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    def draw(batch):
        with open_engine(models[family], engine) as opened:
            return sample(opened, PROMPTS[:3], n=4, longest=6, batch=batch, seed=1)
    said = draw(8)
    assert said == draw(8) and [len(row) for row in said] == [4, 4, 4]
    assert all(isinstance(a, SampledAnswer) and a.cut is not None and 0 < a.tokens <= 6 for row in said
               for a in row)


def test_greedy_is_the_same_in_both(models, tmp_path, monkeypatch):
    pytest.importorskip("ctranslate2")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    slow, quick_one = (open_engine(models["llama"], "transformers"),
                       open_engine(models["llama"], "ctranslate2", kind="float32"))
    assert sample(slow, PROMPTS, temperature=0, longest=8) == sample(quick_one, PROMPTS, temperature=0,
        longest=8)


def test_what_was_asked_before_changes_no_answer(models, tmp_path, monkeypatch):
    pytest.importorskip("ctranslate2")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    def ask(engine, seed): return engine.ask(engine.texts(PROMPTS), 3, 1.0, 8, seed)
    with open_engine(models["llama"], "ctranslate2") as engine:
        first, other, again = ask(engine, 1), ask(engine, 2), ask(engine, 1)
    assert first == again != other
    with open_engine(models["llama"], "ctranslate2", threads=1) as engine: assert ask(engine, 1) == first


@pytest.mark.parametrize("engine", ["transformers", "ctranslate2"])
def test_an_answer_begins_and_ends_as_asked(models, engine, tmp_path, monkeypatch):
    if engine == "ctranslate2": pytest.importorskip("ctranslate2")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with open_engine(models["llama"], engine, begin="def f", stop="e") as opened:
        assert opened.texts(["x"])[0].endswith("def f") and opened.identity()["stop"] == "e"
        said = [a for row in sample(opened, PROMPTS, n=8, longest=30, seed=3) for a in row]
    ended = [a for a in said if not a.cut and a.endswith("e")]
    assert all(a.startswith("def f") for a in said) and ended
    assert not [a for a in said if "e" in a.removeprefix("def f")[:-1]]
