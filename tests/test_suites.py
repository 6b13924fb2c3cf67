"""Answers found and judged as DS-1000, BigCodeBench and LiveCodeBench do; what of them can be trusted here
(CODEDPO_DATA, or ../shared/data)."""
import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codedpo_nb import benchmarks as B
from codedpo_nb import suites
from codedpo_nb.problems.extraction import ds1000_answer, longest_code
from codedpo_nb.syntax import parses

DATA = Path(os.environ.get("CODEDPO_DATA") or Path(__file__).resolve().parents[2]/"shared"/"data")
BIG = dict(task_id="BigCodeBench/0", complete_prompt="import re\ndef task_func(x):\n    '''Say it.'''\n",
           code_prompt="import re\ndef task_func(x):\n",
           instruct_prompt="Say it.", entry_point="task_func", canonical_solution="    return str(x)",
           libs="['re']",
           test="import unittest\nclass TestCases(unittest.TestCase):\n    def test_one(self): "
           "self.assertEqual(task_func(1), '1')")


def problems_of(name):
    try: return B.load(name, B.find(name, DATA))
    except B.BenchmarkError as e: pytest.skip(str(e))


# ------------------------------------------------------------------ answers in what a model wrote

def by_splitting(text):
    "DS-1000's cleaning, piece by piece as it is described there."
    text = text.split("</code>")[0].split("# SOLUTION END")[0]
    return text.replace("```python", "").split("```")[0].split("\nEND SOLUTION")[0].replace("<code>", "")

@given(
    st.lists(
    st.sampled_from(["<code>", "</code>", "```python", "```", "\nEND SOLUTION", "# SOLUTION END", "\nx = 1\n",
                     "Here:", "`"]), max_size=8).map("".join))
def test_ds1000_answers_are_cleaned_as_by_splitting(text):
    assert ds1000_answer(text) == by_splitting(text)


def test_an_answer_is_inserted_where_the_context_says():
    context = ("exec_context = 'def f(x):\\n[insert]\\n'\ndef test_execution(code):\n    scope = {}\n    "
               "exec(exec_context.replace('[insert]', code), scope)\n    assert scope['f'](1) == 2\n")
    context += "def test_string(code): assert 'while' not in code\n"
    p = B.from_ds1000(dict(prompt="<code>\ndef f(x):\n### BEGIN SOLUTION\n",
                           reference_code="    return x + 1", code_context=context,
                           metadata=dict(problem_id=0, library="Numpy")))
    said = ["    return x + 1\n### END SOLUTION\n</code>", "    while True: return x + 1\n</code>",
            "return x + 1\n</code>", "    return x + 1\n</code>\n    return ["]
    found = suites.judge([p], [[B.answer_in(p, s) for s in said]], workers=1)[0]
    assert [base for base, _ in found] == ["pass", "fail", "error:IndentationError", "pass"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
    st.sampled_from(["x = 1", "def f():", "    return x", "", "```", "It is so.", "if x:", "    pass",
                     "y = (", ")"]), max_size=8))
def test_longest_code_is_the_longest_of_all_runs(lines):
    runs = [lines[i:j + 1] for i in range(len(lines)) for j in range(i, len(lines))
            if parses("\n".join(lines[i:j + 1]))]
    sizes = [sum(map(bool, run)) for run in runs]
    found = longest_code("\n".join(lines))
    assert sum(map(bool, found.split("\n"))) == max(sizes,
                                                    default=0) and parses(found) and found in "\n".join(lines)


ANSWERS = {  # message of a chat: whether it is right
    "fenced": ("Sure.\n```python\nimport re\ndef task_func(x):\n    return str(x)\n```\nDone it is.", True),
    "bare": ("def task_func(x):\n    return str(x)\n", True),
    "helper": ("```\ndef task_func(x):\n    return say(x)\ndef say(x):\n    return str(x)\n```", True),
    "constant": ("```\nKIND: type = str\ndef task_func(x):\n    return KIND(x)\n```", True),
    "class": ("```\nclass Speaker:\n    def say(self, x): return str(x)\ndef task_func(x):\n    return Speaker().say(x)\n```", True),  # noqa: E501
    # the call is left out
    "example": ("```\ndef task_func(x):\n    return str(x)\nassert task_func(2) == '3'\n```", True),
    # the first counts
    "twice": ("```\ndef task_func(x):\n    return str(x)\ndef task_func(x):\n    return x\n```", True),
    # the longer
    "two blocks": ("```\ndef task_func(x):\n    return x\n```\nBetter now:\n```\ndef task_func(x):\n    text = str(x)\n    return text\n```", True),  # noqa: E501
    # tree-sitter sees no function here
    "decorated": ("```\nimport functools\n@functools.cache\ndef task_func(x):\n    return str(x)\n```", False),  # noqa: E501
    "other name": ("```\ndef say(x):\n    return str(x)\n```", False),
    "words": ("I cannot do that.", False)}

def test_messages_of_bigcodebench_instruct():
    p = B.instructed(B.from_bigcodebench(BIG))
    found = suites.judge([p], [[B.answer_in(p, text) for text, _ in ANSWERS.values()]], workers=1)[0]
    assert {name: base == "pass" for name,
            (base, _) in zip(ANSWERS, found, strict=False)} == {name: right for name,
                                                                (_, right) in ANSWERS.items()}


def test_completions_of_bigcodebench_end_at_the_next_statement():
    p = B.from_bigcodebench(BIG)
    more = ["\ndef other(): (", "\nclass A(", "\nimport (", "\nfrom (", "\nassert (", "\nprint((",
            "\nif __name__ (", "<|endoftext|>("]
    assert suites.judge([p], [[B.answer_in(p, "\treturn str(x)" + m) for m in more]],
                        workers=1) == [[("pass", "pass")] * len(more)]
    assert B.answer_in(p, "    if x:\n        return 1\nx = 2") == "    if x:\n        return 1\nx = 2"


# ------------------------------------------------------------------ programs of BigCodeBench

def big(test, solution="    return str(x)"):
    p = B.from_bigcodebench(BIG
                            | dict(test="import unittest, pickle, json\nfrom unittest.mock import "
                                   "patch\nclass TestCases(unittest.TestCase):\n    def "
                                   "test_one(self):\n        " + test))
    return suites.judge([p], [[solution]], workers=1)[0][0][0]

@pytest.mark.parametrize("test, solution", [
    # what the test imports, the answer has as well
    ("self.assertEqual(task_func([1]), '[1]')", "    return json.dumps(x)"),
    ("self.assertEqual(task_func('a'), os.sep)", "    return os.sep if sys and environ is os.environ else 0"),
    ("self.assertEqual((__name__, task_func.__module__), ('__test__', '__test__'))", "    pass"),
    ("\n        with patch('__test__.re.sub', return_value=5): self.assertEqual(task_func(1), 5)", "    return re.sub('a', 'b', 'a')"),  # noqa: E501
    ("\n        with patch('__test__.open', create=True, side_effect=OSError), self.assertRaises(OSError): task_func('x')", "    return open(x)"),  # noqa: E501
    ("self.assertIs(pickle.loads(pickle.dumps(task_func)), task_func)", "    pass"),
    ("self.assertEqual(task_func('note.txt'), 'hello')", "    with open(x, 'w') as f: f.write('hello')\n    return open(x).read()"),  # noqa: E501
    ("\n        import tempfile\n        with tempfile.TemporaryDirectory() as d: self.assertTrue(task_func(d))", "    os.makedirs(x + '/a/b'); os.chdir(x); return os.listdir('.') == ['a']")])  # noqa: E501
def test_a_program_runs_as_in_the_original(test, solution): assert big(test, solution) == "pass"


def test_a_skipped_test_is_no_failure(): assert big("self.skipTest('x'); self.fail()") == "pass"


@pytest.mark.parametrize("solution",
                         ["    return 2", "    raise ValueError", "    import subprocess; return "
                          "subprocess.run(['true']) and '1'", "    sys.exit(0)",
                                      "    import socket; socket.create_connection(('127.0.0.1', 9)); return "
                                      "'1'"])
def test_wrong_or_refused_programs_fail(solution):
    assert big("self.assertEqual(task_func(1), '1')", solution) != "pass"


# ------------------------------------------------------------------ the public data: what can be trusted, and
# that it refuses what is wrong

NETWORK, OTHER, REFUSED = "needs the network", "made for other versions", "refused by the sandbox"
NAMED = {  # task: how its reason begins; all that does not pass where its libraries are installed
    "ds1000": {519: NETWORK, 520: "another output here", 726: OTHER, 727: OTHER},
    "bigcodebench": {14: REFUSED, 15: REFUSED, 16: REFUSED, 18: REFUSED, 30: REFUSED, 147: "another output here", 176: "herror", 201: "", 205: REFUSED,  # noqa: E501
                     263: "another output here", 314: NETWORK, 346: REFUSED, 350: REFUSED, 363: REFUSED}}

@pytest.mark.parametrize("name", NAMED)
def test_canonical_solutions_pass_but_for_the_named(name):
    "A part of each: every problem is tried in the notebook."
    problems = problems_of(name)[::14]
    rows = suites.untrusted(problems, workers=1)
    absent = [row for row in rows if row["reason"].startswith("library absent: ")]
    for row in absent:
        assert importlib.util.find_spec(row["reason"].split(": ")[1].split(".")[0]) is None, row
    rest = {int(row["task_id"].split("/")[1]): row["reason"] for row in rows if row not in absent}
    assert set(rest) <= set(NAMED[name]), rest
    table = suites.share(problems, rows)
    assert sum(row["problems"] for row in table) == len(problems) and table[0] == dict(benchmark=name,
        here="trusted", problems=len(problems) - len(rows), tasks="")
    doubtful = {row["task_id"] for row in rows}
    known = [p for p in problems if p["task_id"] not in doubtful]
    if not known: pytest.skip(f"no problem of {name} can be trusted here: {rows[0]['reason']}")
    assert suites.lenient(known[::3], workers=1) == []


def test_reasons_are_named():
    for name, named in NAMED.items():
        few = {"ds1000": [519, 726], "bigcodebench": [18, 30, 346]}[name]
        problems = [p for p in problems_of(name) if int(p["task_id"].split("/")[1]) in few]
        for row in suites.untrusted(problems, workers=1):
            assert row["reason"].startswith((named[int(row["task_id"].split("/")[1])],
                                             "library absent: ")), row


def test_problems_without_a_solution_are_no_failures():
    rows = suites.untrusted(problems_of("livecodebench"), workers=1)
    assert {(row["base"], row["reason"])
            for row in rows} == {("not-run", "no canonical solution is published")}
