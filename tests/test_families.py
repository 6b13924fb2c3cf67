"Llama, Qwen2 and GPT-2, tiny, on disk, with and without chat template: all by the folder's name."
import json

import pytest

from codedpo_nb.dpo import fit_dpo
from codedpo_nb.harvest import make_pairs
from codedpo_nb.pairs import as_preference
from codedpo_nb.sft import fit_sft
from codedpo_nb.training.shared import training_tokenizer
from codedpo_nb.world.engines import EngineError, open_engine
from codedpo_nb.world.model import end_tokens, load_tokenizer, token_ids
from codedpo_nb.world.sampling import sample

WORDS = ["def f(x):\n    return x + 1\nassert f(1) == 2 Write this as a Python function"] * 50
INST = ("{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content + ' [/INST]' }}"
        "{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}")
CHATML = ("{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
          "{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
ONE, QWEN = "<|endoftext|>", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
FAMILIES = {  # family, its control tokens, and what the tokenizer knows
    "gpt2": ("gpt2", [ONE], dict(bos_token=ONE, eos_token=ONE, unk_token=ONE)),
    "gpt2, no BOS": ("gpt2", ["<|end|>"], dict(eos_token="<|end|>")),
    "llama": ("llama", ["<unk>", "<s>", "</s>"], dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>")),
    "llama, chat": ("llama", ["<unk>", "<s>", "</s>"],
                    dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=INST)),
    "qwen2, base": ("qwen2", QWEN, dict(eos_token=ONE, pad_token=ONE, chat_template=CHATML)),
    "qwen2, chat": ("qwen2", QWEN, dict(eos_token=QWEN[2], pad_token=ONE, chat_template=CHATML))}
TASKS = [dict(task_id=f"t{i}", prompt=f"Write `f{i}(x)`, x plus {i}.", name=f"f{i}") for i in range(6)]
PAIRS = [as_preference(t, f"def {t['name']}(x): return x", f"def {t['name']}(x): return 0") for t in TASKS]
SOLVED = [dict(task_id=p["task_id"], prompt=p["prompt"], completion=p["chosen"]) for p in PAIRS]


def tokenizer_of(special, known):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    bytes_ = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(WORDS, trainers.BpeTrainer(vocab_size=320, special_tokens=special,
                                                       show_progress=False, initial_alphabet=bytes_))
    return PreTrainedTokenizerFast(tokenizer_object=bpe, **known)


def model_of(family, tokenizer):
    import torch
    import transformers as t
    torch.manual_seed(0)
    ends = dict(vocab_size=len(tokenizer) + 5, bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id)
    if family == "gpt2":
        return t.GPT2LMHeadModel(t.GPT2Config(n_embd=32, n_layer=1, n_head=2, n_positions=384, **ends))
    small = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
                 num_key_value_heads=2, max_position_embeddings=512, **ends)
    if family == "llama": return t.LlamaForCausalLM(t.LlamaConfig(**small))
    return t.Qwen2ForCausalLM(t.Qwen2Config(**small))


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    out = {}
    for name, (family, special, known) in FAMILIES.items():
        tokenizer, out[name] = tokenizer_of(special, known), tmp_path_factory.mktemp("family")
        model_of(family, tokenizer).save_pretrained(out[name])
        tokenizer.save_pretrained(out[name])
    return out


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch): monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path/"cache"))


@pytest.mark.parametrize("engine", ["transformers", "ctranslate2"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_folder_is_enough_for_pairs(folders, tmp_path, name, engine):
    if engine == "ctranslate2": pytest.importorskip("ctranslate2")
    def harvest(out):
        with open_engine(folders[name], engine) as opened:
            return make_pairs(TASKS[:3], opened, tmp_path/out, n=2, n_tests=2, longest=8)
    summary = harvest("one")
    assert sum(summary["fates"].values()) == 3 and summary["tokens"] > 0 and summary["asked"] > 100
    assert harvest("two")["fates"] == summary["fates"]
    one, two = ((tmp_path/out/"verified.jsonl").read_text() for out in ("one", "two"))
    assert one == two and len(json.loads(one.splitlines()[0])["solutions"]) == 2


@pytest.mark.parametrize("name", FAMILIES)
def test_a_folder_is_enough_for_training(folders, tmp_path, name):
    fit_sft(SOLVED, folders[name], tmp_path/"sft", epochs=2, batch=2, lr=1e-2)
    log = fit_dpo(PAIRS, tmp_path/"sft", tmp_path/"dpo", epochs=2, batch=2, lr=1e-2)
    losses = [row["loss"] for row in log if "loss" in row]
    assert losses and losses[-1] < losses[0]
    asked = [t["prompt"] for t in TASKS[:2]]
    with open_engine(folders[name], "transformers") as old, open_engine(tmp_path/"dpo",
                                                                         "transformers") as new:
        assert old.texts(asked) == new.texts(asked), "it is asked as the model that it began from"
        assert sample(old, asked, temperature=0, longest=8) != sample(new, asked, temperature=0, longest=8)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_asked_is_what_was_trained(folders, name):
    asking, training = load_tokenizer(folders[name]), training_tokenizer(folders[name])
    with open_engine(folders[name], "transformers") as engine: text = engine.texts([TASKS[0]["prompt"]])
    ids = token_ids(asking, text)[0]
    talk = PAIRS[0]["prompt"]
    assert training.apply_chat_template(talk, add_generation_prompt=True)["input_ids"] == ids
    whole = training.apply_chat_template(talk + PAIRS[0]["chosen"])["input_ids"]
    assert whole[:len(ids)] == ids and whole[-1] in end_tokens(asking)


@pytest.mark.parametrize("engine", ["transformers", "ctranslate2"])
def test_a_table_of_positions_ends_an_answer_and_refuses_a_long_prompt(folders, engine):
    if engine == "ctranslate2": pytest.importorskip("ctranslate2")
    with open_engine(folders["gpt2"], engine) as opened:
        said, = sample(opened, ["f" * 380], longest=50, temperature=.1)[0]
        assert said.tokens <= 4 and said.cut
        with pytest.raises(EngineError, match="A prompt has 391 tokens, and .* sees 384"):
            sample(opened, ["f" * 390], longest=5)
