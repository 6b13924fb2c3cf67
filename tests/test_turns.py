"""Where a turn ends and where it begins: every end token that anybody names, BOS once, and answers that the
length limit cut off."""
import json
from types import SimpleNamespace

import pytest
import torch

from codedpo_nb.eval import generate
from codedpo_nb.running.records import Journal
from codedpo_nb.training import chat, shared
from codedpo_nb.world import model as house
from codedpo_nb.world import sampling
from codedpo_nb.world.engines import Transformers
from codedpo_nb.world.model import (
    CHATML,
    end_tokens,
    fresh_model,
    load_model,
    model_ends,
    save_model,
    token_ids,
    train_tokenizer,
    turn_start,
)

torch.set_num_threads(1)
TEXTS = ["def f(x):\n    return x + 1", "user assistant system Write a function. ### Instruction: Response: "
         "USER: </s> <s> [INST]"]
SHAPES = {  # families of templates, with what they write behind an answer and before the user's next words
    "chatml": (CHATML, "<|im_end|>", "<|im_start|>user"),
    "llama 3": ("{{ bos_token }}{% for m in messages %}<|start|>{{ m.role }}<|stop|>\n\n{{ m.content | trim }}<|eot|>{% endfor %}"  # noqa: E501
                "{% if add_generation_prompt %}<|start|>assistant<|stop|>\n\n{% endif %}", "<|eot|>", "<|start|>user<|stop|>"),  # noqa: E501
    "mistral": ("{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}</s>{% endif %}{% endfor %}",  # noqa: E501
                "</s>", "[INST]"),
    "deepseek": ("{% for m in messages %}{% if m.role == 'user' %}### Instruction:\n{{ m.content }}\n{% else %}### Response:\n{{ m.content }}\n<|EOT|>\n{% endif %}{% endfor %}"  # noqa: E501
                 "{% if add_generation_prompt %}### Response:\n{% endif %}", "<|EOT|>", "### Instruction:"),
    "phi": ("{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}",  # noqa: E501
            "<|end|>", "<|user|>"),
    "alpaca": ("{% for m in messages %}### {{ m.role }}:\n{{ m.content }}\n\n{% endfor %}{% if add_generation_prompt %}### assistant:\n{% endif %}", None, "### user:")}  # noqa: E501
NEW = ["<|eot|>", "<|start|>", "<|stop|>", "</s>", "<s>", "<|EOT|>", "<|end|>", "<|user|>", "<|assistant|>"]


def tokenizer(shape=None, special=True, eos="<|endoftext|>", bos=None):
    tok = train_tokenizer(TEXTS * 5, 330)
    if special: tok.add_special_tokens(dict(additional_special_tokens=NEW))
    else: tok.add_tokens(NEW)
    tok.eos_token, tok.bos_token, tok.chat_template = eos, bos, shape and SHAPES[shape][0]
    return tok


class Reciter(SimpleNamespace):
    "Instead of a model: what it says to anybody, and then words without an end."
    device = "cpu"
    def generate(self, input_ids, attention_mask, generation_config):
        assert input_ids.shape == attention_mask.shape
        self.asked = [[i for i, m in zip(*row, strict=True) if m]
                      for row in zip(input_ids.tolist(), attention_mask.tolist(), strict=True)]
        self.ends = generation_config.eos_token_id
        said = [(row + [90] * 99)[:generation_config.max_new_tokens]
                for row in self.says * (len(input_ids) // len(self.says))]
        return torch.cat([input_ids, torch.tensor(said)], 1)


def reciter(says, known=None, config=None):
    return Reciter(says=says, generation_config=SimpleNamespace(eos_token_id=known),
                   config=SimpleNamespace(eos_token_id=config))


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_templates_end_of_a_turn_is_found_and_ends_answers(shape, special):
    tok, (_, end, user) = tokenizer(shape, special), SHAPES[shape]
    assert turn_start(tok) == user
    ends = end_tokens(tok)
    assert tok.convert_ids_to_tokens(ends) == [*filter(None, [end]), "<|endoftext|>"]
    for i in ends:
        model = reciter([tok("def f", add_special_tokens=False).input_ids + [i] + tok("user").input_ids])
        said, = sampling.sample(Transformers(model, tok), ["Write f."], longest=30)[0]
        assert said == "def f" and said.cut is False and set(model.ends) == set(ends)


@pytest.mark.parametrize("known", [lambda i: i, lambda i: [i], lambda i: [0, i], lambda i: (i, 0)])
@pytest.mark.parametrize("where", ["generation settings", "configuration"])
def test_every_end_token_that_a_model_names_counts(known, where):
    tok = tokenizer()
    end = tok.convert_tokens_to_ids("<|EOT|>")
    says = [tok("def f").input_ids + [end] + tok("user").input_ids, tok("def g").input_ids + [0],
            tok("def h").input_ids]
    model = reciter(says, **{"known" if where == "generation settings" else "config": known(end)})
    said = [a for row in sampling.sample(Transformers(model, tok), ["a", "b", "c"], longest=12) for a in row]
    assert [(a[:5], a.cut) for a in said] == [("def f", False), ("def g", False),
                                              ("def h", True)] and said[0] == "def f"
    assert end in model_ends(model, tok)


def test_a_model_without_any_end_is_cut_off_everywhere():
    tok = tokenizer()
    tok.eos_token = tok.pad_token = None
    model = reciter([tok("def f").input_ids])
    said, = sampling.sample(Transformers(model, tok), ["a long request", "b"], longest=9)[0]
    assert said.cut and said.startswith("def f") and model.ends is None
    assert model_ends(SimpleNamespace(), tok) == [], "an object without settings names none"


def test_a_real_model_writes_nothing_behind_a_turns_end(tmp_path):
    tok = train_tokenizer(TEXTS * 5, 330)
    small = fresh_model(tok, 32, 1)
    end = tok.convert_tokens_to_ids("<|im_end|>")
    tok.eos_token = tok.pad_token = "<|endoftext|>"
    small.generation_config.eos_token_id = [tok.eos_token_id, end]
    save_model(small, tok, tmp_path/"model")
    model, tok = load_model(tmp_path/"model")
    kept, real = [], model.generate
    def spy(**how):
        kept.append(real(**how)[:, how["input_ids"].shape[1]:].tolist())
        return torch.cat([how["input_ids"], torch.tensor(kept[-1])], 1)
    model.generate = spy
    with torch.no_grad(): model.get_input_embeddings().weight[end] *= 20  # a token that is often drawn
    said = sampling.sample(Transformers(model, tok), [f"f{i}" for i in range(40)], n=4, longest=60)
    ended = [row for row in kept[0] if end in row]
    assert ended and all(set(row[row.index(end) + 1:]) <= {end, 0} for row in ended)
    by_row = [not {end, 0} & set(row) for row in kept[0]]
    order = [cell
             for batch
             in sampling.batches(
        [len(i) for i in token_ids(tok, [house.chat(tok, f"f{i}") for i in range(40)])], 4, 256)
             for cell in batch]
    assert [said[i][k].cut for i, k in order] == by_row and 0 < sampling.cut_share(said) < 1


# ------------------------------------------------------------------ beginnings

def test_bos_stands_once_where_there_is_no_template():
    tok = tokenizer(bos="<s>")
    bos = tok.bos_token_id
    for prompt in ("def f", "<s>def f", "", "\n"):
        assert token_ids(tok, [prompt])[0].count(bos) == 1 and token_ids(tok, [prompt])[0][0] == bos
    model = reciter([[5, 0]])
    sampling.sample(Transformers(model, tok), ["a", "a longer one"])
    assert [row.count(bos) for row in model.asked] == [1, 1] and all(row[0] == bos for row in model.asked)
    row, = house.encode(tok, [dict(prompt="f", answer="g")])
    assert row["input_ids"].count(bos) == 1 and row["labels"][0] == -100
    tok.bos_token = None
    assert token_ids(tok, ["def f"])[0] == tok("def f", add_special_tokens=False).input_ids


def test_a_tokenizer_that_writes_bos_itself_does_not_write_a_second():
    from tokenizers.processors import TemplateProcessing
    tok = tokenizer(bos="<s>")
    tok.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A",
                                                              special_tokens=[("<s>", tok.bos_token_id)])
    assert tok("def f").input_ids[0] == tok.bos_token_id and token_ids(tok,
        ["def f"])[0].count(tok.bos_token_id) == 1


@pytest.mark.parametrize("shape, times", [("llama 3", 1), ("mistral", 1), ("chatml", 0), ("alpaca", 0)])
def test_a_template_decides_about_bos(shape, times):
    tok = tokenizer(shape, bos="<s>")
    assert token_ids(tok, [house.chat(tok, "def f")])[0].count(tok.bos_token_id) == times


def test_padding_does_not_depend_on_the_tokenizers_side():
    asked = []
    for side in ("left", "right"):
        tok = tokenizer()
        tok.padding_side = side
        model = reciter([[5, 0]])
        sampling.sample(Transformers(model, tok), ["a", "a longer one", ""])
        asked.append(model.asked)
    assert asked[0] == asked[1] and all(asked[0])


# ------------------------------------------------------------------ marks

def test_cut_answers_are_marked_in_journals_and_in_rows(tmp_path):
    tok = tokenizer()
    model = reciter([tok("def f").input_ids + [0], tok("def g").input_ids])
    ask = lambda journal: sampling.sample(Transformers(model, tok), ["a", "b"], longest=8, journal=journal)
    first = ask(Journal(tmp_path/"j.jsonl"))
    model.says = None   # nothing is asked again
    again = ask(Journal(tmp_path/"j.jsonl"))
    assert again == first and [a.cut for row in again for a in row] == [a.cut for row in first
        for a in row] == [False, True]
    assert sampling.cut_share(first) == .5 and sampling.cut_share([]) is None and sampling.cut_share(
        [["unknown"]]) is None
    assert json.loads(json.dumps(first)) == first and isinstance(first[0][0] + "", str)


@pytest.mark.parametrize("longest, cut", [(2, True), (3, False), (50, False)])
def test_an_answer_is_cut_when_its_end_is_missing_however_its_text_is_tokenized(longest, cut):
    tok = tokenizer()
    # two tokens, of which a tokenizer would make one or two
    spelt = [tok.convert_tokens_to_ids(c) for c in "de"]
    model = reciter([spelt + [0]])
    row, = (generate("m", model, tok, [dict(benchmark="scale-test", task_id="t", prompt="p")], 1,
                     longest=longest))
    assert row["answer"] == "de"[:longest] and row["cut"] is cut and type(row["answer"]) is str


# ------------------------------------------------------------------ what is learnt of an end

@pytest.mark.parametrize("shape", SHAPES)
def test_training_ends_where_answers_end(shape, tmp_path):
    tok, (_, end, _) = tokenizer(shape), SHAPES[shape]
    tok.save_pretrained(tmp_path)
    text = shared.training_tokenizer(tmp_path).apply_chat_template([dict(role="user", content="f"),
        dict(role="assistant", content="def f")], tokenize=False)
    assert text.endswith("<|endoftext|>" if shape == "phi" else end or "<|endoftext|>") and "def f" in text
    assert turn_start(shared.training_tokenizer(tmp_path)) == SHAPES[shape][2]


def test_a_tokenizer_without_any_end_is_refused_for_training(tmp_path):
    tok = tokenizer("alpaca")
    tok.eos_token = None
    tok.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="no token that ends an answer: give its tokenizer an `eos_token`"):
        shared.training_tokenizer(tmp_path)


def test_a_copy_that_speaks_chatml_keeps_every_end(tmp_path):
    tok = tokenizer()
    small = fresh_model(tok, 32, 1)
    small.generation_config.eos_token_id = [0, 7]
    save_model(small, tok, tmp_path/"base")
    model, tok = load_model(chat.chat_model(tmp_path/"base", tmp_path/"chat"))
    assert model.generation_config.eos_token_id == [tok.convert_tokens_to_ids("<|im_end|>"), 0, 7]
