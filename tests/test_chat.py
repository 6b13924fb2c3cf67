"""Training data: what is read, what is refused and where, what a trainer learns of a conversation, and
MFTCoder's configuration file."""
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codedpo_nb.training import chat

END = chat.IM_END
ROUNDS = [dict(role="system", content="Be brief.", chat_round_id=0),
          dict(role="human", content="Double x.", chat_round_id=1),
          dict(role="bot", content="2 * x", chat_round_id=1), dict(role="user", content="Halve it."),
          dict(role="assistant", content="x / 2")]


def lines(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\n".join(r if isinstance(r, bytes) else json.dumps(r).encode() for r in rows))
    return path


# ------------------------------------------------------------------ reading

@pytest.mark.parametrize("row", [
    dict(chat_rounds=ROUNDS[1:3], id=0, data_name="code-helper"), dict(messages=ROUNDS[1:3]),
    dict(prompt="Double x.", completion="2 * x"),
    dict(prompt=ROUNDS[1:2], completion=ROUNDS[2:3]),
    dict(instruction="Double x.", input="", output="2 * x")])
def test_every_format_is_the_same_conversation(row, tmp_path):
    read, = chat.read_chats(lines(tmp_path/"a.jsonl", row))
    assert read["messages"] == [dict(role="user", content="Double x."),
                                dict(role="assistant", content="2 * x")]
    assert read.get("data_name") == row.get("data_name")


@pytest.mark.parametrize("bad, says", [
    (b'{"messages": [', "is not JSON"), (b'{"messages": "\xe4"}', r"is not UTF-8 \(byte 15\)"),
    (b'"text"', "is a JSON str, should be an object"),
    (dict(text="x"), "no key 'chat_rounds', 'messages', 'prompt' or 'instruction' among 'text'"),
    (dict(prompt="x"), "there is 'prompt' but no key 'completion'"),
    (dict(chat_rounds="x"), "the rounds are str, should be a list"),
    (dict(chat_rounds=[]), "there are no rounds"),
    (dict(chat_rounds=[3]), "round 1 is int, should be an object"),
    (dict(chat_rounds=[dict(content="x")]), "round 1 has no key 'role'"),
    (dict(chat_rounds=[dict(role="human")]), "round 1 has no key 'content'"),
    (dict(chat_rounds=[dict(role="human", content=3)]), "round 1: 'content' is int, should be text"),
    (dict(chat_rounds=[ROUNDS[1], dict(role="gpt", content="x")]), "round 2 has the unknown role 'gpt': use "
     "system, human, user, bot, assistant"),
    (dict(chat_rounds=[ROUNDS[1], dict(role="bot", content=" \n")]), r"round 2 \(bot\) has no content"),
    (dict(chat_rounds=ROUNDS[2:]), "round 1 is by the assistant, but user and assistant must alternate"),
    (dict(chat_rounds=[ROUNDS[1], ROUNDS[3], ROUNDS[2]]), "round 2 is by the user, but user and assistant "
     "must alternate"),
    (dict(chat_rounds=[*ROUNDS[:3], ROUNDS[2]]), "round 4 is by the assistant"),
    (dict(chat_rounds=[*ROUNDS[1:3], ROUNDS[0]]), "round 3 is a system round"),
    (dict(chat_rounds=ROUNDS[:2]), "the last round is not by the assistant"),
    (dict(chat_rounds=ROUNDS[:1]), "the last round is not by the assistant")])
def test_a_malformed_line_is_named_with_file_and_number(bad, says, tmp_path):
    path = lines(tmp_path/"deep"/"x.jsonl", dict(chat_rounds=ROUNDS), b"", bad)
    for read in (lambda: chat.read_chats(path), lambda: chat.read_tasks([tmp_path/"deep"])):
        with pytest.raises(chat.ChatError, match=rf"x\.jsonl line 3: {says}") as caught: read()
        assert "\n" not in str(caught.value)


def test_files_that_are_absent_empty_packed_or_marked(tmp_path):
    with pytest.raises(chat.ChatError, match="does not exist"): chat.read_chats(tmp_path/"none.jsonl")
    with pytest.raises(chat.ChatError, match="holds no conversation"):
        chat.read_chats(lines(tmp_path/"empty.jsonl", b""))
    row = json.dumps(dict(chat_rounds=ROUNDS)).encode()
    (tmp_path/"a.jsonl.gz").write_bytes(gzip.compress(row + b"\r\n" + row))
    assert [r["task_id"] for r in chat.read_chats(tmp_path/"a.jsonl.gz")] == ["a.jsonl.gz:1", "a.jsonl.gz:2"]
    assert len(chat.read_chats(lines(tmp_path/"bom.jsonl", b"\xef\xbb\xbf" + row))) == 1


# ------------------------------------------------------------------ tasks

def test_one_folder_is_one_task_and_its_split_is_its_own(tmp_path):
    for task, n in (("a/write", 40), ("b/repair", 10)):
        rows = [dict(chat_rounds=[dict(role="human", content=f"{task} {i}"), dict(role="bot", content="x")])
                for i in range(n)]
        lines(tmp_path/task/"one.jsonl", *rows[:n // 2])
        lines(tmp_path/task/"deep"/"two.jsonl", *rows[n // 2:])
    parts = chat.read_tasks([tmp_path/"a/write", tmp_path/"b/repair"], "80,10,10", 3)
    said = {name: [r["messages"][0]["content"] for r in rows] for name, rows in parts.items()}
    assert {name: (sum("write" in s for s in found), sum("repair" in s for s in found)) for name,
            found in said.items()} == dict(train=(32, 8), valid=(4, 1), test=(4, 1))
    assert len(set(sum(said.values(), []))) == 50 and {r["task"] for r in parts["train"]} == {"write",
        "repair"}
    alone = chat.read_tasks([tmp_path/"b/repair"], "80,10,10", 3)
    assert alone["valid"] == [r for r in parts["valid"] if r["task"] == "repair"]
    assert chat.read_tasks([tmp_path/"a/write"], "80,10,10",
                           4)["valid"] != chat.read_tasks([tmp_path/"a/write"], "80,10,10", 3)["valid"]
    with pytest.raises(chat.ChatError, match="two task folders are called 'write'"):
        chat.read_tasks([tmp_path/"a/write", tmp_path/"write"])
    with pytest.raises(chat.ChatError, match="holds no .jsonl file"): chat.read_tasks([tmp_path/"none"])


@given(st.integers(1, 500), st.integers(0, 40), st.integers(0, 40))
def test_a_split_uses_every_row_once(n, valid, test):
    shares = f"100,{valid},{test}"
    if n <= sum(max(1, round(n * x / (100 + valid + test))) for x in (valid, test) if x):
        with pytest.raises(chat.ChatError, match="too few"): chat.part_sizes(n, shares)
    else:
        sizes = chat.part_sizes(n, shares)
        assert sum(sizes) == n and all((size > 0) == (share > 0) for size,
                                       share in zip(sizes, (100, valid, test), strict=True))


@pytest.mark.parametrize("shares", ["98", "98,2", "0,1,1", "a,b,c", "98,-2,4", "nan,1,1", "98;2;0", ""])
def test_a_split_that_is_none_is_refused(shares):
    with pytest.raises(chat.ChatError, match="is not three shares"): chat.part_sizes(100, shares)


# ------------------------------------------------------------------ what is learnt

@pytest.fixture(scope="module")
def base(tmp_path_factory):
    "A base model: its tokenizer ends documents with <|endoftext|> and has no template."
    from codedpo_nb.world.model import fresh_model, save_model, train_tokenizer
    tok = train_tokenizer([m["content"] for m in ROUNDS] * 20 + ["user assistant system"], 300)
    tok.eos_token, tok.chat_template = "<|endoftext|>", None
    save_model(fresh_model(tok, 32, 1), tok, tmp_path_factory.mktemp("base")/"model")
    return tmp_path_factory.getbasetemp()/"base0"/"model"


@pytest.fixture(scope="module")
def chatty(base): return chat.chat_model(base, base.parent/"chat")


def trainer(path, rows, folder, **how):
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from codedpo_nb.world.model import quiet_trainer
    args = SFTConfig(str(folder), **chat.ON_ANSWERS, **how, bf16=False, use_cpu=True,
                     activation_checkpointing=False, report_to="none", disable_tqdm=True, save_strategy="no")
    return quiet_trainer(SFTTrainer(str(path), args,
                                    train_dataset=Dataset.from_list([dict(messages=r) for r in rows]),
                                    processing_class=AutoTokenizer.from_pretrained(path)))


@pytest.mark.parametrize("packing", [False, True])
def test_trl_learns_the_assistants_words_and_end_token_only(chatty, tmp_path, packing):
    from transformers import AutoTokenizer
    tok = AutoTokenizer.from_pretrained(chatty)
    rows = [chat.conversation(r) for r in (ROUNDS, ROUNDS[1:3], ROUNDS[1:], ROUNDS[:3])]
    wanted = [[m["content"] + END for m in row if m["role"] == "assistant"] for row in rows]
    found = chat.learnt(trainer(chatty, rows, tmp_path, packing=packing, max_length=512,
                                per_device_train_batch_size=2), tok)
    assert sorted(sum(found, [])) == sorted(sum(wanted, []))
    if not packing: assert sorted(found) == sorted(wanted)


def test_exchanges_learn_the_same_tokens_through_sft(chatty, tmp_path):
    from codedpo_nb import sft
    from codedpo_nb.training import shared
    rows = chat.exchanges([dict(task_id="t", messages=chat.conversation(ROUNDS))])
    tok = shared.training_tokenizer(chatty)
    made = sft.sft_trainer(rows, rows, chatty, tok,
                           shared.trainer_arguments(tmp_path, 2,
                                                    shared.Settings(epochs=1, batch=2, longest=512)))
    assert sorted(sum(chat.learnt(made, tok), [])) == ["2 * x" + END, "x / 2" + END]
    assert [len(r["prompt"]) for r in rows] == [2, 4] and all(r["task_id"] == "t" for r in rows)


def test_a_base_model_that_was_taught_to_chat_stops(base, chatty, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer
    made = trainer(chatty, [chat.conversation(ROUNDS[1:3])] * 8, tmp_path/"work", max_steps=60,
                   learning_rate=1e-2)
    made.train()
    made.save_model(tmp_path/"taught")
    tok, model = (AutoTokenizer.from_pretrained(tmp_path/"taught"),
                  AutoModelForCausalLM.from_pretrained(tmp_path/"taught").eval())
    ask = tok.apply_chat_template(chat.conversation(ROUNDS[1:3])[:1], add_generation_prompt=True,
                                  return_tensors="pt", return_dict=True)
    out = lambda **how: tok.decode(model.generate(**ask, max_new_tokens=20, do_sample=False, **how)[0,
        ask["input_ids"].shape[1]:])
    assert out() == "2 * x" + END
    assert len(out(eos_token_id=AutoTokenizer.from_pretrained(base).eos_token_id)) > len(
        out()), "the base model's end token would not have stopped it"


def test_tokenizer_configuration_and_generation_agree(base, chatty):
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig
    tok, plain = AutoTokenizer.from_pretrained(chatty), AutoTokenizer.from_pretrained(base)
    assert tok.eos_token == END and tok.pad_token == "<|endoftext|>" and len(tok) == len(plain)
    assert AutoConfig.from_pretrained(chatty).eos_token_id == tok.eos_token_id
    assert GenerationConfig.from_pretrained(chatty).eos_token_id == [tok.eos_token_id, plain.eos_token_id]


def test_long_conversations_are_named(chatty):
    from transformers import AutoTokenizer
    rows = [dict(task_id=f"t{i}", messages=chat.conversation(ROUNDS[1:3])) for i in range(5)]
    tok = AutoTokenizer.from_pretrained(chatty)
    chat.check_length(rows, tok, 100)
    with pytest.raises(chat.ChatError, match=r"longer than 5 tokens: t0 \(\d+ tokens\), t1 .*, t2 .* and 2 "
                       r"more"):
        chat.check_length(rows, tok, 5)


# ------------------------------------------------------------------ MFTCoder's configuration

PUBLISHED = {  # the keys of the file published with the competition, in its spelling
    "load_raw_dataset": True, "data_paths": "[/path/to/dataset1,/path/to/dataset2]", "output_dir": "out", "tb_dir": "tb", "pretrained_model_path": "Qwen/Qwen-1_8B",  # noqa: E501
    "vocab_file": "Qwen/Qwen-1_8B", "low_cpu_mem_usage": True, "data_split": "95,5,0", "padding_mode": "padding", "tokenize_mode": "sft",  # noqa: E501
    "weighted_loss_mode": "case3", "model_type": "qwen", "peft_type": "lora", "quantization": "16bit", "lora_rank": 96, "lora_alpha": 32, "lora_dropout": 0.05,  # noqa: E501
    "per_device_train_batch_size": 8, "per_device_eval_batch_size": 8, "tokenizer_type": "AutoTokenizer", "learning_rate": 5e-5, "min_lr": 1e-6,  # noqa: E501
    "weight_decay": 0.1, "gradient_accumulation_steps": 1, "lr_scheduler_type": "cosine", "num_warmup_steps": 300, "num_train_epochs": 10, "seed": 1234,  # noqa: E501
    "seq_length": 4096, "resume_from_checkpoint": None, "log_interval": 100, "checkpointing_steps": 1000, "evalation_steps": 1000, "max_train_steps": None,  # noqa: E501
    "epoch_checkpointing": True, "shuffle_before_split": True, "use_random_sampler": True, "early_stopping": True, "early_stopping_stall_num": 2,  # noqa: E501
    "weight_by_num_documents": True, "make_vocab_size_divisible_by": 128, "model_parallel_size": 1, "use_slow_tokenizer": False, "use_xformers": True,  # noqa: E501
    "trust_remote_code": True, "use_dynamic_padding": True, "world_size": 8}


def read(tmp_path, **changes):
    (tmp_path/"c.json").write_text(
        json.dumps({k: v for k, v in (PUBLISHED | changes).items() if v is not ...}, default=str))
    return chat.mft_settings(tmp_path/"c.json")


def test_the_published_configuration_is_read_as_it_stands(tmp_path):
    found = read(tmp_path)
    wanted = dict(tasks=["/path/to/dataset1", "/path/to/dataset2"], model="Qwen/Qwen-1_8B", shares="95,5,0",
                  longest=4096, epochs=10, lr=5e-5, min_lr=1e-6,
                  schedule="cosine", warmup=300, batch=8, accumulate=1, adapter="lora", bits=None, rank=96,
                  alpha=32, dropout=.05, weighting="case3",
                  packing="padding", patience=2, eval_every=1000, save_every=1000, log_every=100, seed=1234,
                  most_steps=None, task_weights=None, coba_tau=5)
    assert {k: found[k] for k in wanted} == wanted
    assert {"tb_dir", "world_size",
            "vocab_file"} <= set(found["unused"]) and not set(found["unused"]) & set(chat.KEYS)


@pytest.mark.parametrize("changes, says", [
    (dict(lora_rnak=8), "the key 'lora_rnak' is unknown: did you mean 'lora_rank'"),
    (dict(Learning_Rate=1), "did you mean 'learning_rate'"),
    (dict(lora_rank="96"), "'lora_rank' is \"96\", should be a whole number from 1"),
    (dict(seed=True), "'seed' is true, should be a whole number from 0"),
    (dict(learning_rate=0), "'learning_rate' is 0, should be a number above 0"),
    (dict(weighted_loss_mode="case5"), "should be one of \"case1\", \"case2\""),
    (dict(peft_type="ia3"), "'peft_type' is \"ia3\", should be one of \"lora\", \"qlora\", null"),
    (dict(data_paths="[]"), "'data_paths' is .* should be folders"),
    (dict(output_dir=...), "there is no key 'output_dir'"),
    (dict(tokenize_mode="pretrain"), "only \"sft\" is supported"),
    (dict(role_markers=dict(user="U")), "'role_markers' is .* but only null is supported"),
    (dict(evaluation_steps=5), "both 'evalation_steps' and 'evaluation_steps'"),
    (dict(peft_type=None, quantization="4bit"), "weights in 4 bits can only be trained with an adapter"),
    (dict(seq_length=None), "'seq_length' is null, should be")])
def test_a_wrong_configuration_is_refused_with_file_and_key(changes, says, tmp_path):
    with pytest.raises(chat.ChatError, match=rf"c\.json: .*{says}") as caught: read(tmp_path, **changes)
    assert "\n" not in str(caught.value)


def test_a_configuration_that_is_no_json_object_is_refused(tmp_path):
    for text in ("{", "[1]", ""):
        (tmp_path/"c.json").write_text(text)
        with pytest.raises(chat.ChatError, match="c.json is not a JSON object"):
            chat.mft_settings(tmp_path/"c.json")
    with pytest.raises(chat.ChatError, match="cannot be read"): chat.mft_settings(tmp_path/"none.json")


def test_bits_follow_the_adapter(tmp_path):
    assert [read(tmp_path, peft_type=p, quantization=q)["bits"] for p,
            q in (("qlora", ...), ("qlora", "8bit"), ("lora", ...), (None, "16bit"))] == [4, 8, None, None]
    assert read(tmp_path, early_stopping=False)["patience"] is None and read(tmp_path,
        data_paths=["a", "b"])["tasks"] == ["a", "b"]
