"""Problems, verdicts, rates, intervals, differences and speed-ups, on inputs with known answers."""
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codedpo_nb import eval as evaluation
from codedpo_nb.running import records
from codedpo_nb.world import corpus, tasks

SOME = evaluation.scale_tasks("test", 5) + evaluation.scale_tasks("hard", 3)
PROBLEMS = evaluation.scale_problems("test", 5) + evaluation.scale_problems("hard", 3)


def answer(task, code, model="m", k=0):
    return dict(model=model, split=task["split"], task_id=task["task_id"], mode="sampled", k=k, answer=code)


@pytest.fixture(scope="module")
def judged():
    def idiom(t, i):
        return corpus.solution(t["name"], t["args"], tasks.chain_of(t), lambda codes: codes[i % len(codes)])
    rows = [answer(t, idiom(t, i), f"idiom {i}") for i in range(3) for t in SOME]
    rows += [answer(t, text, "odd") for t,
             text in zip(SOME,
                         ("", "def", "x = 1",
                          "```python\n" + corpus.reference_solution(SOME[3]) + "\n```\nDone.",
                                                             "while True: pass",
                                                                      f"def {SOME[5]['name']}(*a): "
                                                                      "return None"), strict=False)]
    return rows, evaluation.judge_answers(rows, PROBLEMS, progress=False)


def test_import_is_light():
    code = ("import sys, codedpo_nb.eval; sys.exit(any(m in sys.modules for m in ('torch', 'pandas', "
            "'matplotlib', 'scipy')))")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_problems_are_the_same_for_a_seed_and_others_for_another():
    assert evaluation.scale_problems("test", 3) == PROBLEMS[:3]
    task = SOME[0]
    assert evaluation.two_kinds(task, 0) != evaluation.two_kinds(task, 1)


def test_tests_are_distinct_and_plus_tests_hold_the_edges():
    for t, p in zip(SOME, PROBLEMS, strict=False):
        both = p["tests"] + p["plus_tests"]
        assert len(set(both)) == len(both) == 48
        assert set(evaluation.edge_tests(t)) <= set(both)
        first = dict(L="[]", S="''", C="{}")[t["takes"][0]]
        assert any(f"({first}" in test for test in both)


def test_every_task_of_both_splits_has_edges_without_an_error():
    for split in ("test", "hard"):
        for t in tasks.task_space(0)[split]: assert all(len(e) < 300 for e in evaluation.edge_tests(t))


@pytest.mark.parametrize("split, n, said",
                         [("trian", 1, "choose one of train"), ("hard", 10**4, "has 200"),
                          ("hard", -1, "ask for fewer")])
def test_unknown_split_or_too_many_problems_is_refused(split, n, said):
    with pytest.raises(ValueError, match=said): evaluation.scale_problems(split, n)


def test_every_idiom_is_right_and_odd_answers_are_wrong_in_their_way(judged):
    rows = judged[1]
    assert all(r["base"] and r["plus"] and r["kind"] == "right" for r in rows if r["model"] != "odd")
    odd = [r["kind"] for r in rows if r["model"] == "odd"]
    assert odd == ["unknown name", "syntax error", "unknown name", "right", "time-out", "wrong answer"]
    assert not any("answer" in r for r in rows)


def test_kinds_cover_every_word_of_the_sandbox():
    words = """fail error:TypeError error:NameError error:ValueError error:IndexError load-error:SyntaxError
        load-error:ZeroDivisionError timeout load-timeout memory exit crash:SIGSEGV tamper not-run""".split()
    for word in words: assert evaluation.kind(["pass", word], 2) in evaluation.KINDS[2:]
    assert evaluation.kind(["pass", "fail"], 1) == evaluation.KINDS[1]
    assert set(evaluation.ERRORS.values()) <= set(evaluation.KINDS)


def test_cost_is_counted_for_right_answers_only_and_repeats(judged):
    rows, marks = judged
    chosen = [i for i, r in enumerate(rows) if r["model"] in ("idiom 0", "odd")]
    rows, marks = [rows[i] for i in chosen], [marks[i] for i in chosen]
    first = evaluation.costs(marks, rows, SOME, PROBLEMS)
    assert first == evaluation.costs(marks, rows, SOME, PROBLEMS)
    assert [c is not None for c in first] == [m["plus"] for m in marks]


def test_journals_are_used_and_change_nothing(tmp_path, judged):
    rows = judged[0][:8]
    journal = records.Journal(tmp_path/"j.jsonl")
    first = evaluation.judge_answers(rows, PROBLEMS, journal=journal, progress=False)
    n = len(journal)
    assert n and evaluation.judge_answers(rows, PROBLEMS, journal=journal,
                                          progress=False) == first == judged[1][:8]
    assert len(journal) == n


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_pass_at_k_of_rows_is_the_chance_that_k_draws_hold_a_right_one(counts, k):
    rows = [dict(task_id=i, plus=j < c) for i, c in enumerate(counts) for j in range(6)]
    from math import comb
    assert evaluation.per_problem(rows,
                                  k) == pytest.approx({i: 1 - comb(6 - c, k) / comb(6, k) for i,
                                                       c in enumerate(counts)})


def test_parts_are_rates_of_their_problems():
    tasks_ = [dict(task_id=i, length=2 + (i > 3)) for i in range(8)]
    rows = [dict(task_id=i, plus=i in (0, 1, 2, 5)) for i in range(7)]
    found = evaluation.rates_by_part(rows, tasks_, lambda t: t["length"])
    assert {k: (v[0], v[3]) for k, v in found.items()} == {2: (.75, 4), 3: (1 / 3, 3)}
    assert found[2][1] < .75 < found[2][2]


def test_reworded_tasks_have_other_words_and_the_same_tests():
    chosen = tasks.task_space(0)["test"][:40]
    again = [evaluation.reworded(t) for t in chosen]
    assert again == [evaluation.reworded(t) for t in chosen] != [evaluation.reworded(t, 1) for t in chosen]
    assert all(a["prompt"] != t["prompt"] and a["prompt"].split('"""')[0] == t["prompt"].split('"""')[0]
               for a, t in zip(again, chosen, strict=False))
    one, two = (evaluation.as_problems([t], "x")[0] for t in (chosen[0], again[0]))
    assert {k: v for k, v in one.items() if k != "prompt"} == {k: v for k, v in two.items() if k != "prompt"}


def test_other_data_are_no_lists_and_come_after():
    chosen = evaluation.other_data(9, 100)
    assert len(chosen) == 9 and all(t["takes"][0] in "SC" for t in chosen)
    assert not {t["task_id"] for t in chosen} & {t["task_id"] for t in evaluation.scale_tasks("test", 100)}
    assert evaluation.other_data(5, 400) == []


# ------------------------------------------------------------------ answers

PROMPT = 'from typing import List\n\ndef total(xs: List[int]) -> int:\n    """Add up."""\n'
HALF = dict(evaluation.problem("HumanEval/0", "humaneval", PROMPT, "total", ["assert total([1, 2]) == 3"],
                               "    return sum(xs)\n", form="completion"))

@pytest.mark.parametrize("said, program", [
    ("    return sum(xs)\n", PROMPT + "    return sum(xs)\n"),
    ("\n    return sum(xs)\n\ndef test(): pass", PROMPT + "    return sum(xs)\n"),
    ("Here:\n```python\nfrom typing import List\ndef total(xs): return sum(xs)\n```\n",
     "from typing import List\ndef total(xs): return sum(xs)"),
    ("```\n    return sum(xs)\n```", PROMPT + "    return sum(xs)"),
    ("```python\ndef total(xs):\n    return sum(", "def total(xs):\n    return sum("),
    ("", PROMPT)])
def test_program_in_an_answer(said, program):
    assert evaluation.program_of(HALF, said).rstrip() == program.rstrip()


class Words:
    "A tokenizer whose tokens are words, with a chat template."
    chat_template = "x"
    def __call__(self, texts, **_): return type("Ids", (), dict(input_ids=[t.split() for t in texts]))
    def apply_chat_template(self, messages, **_): return f"<user> {messages[0]['content']} <answer>"


def counting(monkeypatch, stop=None):
    """Replace the model: every text is noted when it is answered, and answer number `stop` interrupts before
    its batch is done."""
    from codedpo_nb.world.engines import SampledAnswer, Transformers
    asked = []
    def batch(engine, texts, temperature, longest, seed):
        if stop is not None and len(asked) >= stop: raise KeyboardInterrupt
        asked.extend(texts)
        numbers = range(seed % 97, seed % 97 + len(texts))
        return [SampledAnswer(f"def f(): return {number}") for number in numbers]
    monkeypatch.setattr(Transformers, "batch", batch)
    return asked


def test_interrupted_anywhere_no_answer_is_drawn_and_no_program_run_twice(tmp_path, monkeypatch):
    from codedpo_nb.world import sampling
    batches = sampling.batches
    monkeypatch.setattr(sampling, "batches", lambda lengths, n, size: batches(lengths, n, 7))
    ask = lambda journal: evaluation.generate("m", None, Words(), PROBLEMS, 5, journal=journal)
    counting(monkeypatch)
    whole = ask(None)
    drawn = []
    # of 40 answers, in batches of 7; each attempt opens the journal anew
    for stop in (0, 7, 21, 28, 35, None):
        asked = counting(monkeypatch, None if stop is None else max(0, stop - len(drawn)))
        try: rows = ask(records.Journal(tmp_path/"answers.jsonl"))
        except KeyboardInterrupt: pass
        drawn += asked
    assert rows == whole and len(drawn) == len(whole) == 40
    assert all(drawn.count(text) == 5 for text in set(drawn)) and len(set(drawn)) == len(PROBLEMS)

    class Stopping(records.Journal):
        def append(self, key, row):
            if self.room == 0: raise KeyboardInterrupt
            self.room -= 1
            kept.append(key)
            super().append(key, row)
    kept, done = [], None
    for room in (0, 1, 3, 100):
        journal = Stopping(tmp_path/"verdicts.jsonl")
        journal.room = room
        try: done = evaluation.judge_answers(rows, PROBLEMS, journal=journal, progress=False)
        except KeyboardInterrupt: assert done is None
    different = {(r["task_id"], r["answer"]) for r in rows}
    assert len(kept) == len(set(map(str, kept))) == len(different)
    assert done == evaluation.judge_answers(rows, PROBLEMS, progress=False)


def test_chat_and_plain_prompts_and_answers_that_are_cut(monkeypatch):
    asked, tokenizer = counting(monkeypatch), Words()
    chat, bare = ((evaluation.generate("m", None, tokenizer, PROBLEMS[:1], 1, longest=n, chat=c) for c,
                   n in ((True, 4), (False, 5))))
    assert asked == [f"<user> {PROBLEMS[0]['prompt']} <answer>",
                     PROBLEMS[0]["prompt"]] and tokenizer.chat_template == "x"
    assert [r["cut"] for r in chat + bare] == [True, False] # the answers have four words
    assert evaluation.judge_answers(chat, PROBLEMS[:1], progress=False)[0]["kind"] == "unfinished"


def test_speed_up_uses_what_both_solved_and_right_answers_only():
    rows = lambda costs: [dict(task_id=t, cost=c, k=i) for t, cs in costs.items() for i, c in enumerate(cs)]
    before = evaluation.cost_of(rows(dict(a=[10, 30, None], b=[None], c=[5])))
    after = evaluation.cost_of(rows(dict(a=[10], b=[3], c=[10])))
    assert before == dict(a=20., c=5.)
    assert evaluation.speed_ups(before, after) == dict(a=2., c=.5)
    found = evaluation.speed_summary(dict(a=2., c=.5), records.rng(0, "s"))
    assert (found["problems"], found["speed-up"], found["10 % cheaper, percent"]) == (2, pytest.approx(1), 50)
    assert evaluation.speed_summary({}, None)["from"] is None
    even, odd = evaluation.halves(rows(dict(a=[1, 2, 3])))
    assert [r["cost"] for r in even] == [1, 3] and [r["cost"] for r in odd] == [2]
