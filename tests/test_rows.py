"""What is learnt from and what is refused, with the rows and in words, by every trainer; and how rows are
divided."""
import pytest
import torch
from test_turns import SHAPES, tokenizer

from codedpo_nb import dpo, sft
from codedpo_nb.training import chat, shared
from codedpo_nb.world.model import fresh_model, save_model, train_tokenizer

torch.set_num_threads(1)
USER, BOT = "user", "assistant"
CODE, OTHER = "def f(x):\n    return x + 1", "def f(x):\n    return x - 1"
HEAD = 'def f(x: int) -> int:\n    """Add one to x."""'
PROSE = "Write a function f that adds one to x."


def say(text, role=BOT): return [dict(role=role, content=text)]
def asked(row): return row["prompt"][-1]["content"]


def pairs(n=6, prompt=HEAD):
    return [dict(task_id=f"t{i}", prompt=say(prompt.replace("one", f"{i}"), USER),
                 chosen=say(CODE.replace("1", str(i))), rejected=say(OTHER.replace("1", str(i))))
            for i in range(1, n + 1)]
def answers(rows):
    return [dict(task_id=p["task_id"], prompt=p["prompt"], completion=p["chosen"]) for p in rows]
def marked(rows):
    return [dict(task_id=p["task_id"], prompt=p["prompt"], completion=p[side], label=side == "chosen")
            for p in rows for side in ("chosen", "rejected")]


@pytest.fixture(scope="module")
def tok(): return train_tokenizer([HEAD, CODE, PROSE] * 5, 330)


@pytest.fixture(scope="module")
def tiny(tok, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")/"model"
    save_model(fresh_model(tok, 32, 1), tok, folder)
    return folder


def checked(rows, tok, objective=None, longest=512):
    "What is said about the rows, or an empty text."
    columns = ["prompt", "completion"] if objective is None else []
    try:
        (shared.check_rows(rows, columns, tok, longest) if columns
         else dpo.check_preferences(rows, objective, tok, longest, "training"))
    except ValueError as e:
        assert type(e) is ValueError and "\n" not in str(e) and str(e).isprintable(), repr(str(e))
        return str(e)
    return ""


# ------------------------------------------------------------------ one row among others

SAID = {  # what becomes of an answer, given the request; and what is said about it
    "the request before it": (lambda q, a: f"{q}\n{a}", "holds a turn of the user"),
    "the request before it, without a line between": (lambda q, a: q + a, "holds a turn of the user"),
    "the request with other white space": (lambda q, a: "  " + "\n\t ".join(q.split()) + "\n\n" + a, "holds a turn of the user"),  # noqa: E501
    "the request alone": (lambda q, a: q, "holds a turn of the user"),
    "a role and the request": (lambda q, a: f"User: {q}\nAssistant: {a}", "holds a turn of the user"),
    "headings and the request": (lambda q, a: f"### Instruction:\n{q}\n\n### Response:\n{a}", "holds a turn of the user"),  # noqa: E501
    "another family's marks": (lambda q, a: f"<|user|>\n{q}\n<|assistant|>\n{a}", "holds a turn of the user"),
    "brackets": (lambda q, a: f"[INST] {q} [/INST] {a}", "holds a turn of the user"),
    "the request behind it": (lambda q, a: f"{a}\n\nQuestion: {q}", "holds a turn of the user"),
    "the user's mark": (lambda q, a: f"<|im_start|>user\n{q}<|im_end|>\n{a}", "spells out a control token (<|im_start|>)"),  # noqa: E501
    "an end of a turn": (lambda q, a: f"{a}<|im_end|>", "spells out a control token (<|im_end|>)"),
    "the end of a document": (lambda q, a: f"{a}\n# <|endoftext|>", "spells out a control token (<|endoftext|>)"),  # noqa: E501
    "half a character": (lambda q, a: f"{a}\n# \ud83d", "holds half a character"),
    "nothing": (lambda q, a: "", "is not a list of messages"), "blanks": (lambda q, a: " \n\t", "is not a list of messages"),  # noqa: E501
    "an invisible sign": (lambda q, a: "\u200b", "is not a list of messages")}
LEARNT = {"a NUL": (lambda q, a: f"{a}\0", "holds a NUL or a byte order mark"),
          "a byte order mark": (lambda q, a: f"\ufeff{a}", "holds a NUL or a byte order mark")}
RIGHT = {  # odd, and nothing is wrong with it
    "as it is": lambda q, a: a, "CRLF": lambda q, a: a.replace("\n", "\r\n"), "tabs and a form feed": lambda q, a: "\f" + a.replace("    ", "\t"),  # noqa: E501
    "a fence": lambda q, a: f"Here it is:\n```python\n{a}\n```\n", "other letters": lambda q, a: a + "  # é 日本 \U0001f600",  # noqa: E501
    "a bell": lambda q, a: a + "  # \x07",
    "blank lines around": lambda q, a: f"\n\n{a}\n\n", "very long": lambda q, a: a + "\n# 1" * 100, "words of roles": lambda q,  # noqa: E501
    a: f"user = system = 'User: x'\n{a}",
    "another family's marks in a string": lambda q, a: f"END = '<|eot_id|> </s> [INST]'\n{a}", "a literal escape": lambda q,  # noqa: E501
    a: a + '\nX = "\\ud800\\0"',
    "a single letter": lambda q, a: "x", "prose": lambda q, a: "That cannot be done."}
CALM = dict(RIGHT) | {
    "the request in a comment": lambda q, a: f"# {' '.join(q.split())}\n{a}", "in a docstring": lambda q,
    a: f'def g():\n    """\n    {PROSE}\n    """\n{a}',
    "in the module's docstring": lambda q, a: f'"""{PROSE}"""\n{a}', "in the middle of a sentence": lambda q,
    a: f'You asked me: "{PROSE}" So:\n```python\n{a}\n```'}
HEADS = dict(RIGHT) | {
    "the head and its body": lambda q, a: f"{q}\n    return x + 1", "in a fence": lambda q,
    a: f"```python\n{q}\n    return x + 1\n```", "imports first": lambda q,
    a: f"import math\n\n{q}\n    return x + 1",
    "with other white space": lambda q, a: q.replace("    ", "  ") + "\n  return x + 1"}


def spoilt(rows, column, change, at=2):
    row = rows[at]
    return rows[:at] + [row | {column: say(change(asked(row), row[column][0]["content"]))}] + rows[at + 1:]


@pytest.mark.parametrize("prompt", [HEAD, PROSE], ids=["head", "prose"])
@pytest.mark.parametrize("case", [*SAID, *LEARNT])
def test_an_answer_that_must_not_be_learnt_is_named_for_every_trainer(case, prompt, tok):
    change, says = (SAID | LEARNT)[case]
    rows = pairs(prompt=prompt)
    found = {"sft": checked(spoilt(answers(rows), "completion", change), tok),
             "kto": checked(spoilt(marked(rows), "completion", change), tok, "kto"),
             "chosen": checked(spoilt(rows, "chosen", change), tok, "dpo+sft"),
             "pairs for kto": checked(spoilt(rows, "chosen", change), tok, "kto")}
    if case in SAID: found["rejected"] = checked(spoilt(rows, "rejected", change), tok, "dpo")
    for where, text in found.items():
        assert says in text and "in row 3 (t" in text and ":" in text.partition("row 3")[2], (where, text)


@pytest.mark.parametrize("prompt, case", [(PROSE, c) for c in CALM] + [(HEAD, c) for c in HEADS])
def test_odd_but_right_answers_are_learnt(prompt, case, tok):
    rows, change = pairs(prompt=prompt), (CALM if prompt is PROSE else HEADS)[case]
    for found in (checked(spoilt(answers(rows), "completion", change), tok),
                  checked(spoilt(rows, "chosen", change), tok, "dpo"),
                  checked(spoilt(rows, "rejected", change), tok, "dpo")):
        assert found == ""


@pytest.mark.parametrize("said, answer, echo", [
    ("f", "f = lambda x: x", False), ("Sort", "Sort = sorted", False),
    ("Double x.", "Double x.\n2 * x", True),
    ("Double x.", "2 * x", False), ("Double x.", "Human: Double x.\nBot: 2 * x", True),
    ("print(1)", "print(1)\nprint(2)", False),
    ("int add(int a, int b) {", "int add(int a, int b) {\n  return a + b;\n}", False),
    ("// Adds\nint add(", "// Adds\nint add(int a) { return a; }", False),
    ("# Adds one to every number of a list.", "# Adds one to every number of a list.\nf <- function(x) x + 1",
     False),
    ("def f(x):", "def f(x): return x", False),
    ("def f(x):", "def f(x):\n    return x", False),
    ("def f(x):", "def f(x):\ndef f(x):\n    return x", True),
    ("两数之和，返回下标", "两数之和，返回下标\ndef f(): pass", True),
    ("Reverse it, (please)\n[now]", "Reverse it,  (please) [now] def f(): pass", True),
    ("a b c d", "a b c defghi", False),
    (" \n", "x", False), ("Write it now", "Sure.\nWrite it now\n```python\nx = 1\n```", True)])
def test_what_counts_as_saying_it_again(said, answer, echo): assert chat.echoed(said, answer) is echo


def test_a_search_for_the_request_takes_no_time():
    import time
    begun = time.process_time()
    (chat.echoed("a " * 3000, "a " * 9000), chat.echoed("( " * 300, " (" * 3000),
     chat.echoed("x y z", "#" * 20000 + " " * 20000 + "x y z"))
    assert time.process_time() - begun < 5


def test_the_systems_words_are_no_answer_either(tok):
    rows = answers(pairs())
    rows[1] = (rows[1]
               | dict(prompt=say("You write short programs and nothing else.", "system") + rows[1]["prompt"],
                      completion=say("You write short programs and nothing else.\n" + CODE)))
    assert "'completion' holds a turn of the user or the system in row 2 (t2)" in checked(rows, tok)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_marks_of_the_models_own_template_are_refused(shape):
    own, (_, end, user) = tokenizer(shape, bos="<s>"), SHAPES[shape]
    for mark in filter(None, (end, user)):
        text = checked(spoilt(answers(pairs()), "completion", lambda q, a, mark=mark: f"{a}\n{mark}\nmore"),
                       own)
        assert "spells out a control token" in text or "holds a turn of the user" in text, (mark, text)
    assert checked(answers(pairs()), own) == ""


# ------------------------------------------------------------------ shapes

@pytest.mark.parametrize("value, says", [
    ("text", "is not a list of messages"), (None, "is not a list of messages"),
    (3, "is not a list of messages"),
    ({}, "is not a list of messages"), ([], "is not a list of messages"),
    (["text"], "is not a list of messages"), ([dict(content="x")], "is not a list of messages"),
    ([dict(role=BOT)], "is not a list of messages"),
    ([dict(role=BOT, content=None)], "is not a list of messages"),
    ([dict(role=BOT, content=["x"])], "is not a list of messages"),
    ([dict(role=3, content="x")], "is not a list of messages"),
    (say("x", "gpt"), "has a role that is none of system"),
    (say("x", USER), "does not end with a message of the assistant"),
    (say("Add one.", USER) + say("x"), "holds more than the assistant's answer"),
    (say("x") + say("y"), "holds more than the assistant's answer")])
@pytest.mark.parametrize("column", ["completion", "chosen", "rejected"])
def test_an_answer_of_another_shape_is_refused(value, says, column, tok):
    rows = answers(pairs()) if column == "completion" else pairs()
    rows[3] = rows[3] | {column: value}
    assert says in (text := checked(rows, tok,
                                    None if column == "completion"
                                    else "dpo")) and f"{column!r}" in text and "in row 4 (t4)" in text


@pytest.mark.parametrize("prompt, says", [
    (say("", USER), "is not a list of messages"), (say(" \n", USER), "is not a list of messages"),
    ([], "is not a list of messages"), ("Write f.", "is not a list of messages"),
    (None, "is not a list of messages"),
    (say("x"), "does not end with a message of the user"), (say("x", "human"), "has a role that is none of"),
    (say("a <|im_end|>", USER), "spells out a control token"),
    (say("\udc00", USER), "holds half a character")])
def test_a_request_of_another_shape_is_refused(prompt, says, tok):
    rows = answers(pairs())
    rows[0] = rows[0] | dict(prompt=prompt)
    assert says in (text := checked(rows, tok)) and "in row 1 (t1)" in text


@pytest.mark.parametrize("change, says", [
    (lambda rows: [], "is empty"),
    (lambda rows: rows[:1] + ["text"] + rows[2:], "is not made of objects in row 2"),
    (lambda rows: rows[:1] + [None], "is not made of objects in row 2"),
    (lambda rows: [{k: v for k, v in r.items() if k != "prompt"} for r in rows], r"lacks the column 'prompt' "
     r"in row 1 (t1), row 2 (t2), row 3 (t3) and 3 more"),
    (lambda rows: rows[:1] + [rows[1] | dict(task_id=["a"])],
     "'task_id' is neither text nor number in row 2"),
    (lambda rows: rows[:1] + [rows[1] | dict(task_id={})], "'task_id' is neither text nor number in row 2"),
    (lambda rows: rows[:1] + [rows[1] | dict(task_id="t\ud800")], r"holds half a character (a lone "
     r"surrogate, such as \ud800), which no tokenizer and no file takes, in row 2 (t\ud800)"),
    (lambda rows: rows[:1] + [rows[1] | dict(tests=["x", dict(y="\udfff")])], "holds half a character"),
    (lambda rows: rows[:1] + [rows[1] | dict(chosen=rows[1]["rejected"])], "chosen equals rejected in row 2"),
    (lambda rows: rows[:1] + [rows[1] | dict(chosen=say(OTHER.replace("1", "2") + " \n"))],
     "chosen equals rejected in row 2")])
def test_sets_that_are_none(change, says, tok): assert says in checked(change(pairs()), tok, "dpo")


def test_rows_that_the_template_refuses_are_named(tok):
    import copy
    strict = copy.deepcopy(tok)
    strict.chat_template = ("{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system turn, "
                            "please') }}{% endif %}" + tok.chat_template)
    rows = answers(pairs())
    rows[4] = rows[4] | dict(prompt=say("Be brief.", "system") + rows[4]["prompt"])
    assert "The chat template refuses 'prompt' of the data in row 5 (t5) (No system turn, please)" in checked(
        rows, strict)


def test_lengths_are_checked_for_every_column(tok):
    rows = pairs()
    whole = {c: max(shared.lengths(rows, c, tok)) for c in ("chosen", "rejected")}
    assert whole["chosen"] < whole["rejected"] and checked(rows, tok, "dpo", whole["rejected"]) == ""
    assert "prompt and rejected have more than" in checked(rows, tok, "dpo",
                                                           whole[
        "chosen"]) and "prompt and chosen have more than" in checked(rows, tok, "dpo", whole["chosen"] - 1)
    assert (
        "the prompt alone has more than 9 tokens in row 1 (t1), row 2 (t2), row 3 (t3) and 3 more"
            in checked(rows, tok, "dpo", 9))


@pytest.mark.parametrize("label", [None, 1, 0, "true", "good", [], 1.0])
def test_a_label_is_true_or_false(label, tiny, tmp_path):
    rows = marked(pairs())
    rows[2] = rows[2] | dict(label=label)
    for how in (dict(), dict(valid=rows)):
        with pytest.raises(ValueError, match=r"true or false in 'label' in row 3 \(t2\)"):
            dpo.fit_dpo(rows if not how else marked(pairs()), tiny, tmp_path/"m", objective="kto", **how)


# ------------------------------------------------------------------ dividing

def test_rows_without_a_task_are_divided_by_what_they_ask():
    rows = [dict(prompt=say(f"Write  f{i % 40}." if i % 2 else f"Write f{i % 40}.\n", USER))
            for i in range(200)]
    train, valid = shared.split_by_task(rows, .2, 0)
    assert len(train) + len(valid) == 200 and valid and not {shared.prompt_of(r)
                                                             for r in train} & {shared.prompt_of(r)
        for r in valid}
    assert shared.split_by_task(rows[:100], .2, 0)[1] == [r for r in rows[:100] if r in valid]
    assert shared.split_by_task([r | dict(task_id=t) for r,
                                 t in zip(rows, [None, "", float("nan")] * 67, strict=False)], .2,
                                0)[0][0]["prompt"] == train[0]["prompt"]


def test_tasks_that_ask_the_same_stay_together_and_names_may_be_numbers():
    rows = ([dict(task_id=i, prompt=say(f"p{i // 3}", USER)) for i in range(60)]
            + [dict(prompt=say("p1", USER)), dict(task_id="x", prompt=say(" p2", USER))])
    for seed in range(20):
        train, valid = shared.split_by_task(rows, .3, seed)
        assert train and valid and not {shared.prompt_of(r) for r in train} & {shared.prompt_of(r)
            for r in valid} and not {shared.task_of(r) for r in train} & {shared.task_of(r) for r in valid}
    chain = [dict(task_id=t, prompt=say(p, USER)) for t,
             p in ((1, "a"), (2, "b"), (3, "c"), (1, "b"), (2, "c"))]
    assert len(set(shared.related(chain).values())) == 1


@pytest.mark.parametrize("rows",
                         [[dict(task_id="t", prompt=say(f"p{i}", USER)) for i in range(5)],
                          [dict(prompt=say("p", USER))] * 5, [dict(task_id="t")],
                          [dict(task_id=i, prompt=say("p", USER)) for i in range(4)]])
def test_what_cannot_be_divided_is_refused_with_the_rows(rows):
    with pytest.raises(ValueError, match=r"All rows are of one task or ask the same, so none can be held out "
                       r".*: row 1.*; add rows of another task, or give validation rows \(`valid`\)"):
        shared.split_by_task(rows, .1, 0)


def test_something_is_always_left_to_train_on():
    for share in (0, .5, .99, 1):
        train, valid = shared.split_by_task([dict(task_id=i) for i in range(3)], share, 1)
        assert train and valid


# ------------------------------------------------------------------ trainers

@pytest.mark.parametrize("trainer", ["sft", "dpo+sft", "kto"])
@pytest.mark.parametrize("change",
                         [lambda r: {k: v for k, v in r.items() if k != "task_id"},
                          lambda r: r | dict(task_id=int(r["task_id"][1:])), lambda r: r | dict(task_id=None),
                                    lambda r: r | dict(extra=object(), meta={3: {1, 2}})], ids=["no task",
                                       "numbers", "None",
                                    "columns that nobody reads"])
def test_rows_with_or_without_a_task_train(trainer, change, tiny, tmp_path):
    rows = [change(r) for r in (answers(pairs()) if trainer == "sft" else pairs())]
    rows[0] = rows[0] | dict(prompt=[m | dict(name="me", n=1) for m in rows[0]["prompt"]])
    how = dict(epochs=1, batch=4)
    log = (sft.fit_sft(iter(rows), tiny, tmp_path/"m", **how) if trainer == "sft"
           else dpo.fit_dpo(iter(rows), tiny, tmp_path/"m", objective=trainer, **how))
    assert (tmp_path/"m"/"model.safetensors").exists() and next(r["eval_loss"] for r in log
                                                                if "eval_loss" in r) < 40


@pytest.mark.parametrize("rows",
                         [lambda: pairs(1), lambda: [p | dict(task_id="t") for p in pairs()],
                          lambda: pairs(1) * 5], ids=["one row", "one task", "one row five times"])
def test_one_task_is_refused_or_validated_by_others(rows, tiny, tmp_path):
    for fit in (lambda **how: sft.fit_sft(answers(rows()), tiny, tmp_path/"m", **how),
                lambda **how: dpo.fit_dpo(rows(), tiny, tmp_path/"m", **how)):
        with pytest.raises(ValueError, match="All rows are of one task or ask the same"): fit()
        assert not list(tmp_path.iterdir())
    assert dpo.fit_dpo(rows(), tiny, tmp_path/"m", valid=pairs()[3:], batch=2)


def test_nothing_and_what_is_no_list_are_refused(tiny, tmp_path):
    for rows in (None, [], (), {}, "rows", dict(a=1)):
        for fit in (sft.fit_sft, dpo.fit_dpo):
            with pytest.raises(ValueError, match="is empty|is not made of objects in row 1"):
                fit(rows, tiny, tmp_path/"m")
    with pytest.raises(ValueError, match="validation part of the SFT data is empty"):
        sft.fit_sft(answers(pairs()), tiny, tmp_path/"m", valid=[])
    with pytest.raises(ValueError, match="set of validation pairs is empty"):
        dpo.fit_dpo(pairs(), tiny, tmp_path/"m", valid=[])


def test_names_of_tasks_to_weigh_are_texts(tiny, tmp_path):
    rows = [r | dict(task=t) for r, t in zip(answers(pairs()), ["a", "b", 3, "a", "b", "a"], strict=True)]
    with pytest.raises(ValueError, match=r"the name of their task .* no text in row 3 \(t3\)"):
        sft.fit_sft(rows, tiny, tmp_path/"m", valid=rows, weighting="case3")


# ------------------------------------------------------------------ files

def test_half_characters_in_a_file_are_named_with_their_line(tmp_path):
    (tmp_path/"a.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "a", "completion": "b '
                                    '\\ud83d"}\n')
    with pytest.raises(chat.ChatError, match=r"a.jsonl line 2: round 2 \(assistant\) holds half a character"):
        chat.read_chats(tmp_path/"a.jsonl")


def test_tasks_folders_keep_equal_requests_together(tmp_path):
    import json
    (tmp_path/"t").mkdir()
    (tmp_path/"t"/"a.jsonl").write_text(
        "\n".join(json.dumps(dict(prompt=f"p{i % 10}", completion=str(i))) for i in range(60)))
    parts = chat.read_tasks([tmp_path/"t"], "60,20,20", 0)
    said = [{r["messages"][0]["content"] for r in rows} for rows in parts.values()]
    assert [len(s) for s in said] == [6, 2,
                                      2] and len(set.union(*said)) == 10 and sum(map(len,
        parts.values())) == 60
    (tmp_path/"t"/"a.jsonl").write_text(
        "\n".join(json.dumps(dict(prompt="p", completion=str(i))) for i in range(6)))
    with pytest.raises(chat.ChatError, match="task t: 6 rows hold 1 different requests, too few to hold some "
                       "out"):
        chat.read_tasks([tmp_path/"t"], "60,20,20", 0)
