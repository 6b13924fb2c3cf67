"""Curation: duplicates against all pairs, languages, exams, execution, difficulty against the library's loss,
quotas, and the funnel over them."""
import gzip
import json
import math
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codedpo_nb.training import curation as C

DATA = Path(os.environ.get("CODEDPO_DATA") or Path(__file__).resolve().parents[2]/"shared"/"data")


def row(answer, prompt="Write a function f.", **more): return dict(prompt=prompt, answer=answer, **more)


# ------------------------------------------------------------------ duplicates

def by_all_pairs(texts, least, n=3):
    "The definition, word by word: a text is compared with every earlier one that stays."
    kept, out = {}, []
    for i, text in enumerate(texts):
        words = re.findall(r"\w+|[^\w\s]", text.lower())
        mine = {tuple(words[k:k + n]) for k in range(max(1, len(words) - n + 1))}
        out.append(
            next((j for j, other in kept.items() if len(mine & other) / len(mine | other) >= least - 1e-12),
                 None))
        if out[-1] is None: kept[i] = mine
    return out


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab .", max_size=24), max_size=25), st.sampled_from([.1, .3, .5, .6, .7, .9, 1.]))
def test_near_duplicates_are_those_of_all_pairs(texts, least):
    assert C.alike(texts, least) == by_all_pairs(texts, least)


def test_near_duplicates_among_longer_texts():
    r, words = random.Random(1), [f"w{i}" for i in range(300)]
    texts = [" ".join(r.choices(words, k=r.randrange(20, 60))) for _ in range(150)]
    for _ in range(100):
        copy = r.choice(texts).split()
        for _ in range(r.randrange(6)): copy[r.randrange(len(copy))] = r.choice(words)
        texts.append(" ".join(copy))
    assert C.alike(texts) == by_all_pairs(texts, .7) and 20 < sum(t is not None for t in C.alike(texts)) < 100


def test_jaccard_by_hand():
    four, five = "a b c d e f", "a b c d e f g"         # 4 and 5 runs of three words, 4 in common: 4/5
    assert C.alike([four, five], .8) == [None, 0] and C.alike([four, five], .81) == [None, None]
    assert C.alike(["", " ", "x"], 1) == [None, 0, None] and C.alike([]) == []


def test_exact_duplicates_ignore_blanks_only():
    assert C.repeated([row("a b"), row("a  b\n"), row("A b"), row("a b", prompt="Another.")]) == [None,
        "same as row 1", None, None]


# ------------------------------------------------------------------ language, parse, length

@pytest.mark.parametrize("language, code", [
    ("python", "import os\nprint(os.name)"), ("python", "def f(x):\n    return x"), ("python", "x = [1, 2]"),
    ("python", "def f(x:\n    return x"),
    ("javascript", "function f(x) {\n  return x === 2;\n}"),
    ("javascript", "let xs = [1];\nxs.forEach(x => console.log(x));"),
    ("java", "public class Main {\n  public static void main(String[] args) { System.out.println(1); }\n}"),
    ("c++", "#include <iostream>\nint main() { std::cout << 1; }"),
    ("c", "#include <stdio.h>\nint main() { printf(\"%d\", 1); return 0; }"),
    ("c#", "using System;\nclass A { static void Main() { Console.WriteLine(1); } }"),
    ("go", "package main\nfunc f() int {\n\tx := 1\n\treturn x\n}"),
    ("rust", "fn f(x: &str) -> Vec<i32> {\n    let mut v = Vec::new();\n    v\n}"),
    ("php", "<?php\n$x = 1;\necho $x;"),
    ("ruby", "def f(x)\n  puts x\nend"), ("sql", "SELECT a FROM b WHERE c = 1;"),
    ("html", "<html>\n<body>\n<p>x</p>\n</body>\n</html>"),
    ("css", "p {\n  color: red;\n}"), ("shell", "#!/bin/bash\necho hello"),
    ("text", "It depends on the data."), ("rust", "```rust\nlet x = 1;\n```"),
    ("c++", "```cpp\nint x;\n```")])
def test_language(language, code): assert C.language(code) == language


def test_languages_of_humanevalpack():
    files = sorted((DATA/"humanevalpack").glob("*.jsonl.gz"))
    if not files: pytest.skip(f"no humanevalpack in {DATA}: set CODEDPO_DATA to check guessed languages")
    names = dict(cpp="c++", js="javascript")
    found = {f.name.split(".")[0]: [C.language(r["declaration"] + r["canonical_solution"]) for _,
                                    r in C.read_rows(f)] for f in files}
    assert set(found["python"]) == {"python"} and all("python" not in guesses for name,
                                                      guesses in found.items() if name != "python")
    right = [g == names.get(name, name) for name, guesses in found.items() for g in guesses]
    assert np.mean(right) > .8


def test_what_does_not_parse_or_fit_is_named():
    rows = [row("def f(x):\n    return x + 1"), row("def f(x):\nreturn x"), row("```python\ndef f(:\n```"),
            row("SELECT 1 FROM t WHERE"), row("")]
    assert C.unparsable(rows) == [None, "does not parse: 'def f(x):'", "does not parse: 'def f(:'", None,
                                  None]
    assert C.misfit([row("one two three four five"), row("one"), row("w " * 501),
                     row("a b c d e", prompt="Go.")]) == [
        None, "answer of 1 words", "answer of 501 words", "prompt of 1 words"]
    assert not C.parses("(" * 9999) and not C.parses("\0") and C.parses("")


# ------------------------------------------------------------------ exams

EXAM = [dict(prompt="Write a function that returns the sum of the squares of all odd numbers",
             canonical="return sum(x * x for x in xs if x % 2)", entry_point="odd_squares")]


def test_exam_problems_are_found_by_text_and_by_name():
    index = C.exam_index(EXAM)
    rows = [row("def g(n): pass", "Please: the sum of the squares of all odd numbers"),
            row("x = 1", "Returns the SUM of the squares, of all odd numbers!"),
            row("def odd_squares(xs):\n  pass"), row("odd_squares([1])"),
            row("```python\ndef odd_squares(xs): pass\n```")]
    assert C.contaminated(rows, index) == [None, "10 tokens in a row", "entry point odd_squares", None,
                                           "entry point odd_squares"]
    assert C.contaminated([row("def (): pass")], C.exam_index([EXAM[0] | dict(entry_point="")])) == [None]


def test_every_set_that_is_there_is_an_exam(tmp_path):
    (tmp_path/"humanevalpack").mkdir()
    (tmp_path/"humanevalpack"/"go.jsonl.gz").write_bytes(
        gzip.compress(
        json.dumps(dict(prompt="p", instruction="i", canonical_solution="c", entry_point="F")).encode()))
    problems, missing = C.exams(tmp_path)
    assert problems == [dict(prompt="p\ni", canonical="c", entry_point="F")]
    assert {"humaneval", "mbpp", "ds1000", "bigcodebench",
            "livecodebench"} <= set(missing) and "humanevalpack" not in missing
    assert all("\n" not in why for why in missing.values())


def test_published_problems_are_recognised():
    problems, missing = C.exams(DATA)
    if not problems:
        pytest.skip(f"no evaluation sets in {DATA}: set CODEDPO_DATA to check decontamination on them")
    index = C.exam_index(problems)
    some = [p for p in problems if len(C.token_grams(p["canonical"])) > 0][::40]
    assert all(C.contaminated([row(p["canonical"], "Solve it.") for p in some], index))
    assert C.contaminated(
        [row("def zebra_crossing(stripes): return stripes + 1", "Count stripes of a zebra crossing.")],
                          index) == [None]


# ------------------------------------------------------------------ execution

def test_answers_that_fail_their_own_tests_go():
    rows = [row(f"def f(x): return {e}", tests=["assert f(2) == 4", "assert f(3) == 6"])
            for e in ("2 * x", "x + 2", "x.y")] + [row("?"), row("?", tests=[])]
    assert C.failing(rows) == [None, "fail", "error:AttributeError", None, None]
    assert C.failing([row("?")]) == [None]


# ------------------------------------------------------------------ difficulty

@pytest.fixture(scope="module")
def tiny():
    import torch

    from codedpo_nb.world.corpus import corpus
    from codedpo_nb.world.model import fresh_model, train_tokenizer
    from codedpo_nb.world.tasks import task_space
    torch.set_num_threads(1)
    docs = list(corpus(task_space(0)["train"], 12, 0, tests=0))
    tok = train_tokenizer([d["prompt"] + d["answer"] for d in docs], 350)
    return fresh_model(tok, 32, 1).eval(), tok, docs


def by_library(model, tok, prompt, answer):
    "Perplexity from the loss that the library computes from labels, a row at a time."
    import torch

    from codedpo_nb.world.model import chat
    ask, said = (
        tok(t, add_special_tokens=False).input_ids for t in (chat(tok, prompt), answer + tok.eos_token))
    with torch.no_grad():
        return math.exp(model(torch.tensor([ask + said]),
                              labels=torch.tensor([[-100] * len(ask) + said])).loss.item())


def test_difficulty_is_the_ratio_of_perplexities(tiny):
    model, tok, docs = tiny
    expected = [by_library(model, tok, d["prompt"], d["answer"]) / by_library(model, tok, "", d["answer"])
                for d in docs]
    for batch in (1, 5): assert C.difficulty(model, tok, docs, batch) == pytest.approx(expected, rel=1e-4)


def test_a_request_that_helps_lowers_difficulty(tiny):
    import torch

    from codedpo_nb.world.model import encode, fresh_model
    _, tok, _ = tiny
    asked = [dict(prompt=p, answer=a) for p,
             a in (("one", "return nums nums nums"), ("two", "def def def def"))]
    model = fresh_model(tok, 32, 1)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(60):
        for e in encode(tok, asked):
            model(torch.tensor([e["input_ids"]]), labels=torch.tensor([e["labels"]])).loss.backward()
            optimizer.step(), optimizer.zero_grad()
    model.eval()
    right, crossed = C.difficulty(model, tok, asked), C.difficulty(model, tok,
        [asked[0] | dict(answer=asked[1]["answer"]), asked[1] | dict(answer=asked[0]["answer"])])
    assert max(right) < 1 < max(crossed) and max(right) < min(
        crossed), "which answer an empty request suggests is left open"
    assert C.unrelated([dict(ifd=x) for x in right]) == [None,
                                                         None] and C.unrelated([dict(ifd=max(crossed))]) == [
        f"IFD {max(crossed):.2f}"]


def test_a_model_without_template_is_asked_too(tiny):
    import copy
    model, tok, docs = tiny
    plain = copy.deepcopy(tok)
    plain.chat_template = None
    assert all(math.isfinite(x) and x > 0 for x in C.difficulty(model, plain, docs))


# ------------------------------------------------------------------ pick and funnel

@given(st.dictionaries(st.integers(0, 9), st.integers(1, 50), min_size=1), st.floats(0, 1))
def test_quotas_are_proportional_and_complete(sizes, share):
    total = sum(sizes.values())
    k = int(share * total)
    given_ = C.quotas(sizes, k)
    assert sum(given_.values()) == k and all(0 <= given_[s] <= n and abs(given_[s] - k * n / total) < 1 for s,
                                             n in sizes.items())


def test_pick_is_seeded_stratified_and_by_worth():
    rows = [dict(kind="a" if i % 4 else "b", i=i) for i in range(80)]
    draw = lambda seed, **how: C.pick(rows, 20, lambda r: r["kind"], np.random.default_rng(seed), **how)
    assert draw(0) == draw(0) != draw(1) and Counter(rows[i]["kind"] for i in draw(0)) == dict(a=15, b=5)
    assert draw(0, worth=lambda r: r["i"]) == draw(1,
                                                   worth=lambda r: r["i"]) == sorted(
        [i for i in range(80) if i % 4][-15:] + [60 + 4 * i for i in range(5)])
    for k in (0, 81):
        with pytest.raises(ValueError, match=f"{k} rows of 80 cannot be picked"):
            C.pick(rows, k, str, np.random.default_rng(0))
    assert C.left_out([], 3, str, np.random.default_rng(0)) == [] and C.left_out(rows[:2], 3, str,
        np.random.default_rng(0)) == [None, None]


def test_funnel_counts_add_up_and_show_the_first_that_went():
    rows = ([row("def f(x): return x + 1")] * 2
            + [row("def f(x:"), row("SELECT a FROM b WHERE c = 1"), row("def g(y): return y * 2 + 1")])
    kept, report = (C.funnel(rows,
                             {"exact": C.repeated, "parse": C.unparsable, "language": C.another_language}))
    assert [(r["before"], r["removed"], r["kept"]) for r in report] == [(5, 1, 4), (4, 1, 3),
        (3, 1, 2)] and kept == [rows[0], rows[4]]
    assert report[2]["why, for example"] == "sql" and report[2]["answer"].startswith("SELECT a") and report[
        1]["answer"] == "def f(x:"
    assert C.funnel([], {"exact": C.repeated})[1][0]["removed"] == 0
    fig = C.funnel_figure(report)
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["exact", "parse",
        "language"] and "−1" in [t.get_text() for t in fig.axes[0].texts]


def test_a_random_pick_is_described_like_the_curated_one():
    index = C.exam_index(EXAM)
    seen = C.traits([row("def f(x): return x"), row("def odd_squares(x): return 1"),
                     row("SELECT a FROM b WHERE c"), row("def f(x): return x")], index)
    assert seen == {"rows": 4, "python": .75, "python that parses": 1., "near duplicates": .25,
                    "repeats an exam": .25, "words in an answer": 5.}


def test_import_is_light():
    code = ("import sys, codedpo_nb.training.curation, codedpo_nb.training.chat; sys.exit(any(m in "
            "sys.modules for m in ('torch', 'datasets', 'pandas', 'transformers')))")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
