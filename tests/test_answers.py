"""Programs and tests in what models write: odd but right messages, wrong ones, and text that would harm a
parser."""
import json
import os
import time
from pathlib import Path

import pytest

from codedpo_nb import benchmarks as B
from codedpo_nb import languages as L
from codedpo_nb import sandbox
from codedpo_nb.benchmarks import BenchmarkError
from codedpo_nb.problems import answers as A
from codedpo_nb.problems.extraction import longest_code
from codedpo_nb.syntax import tree

DATA = Path(os.environ.get("CODEDPO_DATA") or Path(__file__).resolve().parents[2]/"shared"/"data")
F = "def f(x):\n    return x + 1"
OLD = "def f(x):\n    return x"
DOC = 'def f(x):\n    """Add one.\n\n    ```\n    f(1)\n    ```\n    """\n    return x + 1'
MARGIN = 'def f(x):\n  """Add one.\n\n```\nf(1)\n```\n"""\n  return x + 1'


def fenced(code, info="python", mark="```"): return f"{mark}{info}\n{code}\n{mark}\n"
def indent(text, by="    "):
    return "".join(by + line if line.strip() else line for line in text.splitlines(True))


# ------------------------------------------------------------------ programs, by name: each must define f
# with f(1) == 2

ODD = {
    "bare": F, "fenced": fenced(F), "no info": fenced(F, ""), "braces": fenced(F, "{python}"),
    "title": fenced(F, 'python title="x.py"'), "py3": fenced(F, "py3"),
    "capital": fenced(F, "Python"), "space before info": fenced(F, " python"),
    "pandoc": fenced(F, "{.python .numberLines}"), "file name": fenced(F, "solution.py"),
    "tildes": fenced(F, "python", "~~~"), "four": fenced(F, "python", "````"),
    "unknown info": fenced(F, "code"), "trailing blanks": "```python  \n" + F + "\n```  \n",
    "crlf": fenced(F).replace("\n", "\r\n"), "lone cr": ("Sure:\n" + fenced(F)).replace("\n", "\r"),
    "byte order mark": "\ufeff" + F, "unclosed": "Here:\n```python\n" + F,
    "closing only": F + "\n```\n\nThis adds one.\n",
    "closing only, then an example": F + "\n```\n\nExample:\n```python\nprint(f(1))\n```\n",
    "longer closing": "```python\n" + F + "\n`````\n",
    "shorter inside": "````python\n" + F.replace("    return", '    """\n```\n"""\n    return') + "\n````\n",
    "in a list": "1. Define it:\n\n   ```python\n" + indent(F, "   ") + "\n   ```\n2. Done.\n",
    "list sign before the fence": "- ```python\n" + indent(F, "  ") + "\n  ```\n",
    "indented by three": indent(fenced(F), "   "), "indented by a tab": indent(fenced(F), "\t"),
    "quoted": indent("Sure:\n" + fenced(F), "> ").replace("\n```", "\n> ```"),
    "closing fence glued": "```python\n" + F + "```\nThat is it.",
    "opening fence glued": "The code: ```python\n" + F + "\n```",
    "in markdown": fenced("# Title\n" + fenced(F), "markdown", "````"), "docstring with a fence": fenced(DOC),
    "docstring with a fence, bare": DOC, "docstring with a fence at the margin": fenced(MARGIN),
    "docstring with a fence at the margin, bare": MARGIN,
    "tilde fence with backticks inside": fenced(MARGIN, "python", "~~~"),
    "shell first": fenced("pip install numpy", "bash") + fenced(F),
    "shell without info first": fenced("pip install numpy", "") + fenced(F),
    "output last": fenced(F) + "Output:\n" + fenced("2", ""),
    "example last": fenced(F) + "Use:\n" + fenced("print(f(1))"),
    "example that imports last": fenced(F) + fenced("from solution import f\nprint(f(1))"),
    "json last": fenced(F) + fenced('{"f": 2}', "json"),
    "result named after the function last": fenced(F) + fenced("y = f(1)\nassert y == 2"),
    "tests last": fenced(F) + fenced("def test_f():\n    assert f(1) == 2"),
    "draft first": fenced(OLD) + "That is wrong. Rather:\n" + fenced(F),
    "stub first": fenced("def f(x):\n    ...") + fenced(F),
    "stub last": fenced(F) + "Fill in:\n" + fenced("def f(x):\n    # your code here\n    pass"),
    "broken last": fenced(F) + fenced("def f(x):\n    return (x", "python"),
    "cut off below": "```python\n" + F + "\n\ndef g(x):\n    return (",
    "cut off below, bare": F + "\n\ndef g(x):\n    return (",
    "never closed, then another": "```python\n" + OLD + "\n\nBetter:\n```python\n" + F + "\n```",
    "helper apart": fenced("def g(x):\n    return x") + "and\n" + fenced("def f(x):\n    return g(x) + 1"),
    "helper below": fenced("def f(x):\n    return g(x) + 1") + fenced("def g(x):\n    return x"),
    "three parts": fenced("import math") + fenced("def g(x):\n    return math.floor(x)")
    + fenced("def f(x):\n    return g(x) + 1"),
    "constant apart": fenced("ONE = 1") + fenced("def f(x):\n    return x + ONE"),
    "star apart": fenced("from math import *") + fenced("def f(x):\n    return floor(x) + 1"),
    "think": "<think>\nSo " + fenced(OLD) + "</think>\n" + fenced(F),
    "thinking": "<thinking>x</thinking>" + F, "reasoning": "<reasoning>\n" + OLD + "\n</reasoning>\n\n" + F,
    "think without opening": fenced(OLD) + "so\n</think>\n\n" + fenced(F),
    "think with an open fence": "<think>\n```python\n" + OLD + "\n</think>\n" + fenced(F),
    "two drafts": "<think>a</think>\n<think>\n" + OLD + "\n</think>\n" + F,
    "think in capitals": "<THINK>\n" + OLD + "\n</THINK>\n" + F,
    "answer tag": "<think>hm</think>\n<answer>\n" + fenced(F) + "</answer>",
    "answer tag without fence": "<answer>" + F + "</answer>",
    "end mark": fenced(F) + "<|im_end|>\n<|im_start|>user\n" + fenced(OLD),
    "channels": "<|channel|>analysis<|message|>" + fenced(OLD)
    + "<|end|><|start|>assistant<|channel|>final<|message|>" + fenced(F),
    "tag in a string": "def f(x):\n    tag = '''\n<think>\n'''\n    return x + 1",
    "tag in a fenced string": "So:\n" + fenced("def f(x):\n    tag = '''\n<think>\n'''\n    return x + 1"),
    "session": ">>> def f(x):\n...     return x + 1\n...\n>>> f(1)\n2",
    "session in a fence": fenced(">>> def f(x):\n...     return x + 1\n... \n>>> f(1)\n2\n>>> "
                                 "f('a')\nTraceback (most recent call last):\n  ...\nTypeError: no", "pycon"),
    "session with words": "Try it:\n\n>>> def f(x):\n...     return x + 1\n>>> f(1)\n2\n\nIt works.",
    "notebook": "In [1]: def f(x):\n   ...:     return x + 1\n   ...: \n\nIn [2]: f(1)\nOut[2]: 2",
    "words around": "Sure! Here's the function:\n\n" + F + "\n\nIt adds 1 (one) to x.",
    "words that parse around": "Sure\n" + F + "\nDone", "label that parses": "Solution: here\n" + F,
    "indented code block": "Here it is:\n\n" + indent(F) + "\n\nDone it is.",
    "words between": "First, a helper:\n\ndef g(x):\n    return x\n\nThen the function:\n\ndef f(x):\n    "
    "return g(x) + 1\n\nThat's it.", "words below, indented": F + "\n\n    This adds one to x.",
    "language's name first": "python\n" + F, "lambda": fenced("f = lambda x: x + 1"),
    "annotated": fenced("f: object = lambda x: x + 1"),
    "class": fenced("class f(int):\n    def __new__(cls, x): return x + 1"),
    "decorated": "Well:\n"
    + fenced("import functools\n@functools.lru_cache(None)\ndef f(x):\n    return x + 1"),
    "decorated, bare": "Well:\nimport functools\n@functools.cache\ndef f(x):\n    return x + 1\nSo it is.",
    "brackets over lines": "So:\nONE = [\n1,\n]\n\ndef f(x):\n    return x + ONE[0]\n",
    "comment at the margin": "So:\ndef f(x):\n    y = x\n# now add\n    return y + 1\n",
    "try": "Hm:\ntry:\n    import nothing_here\nexcept ImportError:\n    pass\n" + F,
    "one line": "```python\ndef f(x): return x + 1\n```",
    "in a line of words": "Use ```python def f(x): return x + 1``` for that.",
    "between backticks": "Take `f = lambda x: x + 1`.",
    "future": "So:\n"
    + fenced("from __future__ import annotations\n\ndef f(x: int) -> int:\n    return x + 1"),
}

@pytest.fixture(scope="module")
def outcomes():
    "Each odd message read with its name, and without; one batch."
    codes = [A.read_answer(text, name).code for text in ODD.values() for name in ("f", "")]
    words = [row[0] for row in sandbox.run(codes, [["assert f(1) == 2"]] * len(codes), workers=1).verdicts]
    return dict(zip(ODD, zip(codes[::2], words[::2], codes[1::2], words[1::2], strict=False), strict=False))

@pytest.mark.parametrize("case", ODD)
def test_an_odd_but_right_message_is_right(case, outcomes):
    code, word, _, _ = outcomes[case]
    assert word == "pass" and A.defines(tree(code), "f") == 2, code

@pytest.mark.parametrize("case", [c for c in ODD if c not in ("lambda", "annotated", "between backticks")])
def test_an_odd_message_is_right_without_a_name_as_well(case, outcomes):
    assert outcomes[case][3] == "pass", outcomes[case][2]


# ------------------------------------------------------------------ what is not the answer, and what is said
# about it

@pytest.mark.parametrize("text",
                         ["<think>\n" + fenced(F), "I cannot do that.", fenced("pip install f", "bash"),
                          fenced("def f(x):\n    return x +"), "", "```", "```python\n```",
                          fenced("print(f(1))"), "<think>"])
def test_no_answer_is_found_where_there_is_none(text):
    found = A.read_answer(text, "f")
    assert not found.found and A.defines(tree(found.code), "f") == 0

def test_what_was_cut_is_said():
    cut = lambda text, name="f": set(A.read_answer(text, name).cut)
    assert cut(F) == set() and cut(fenced(F)) == {"fence"} and cut("Sure:\n" + fenced(F)) == {"fence",
        "prose"}
    assert cut("<think>a</think>"
               + F) == {"draft"} and cut(ODD["session"]) >= {"session"} and cut(ODD["shell first"]) == {
        "fence", "other code"} and cut(ODD["end mark"]) >= {"end mark", "fence"}

def test_a_plain_program_is_kept_to_the_letter():
    for text in (F, "# c\n\n\n" + F + "  # so\n\nprint(f(1))", "x = 1", ""):
        assert A.read_answer(text).code == text
    assert A.read_answer(OLD + "\n\n" + F, "f").code == OLD + "\n\n" + F

@pytest.mark.parametrize("text, code",
                         [("```js\nlet x = 1\n```\n", "let x = 1"),
                          ("```bash\nnpm i\n```\n```js\nlet x = 1\n```\n", "let x = 1"),
                          ("no code", "no code"), ("```sql\nSELECT 1\n```", "SELECT 1")])
def test_another_language_is_shown_as_it_is(text, code): assert A.read_answer(text).code == code


# ------------------------------------------------------------------ whole functions and bodies

PROMPT = ('from typing import List\nimport math\n\n\ndef g(x: List[int]) -> int:\n    return len(x)\n\n\ndef '
          'f(x: List[int]) -> int:\n    """ How many, and one.\n    >>> f([2])\n    2\n    """\n')
WHOLE = "def f(x: List[int]) -> int:\n    return math.floor(g(x)) + 1"
BODY = "    n = g(x)\n    return math.floor(n) + 1"
EITHER = {
    "function": WHOLE, "function, fenced": "Sure.\n" + fenced(WHOLE),
    "prompt repeated": fenced(PROMPT + BODY),
    "function with its own imports": "import math\nfrom typing import List\n\n" + WHOLE,
    "function with its own helper": "def g(x):\n    return len(x)\n\n" + WHOLE,
    "future": "from __future__ import annotations\n" + WHOLE, "body": BODY,
    "body, fenced": "The body:\n" + fenced(BODY),
    "body, first line stripped": BODY.lstrip(), "body, first line stripped, fenced": fenced(BODY.lstrip()),
    "body at the margin": "n = g(x)\nreturn math.floor(n) + 1",
    "body at the margin, fenced": fenced("n = g(x)\nreturn math.floor(n) + 1"),
    "one line": "return g(x) + 1", "body, then words": BODY + "\n\nThis counts them.",
    "body, then a closing fence": BODY + "\n```\n\nThis counts.",
    "words, then body": "Continue with:\n\n" + BODY + "\n\nSo it is.",
    "tabs": "\tn = g(x)\n\treturn n + 1", "body after a draft": "<think>hm</think>\n" + BODY,
    "indented as in a class": indent(BODY), "crlf": fenced(BODY).replace("\n", "\r\n"),
    "body and an example": BODY + "\n\nprint(f([1]))\n"}

@pytest.mark.parametrize("prompt",
                         [PROMPT, PROMPT.rstrip("\n"), PROMPT.partition('    """')[0],
                          PROMPT.partition('    """')[0].rstrip("\n")],
                         ids=["docstring", "no line end", "head", "head, no line end"])
def test_functions_and_bodies_are_read_in_both_forms(prompt):
    made = {case
            + form: (A.read_answer(text, "f", prompt, form).code if form == "solution" else prompt
                     + A.read_answer(text, "f", prompt, form).code) for case,
            text in EITHER.items() for form in ("solution", "completion")}
    words = sandbox.run(list(made.values()), [["assert f([5]) == 2"]] * len(made), workers=1).verdicts
    assert {case: made[case] for case, row in zip(made, words, strict=False) if row != ["pass"]} == {}

@pytest.mark.parametrize("text",
                         ["I cannot.", "Sorry", "    pass", "```python\n```", "def h(x):\n    return 2", ""])
def test_no_body_is_made_of_words(text): assert not A.read_answer(text, "f", PROMPT).found


# ------------------------------------------------------------------ tests of every shape: how many, each
# passes with F and fails without

UNIT = ("import unittest\n\nclass TestF(unittest.TestCase):\n    def setUp(self):\n        self.one = 1\n\n  "
        "  def test_one(self):\n        self.assertEqual(f(self.one), 2)\n\n    def test_two(self):\n  "
        "      for i in range(3):\n            with self.subTest(i=i): self.assertTrue(f(i) == i + 1)\n")
SHAPES = {
    "plain": ("assert f(1) == 2\nassert f(2) == 3", 2),
    "brackets": ("assert(f(1) == 2)\nassert (f(2) == 3)", 2),
    "message": ("assert f(1) == 2, 'one'\nassert f(2) == 3, f'{2}'", 2),
    "fenced": ("Tests:\n" + fenced("assert f(1) == 2") + "and\n" + fenced("assert f(2) == 3"), 2),
    "over lines": ("assert f(\n    1\n) == 2\nassert f(2) == \\\n    3\nassert (\n    f(3) == 4\n)", 3),
    "condition and message in brackets": ("assert (f(1) == 2, 'one')\nassert(f(2) == 3, f'{2}')", 2),
    "set-up": ("x = 1\ny = 2\nassert f(x) == y\nx = 5\nassert f(x) == 6", 2),
    "shared set-up": ("cases = [1, 2]\nassert f(cases[0]) == 2\nassert f(cases[1]) == 3", 2),
    "state": ("x = []\nx.append(1)\nassert f(x[0]) == 2\nx.append(2)\nassert f(x.pop()) == 3\nassert "
              "f(x.pop()) == 2", 3),
    "loop": ("for a, b in [(1, 2), (2, 3)]:\n    assert f(a) == b", 1),
    "test functions": ("def test_one():\n    assert f(1) == 2\n\ndef test_two():\n    x = 2\n    assert f(x) "
                       "== 3\n", 2),
    "called": ("def test_one():\n    assert f(1) == 2\n\ntest_one()\nprint('all passed')", 1),
    "main": ("def test_one():\n    assert f(1) == 2\n\nif __name__ == '__main__':\n    test_one()\n    "
             "print('ok')", 1),
    "asserts in main": ("if __name__ == '__main__':\n    assert f(1) == 2\n    assert f(2) == 3", 2),
    "many in one": ("def run_tests():\n    assert f(1) == 2\n    assert f(2) == 3\nrun_tests()", 1),
    "check": ("def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(2) == 3\n\ncheck(f)",
              1), "helper": ("def same(a, b):\n    assert f(a) == b\n\nsame(1, 2)\nsame(2, 3)", 2),
    "unittest": (UNIT + "\nif __name__ == '__main__':\n    unittest.main()", 2),
    "unittest at the margin": (UNIT + "\nunittest.main()", 2),
       "unittest, import of a name": (UNIT.replace("import unittest",
                                                   "from unittest import TestCase").replace(
       "unittest.TestCase", "TestCase"), 2),
    "unittest without import": (UNIT.replace("import unittest\n", ""), 2),
    "set up for the class": ("import unittest\nclass T(unittest.TestCase):\n    @classmethod\n    def "
                             "setUpClass(cls): cls.x = 1\n    def test_a(self): "
                             "self.assertEqual(f(self.x), 2)", 1),
    "test class": ("class TestF:\n    def setup_method(self): self.x = 1\n    def test_one(self):\n        "
                   "assert f(self.x) == 2\n    def test_two(self): assert f(2) == 3", 2),
    "parametrized": ("import pytest\n\n@pytest.mark.parametrize('x, y', [(1, 2), (2, 3), pytest.param(3, 4, "
                     "id='three')])\ndef test_f(x, y):\n    assert f(x) == y", 3),
    "parametrized by one": ("import pytest\n@pytest.mark.parametrize('x', [1, 2])\ndef test_f(x): assert "
                            "f(x) == x + 1", 2),
    "raises": ("import pytest\ndef test_bad():\n    with " "pytest.raises(TypeError):\n        f('a')\n", 1),
    "raises at the margin": ("from pytest import raises\nwith raises(TypeError, match='str'):\n    f('a')",
                             1),
    "approx": ("import pytest\ndef test_f():\n    assert f(.5) == pytest.approx(1.5)\n    assert [f(.1)] == "
               "pytest.approx([1.1])", 1),
    "try": ("try:\n    f('a')\n    assert False\nexcept TypeError:\n    pass", 1),
    "async": ("async def test_f():\n    assert f(1) == 2", 1),
    "brings the function": (F + "\n\nassert f(1) == 2\nassert f(2) == 3", 2),
    "imports the function": ("from solution import f\n\nassert f(1) == 2", 1),
    "imports all": ("from my_module import *\nassert f(1) == 2", 1),
    "needs an import": ("import math\nassert f(math.floor(1.5)) == 2\nassert f(math.floor(2.5)) == 3", 2),
    "listed": ("Here are tests:\n1. assert f(1) == 2\n2. assert f(2) == 3\n", 2),
    "dashes": ("- assert f(1) == 2\n- assert f(2) == 3", 2),
    "between backticks": ("1. `assert f(1) == 2`: simple\n2. `assert f(2) == 3` - more", 2),
    "bold and backticks": ("* **One**: `assert f(1) == 2`\n* **Two**: `assert f(2) == 3`", 2),
    "words between": ("First the simple case.\n\nassert f(1) == 2\n\nThen another:\n\nassert f(2) == "
                      "3\n\nThat's all.", 2), "session": (">>> f(1)\n2\n>>> x = 2\n>>> f(x)\n3\n", 2),
    "session in a fence": (fenced(">>> f(1)\n2\n>>> print(f(2))\n3\n", "pycon"), 1),
    "session of asserts": (">>> assert f(1) == 2\n>>> assert f(2) == 3", 2),
    "docstring": (fenced('def f(x):\n    """\n    >>> f(1)\n    2\n    """\n    return x + 1'), 1),
    "comments": ("# one\nassert f(1) == 2  # so\n# two\nassert f(2) == 3", 2),
    "prints": ("print(f(1))\nassert f(1) == 2\nprint('done')", 1),
    "cut off": ("assert f(1) == 2\nassert f(2) ==", 1),
    "cut off in a function": ("```python\ndef test_one():\n    assert f(1) == 2\n\ndef test_two():\n    "
                              "assert f(", 1),
    "crlf": ("```python\r\nassert f(1) == 2\r\nassert f(2) == 3\r\n```", 2),
    "draft": ("<think>\nassert f(1) == 7\n</think>\nassert f(1) == 2", 1),
    "semicolons": ("x = 1; assert f(x) == 2; assert f(2) == 3", 2),
    "several": ("import math\nfrom fractions import Fraction as Q\nassert math.isclose(f(.1), 1.1)\nassert "
                "f(Q(1, 2)) == Q(3, 2)", 2),
    "methods of TestCase": ("import unittest\ntc = " "unittest.TestCase()\ntc.assertEqual(f(1), "
                            "2)\ntc.assertEqual(f(2), 3)", 2)}

@pytest.fixture(scope="module")
def checked():
    """Tests of each shape, with and without the function's name: their words with a right, and with a wrong
    function."""
    found = {(case, name): A.read_tests(text, name) for case,
             (text, _) in SHAPES.items() for name in ("f", "")}
    programs = [F, "def f(x):\n    return None"]
    words = sandbox.run([p for _ in found for p in programs],
                        [tests for tests in found.values() for _ in programs], workers=1).verdicts
    return {key: (tests, words[2 * i], words[2 * i + 1]) for i, (key, tests) in enumerate(found.items())}

@pytest.mark.parametrize("name", ["f", ""], ids=["named", "unnamed"])
@pytest.mark.parametrize("case", SHAPES)
def test_every_shape_of_test_is_read(case, name, checked):
    tests, right, wrong = checked[case, name]
    assert len(tests) == SHAPES[case][1] and set(right) == {"pass"}, "\n---\n".join(tests)
    assert "pass" not in wrong, "\n---\n".join(t for t, w in zip(tests, wrong, strict=False) if w == "pass")

def test_tests_that_need_the_name():
    assert len(A.read_tests("def check(candidate):\n    assert candidate(1) == 2",
                            "f")) == 1 and A.read_tests(
        "def check(candidate):\n    assert candidate(1) == 2") == []
    assert A.read_tests("f(1) == 2\nprint(f(2))\nf(3)", "f") == ["assert f(1) == 2"]

@pytest.mark.parametrize("text",
                         ["", "no tests", "print(f(1))", "f(1)", fenced(F), "assert f(1) ==",
                          "import unittest\nunittest.main()", "@pytest.fixture\ndef test_x(): assert 1"])
def test_no_tests_are_made_of_nothing(text): assert A.read_tests(text, "f") == []

def test_most(): assert len(A.read_tests("assert f(1) == 2\n" * 30, "f", 7)) == 7


# ------------------------------------------------------------------ text that would harm a parser

HARM = {"minus": "assert f(1) == " + "-" * 250 + "1", "sum": "assert f(1) == " + "1+" * 400 + "1",
        "not": "assert " + "not " * 300 + "f(1)", "long minus": "assert f(1) == " + "-" * 5000 + "1",
        "attributes": "assert f(1)" + ".a" * 400 + " == 1", "calls": "f" + "(1)" * 500,
        "strings": "assert f(1) == " + "'a'" * 3000, "brackets": "(" * 100_000, "fences": "```\n" * 30_000,
        "python fences": "```python\n" * 20_000, "quotes": "'''\n" * 50_000, "blanks": " " * 500_000 + "```",
        "backticks": "`" * 300_000, "backtick words": "` a " * 50_000,
        "prompts": ">>> f(1)\n" * 20_000, "open prompts": ">>> (\n" * 20_000, "tags": "<think>\n" * 30_000,
        "closing tags": "</think>\n" * 30_000, "words": "so it is\n" * 50_000,
        "open words": "so (it is\n" * 30_000, "asserts": "assert f(1) == 2\n" * 11_000,
        "functions": "def f(x):\n    return x\n" * 8_000, "decorators": "@a\n" * 60_000,
        "lists": "1. " * 60_000, "quotation": ">" * 300_000, "no text": "\0\ud800\x0c",
        "deep blocks": "".join(" " * i + "if x:\n" for i in range(90)) + "\n",
        "deep words": "".join(" " * i + "so it is\n" for i in range(600)),
        "markdown": "````markdown\n" * 3000,
        "fences of all lengths": "".join("`" * n + "markdown\n" for n in range(400, 2, -1)),
        "set-ups": "x = 1\nx.append(x)\n" * 1500 + "assert f(x)\n" * 400}

@pytest.mark.parametrize("case", HARM)
def test_nothing_harms_the_reader(case):
    begun = time.process_time()
    for text in (HARM[case], fenced(HARM[case])):
        A.read_answer(text), A.read_answer(text, "f", PROMPT), A.read_tests(text, "f")
    assert time.process_time() - begun < 40   # six readings


# ------------------------------------------------------------------ files of answers

def problems_of(name):
    try: return B.load(name, B.find(name, DATA))
    except BenchmarkError as e: pytest.skip(str(e))

@pytest.mark.parametrize("name",
                         ["humaneval", "humaneval+", "mbpp", "mbpp+", "ds1000", "bigcodebench",
                          "livecodebench"])
@pytest.mark.parametrize("form", ["completion", "solution"])
def test_what_is_written_is_what_is_read(name, form, tmp_path, recwarn):
    from codedpo_nb import formats
    problems = [p for p in problems_of(name) if p["canonical"].strip() or name == "livecodebench"][:60]
    text = (lambda p: p["prompt"] + p["canonical"] if form == "solution" and p["form"] == "completion"
            else p["canonical"] or "print(1)")
    rows = [dict(task_id=p["task_id"], k=0, answer=text(p), form=form) for p in problems]
    formats.write_samples(tmp_path/"a.jsonl", rows)
    read = formats.read_samples(tmp_path/"a.jsonl", problems)
    formats.write_generations(tmp_path/"a.json", read, problems)
    back = formats.read_generations(tmp_path/"a.json", problems)
    formats.write_generations(tmp_path/"b.json", back, problems)
    assert (tmp_path/"a.json").read_bytes() == (tmp_path/"b.json").read_bytes() and formats.read_generations(
        tmp_path/"b.json", problems) == back
    known = {p["task_id"]: p for p in problems}
    assert [B.assemble(known[r["task_id"]], r["answer"], r["form"])
            for r in back] == [B.assemble(known[r["task_id"]], r["answer"], r["form"]) for r in read]
    assert [r["answer"] for r in read] == [r["answer"] for r in rows] and not recwarn.list

def test_a_file_of_messages_is_read_with_a_warning(tmp_path):
    from codedpo_nb import formats
    problems = [B.problem(f"D/{i}", "demo", f'import math\n\ndef f{i}(x):\n    "Add {i}."\n', f"f{i}",
                          [f"assert f{i}(1) == {1 + i}"], f"    return x + {i}\n", form="completion")
                for i in range(5)]
    problems.append(B.problem("D/5", "mbpp", "Write f5 that adds 5.", "f5", ["assert f5(1) == 6"],
                              "def f5(x):\n    return x + 5"))
    said = [lambda n: f"Sure!\n{fenced(f'def {n}(x):{chr(10)}    return math.floor(x) + {n[1]}')}",
            lambda n: f"<think>hm</think>\ndef {n}(x):\n    return x + {n[1]}",
            lambda n: f"    return x + {n[1]}",
            lambda n: f"def {n}(x):\n    return x + {n[1]}", lambda n: f"```\n    return x + {n[1]}\n```",
            lambda n: f"def {n}(x):\n    return x + {n[1]}\n"]
    for field in ("completion", "solution"):
        (tmp_path/"a.jsonl").write_text(
            "".join(json.dumps({"task_id": p["task_id"], field: make(p["entry_point"])}) + "\n" for p,
                    make in zip(problems, said, strict=False)))
        with pytest.warns(UserWarning, match=r"a\.jsonl: [34] of 6 answers are messages and no programs: "
                          r".*fence \(2\)"):
            rows = formats.read_samples(tmp_path/"a.jsonl", problems)
        assert all(r["base"] for r in formats.score(problems, rows))


# ------------------------------------------------------------------ other languages: the canonical function
# in odd messages

def rows_of(language):
    try: return {int(r["task_id"].split("/")[1]): r for r in L.load_humanevalpack(language, DATA)}
    except BenchmarkError as e: pytest.skip(str(e))

def parts_of(row):
    "The canonical function without and with what stands before it, and its body."
    head, body = row["declaration"], row["canonical_solution"]
    whole = head.rstrip() + "\n" + body.strip("\n")
    at = whole.rfind("\n", 0, L._place(row, whole).start() + 1) + 1
    return whole[at:].rstrip() + "\n", whole + "\n", body

INFO = dict(js="javascript", java="java", cpp="cpp", go="go", rust="rust")
USE = dict(js="console.log({0});", java="public class Main {{\n    public static void main(String[] args) "
           "{{\n        System.out.println(1);\n    }}\n}}", cpp="int main() {{\n    return 0;\n}}",
           go="func main() {{\n}}", rust="fn main() {{\n    println!(\"{{}}\", 1);\n}}")

def messages(language, row):
    "Odd but right messages by name."
    alone, whole, body = parts_of(row)
    if language == "java": alone = alone.rstrip().removesuffix("}").rstrip() + "\n"
    info, use = INFO[language], USE[language].format(row["entry_point"])
    said = {"fenced": fenced(whole, info), "capital": fenced(whole, info.capitalize()),
            "braces": fenced(whole, "{" + info + "}"), "no info": fenced(whole, ""),
            "tildes": fenced(whole, info, "~~~"),
            "crlf": ("So:\n" + fenced(whole, info)).replace("\n", "\r\n"),
            "title": fenced(whole, info + ' title="a"'), "unclosed": "Here:\n```" + info + "\n" + whole,
            "closing only": whole + "```\n\nThis is it.\n",
            "shell first": fenced("install it", "bash") + fenced(whole, info),
            "output last": fenced(whole, info) + fenced("true", "text"),
            "think": "<think>\n" + fenced(whole.replace("return", "return return"), info) + "</think>\n"
            + fenced(whole, info),
            "draft first": fenced(whole.replace("return", "return return"), info) + "Better:\n"
            + fenced(whole, info), "in a list": "1. So:\n\n   " + fenced(whole, info).replace("\n", "\n   "),
            "use last": fenced(whole, info) + "Use:\n" + fenced(use, info), "bare": whole,
            "words around": "Sure, here it is:\n\n" + whole + "\nThis solves it.\n",
            "the function alone": fenced(alone, info), "body": fenced(body, info), "bare body": body,
            "end mark": fenced(whole, info) + "<|im_end|>\n"}
    more = dict(js={"exported": fenced("export " + alone, info),
                    "module": fenced(whole + f"\nmodule.exports = {{ {row['entry_point']} }};", info)},
                java={"public class": fenced(whole.replace("class Solution", "public class Solution"), info),
                      "another class": fenced(whole.replace("class Solution", "public class Answer"), info),
                      "package": fenced("package a.b;\n" + whole, info),
                      "main beside": fenced(whole + "\n" + use, info),
                      "method with imports": fenced("import java.util.*;\n\n" + alone, info),
                      "static": fenced("import java.util.*;\n"
                                       + alone.replace("public ", "public static ", 1), info)},
                cpp={"main below": fenced(whole + "\n" + use, info),
                     "main above": fenced("#include <string>\n" + use + "\n" + whole, info),
                     "c++": fenced(whole, "c++")},
                go={"package": fenced("package main\n\n" + alone, info),
                    "another package": fenced("package solution\n\n" + alone, info)},
                rust={"main": fenced(whole + "\n" + use, info), "public": fenced("pub " + alone, info),
                      "use again": fenced("use std::collections::HashMap;\n" + alone, info),
                      "own tests": fenced(alone + "\n#[cfg(test)]\nmod tests {\n    use super::*;\n    "
                                          "#[test]\n    fn a() { assert!(true); }\n}\n", info)})
    return said | more[language]

@pytest.mark.parametrize("language", list(INFO))
def test_odd_messages_are_right_in_other_languages(language):
    if reason := L.missing(language): pytest.skip(f"not run: {reason}")
    known, made = rows_of(language), {}
    for number in (10, 4):
        for case, text in messages(language, known[number]).items():
            made[f"{number} {case}"] = L.answer_and_tests(known[number],
                                                          L.complete(known[number], text, chat=True))
    distinct = {json.dumps(p): p for p in made.values()}
    words = dict(zip(distinct,
                     L.run_programs(list(distinct.values()), language,
                                    limits=sandbox.Limits(cpu=10, first=0, wall=60, memory=1024), workers=1),
                     strict=False))
    assert {case: (words[json.dumps(p)], p) for case,
            p in made.items() if words[json.dumps(p)] != "pass"} == {}

@pytest.mark.parametrize("case", EITHER)
def test_python_of_humanevalpack_is_read_as_any_other(case):
    row = dict(language="python", entry_point="f", prompt=PROMPT, declaration=PROMPT.partition('    """')[0],
               test="")
    assert sandbox.run([L.complete(row, EITHER[case], chat=True)], [["assert f([5]) == 2"]],
                       workers=1).verdicts == [["pass"]]

def test_a_use_of_the_function_is_no_definition_of_it():
    row = dict(language="js", entry_point="f", prompt="const f = (x) => {\n",
               declaration="const f = (x) => {\n", test="")
    assert L.complete(row,
                      fenced("const f = (x) => {\n  return x;\n}", "js")
                      + fenced("console.log(f(1)); if (f(2)) { }", "js"),
                      chat=True).startswith("const f = (x) => {\n  return x;")


# ------------------------------------------------------------------ canonical solutions in messages

@pytest.mark.parametrize("name, form",
                         [("humaneval", "solution"), ("humaneval", None), ("mbpp", "solution"),
                          ("mbpp", None)])
def test_canonical_solutions_in_messages_pass(name, form):
    made = []
    for p in problems_of(name)[::4]:
        code = (p["prompt"] * (p["form"] == "completion") + p["canonical"]).strip("\n")
        said = [fenced(code), "Sure:\n\n" + code + "\nDone it is.",
                "So\r\n" + fenced(code).replace("\n", "\r\n"),
                fenced(code) + "Use:\n" + fenced(f"print({p['entry_point']})"), "<think>hm</think>" + code]
        if name == "humaneval":
            said += ([fenced(p["canonical"].strip("\n")), p["canonical"].strip()] if form
                     else [fenced(p["canonical"].strip("\n")), p["canonical"]])
        made += [(p["task_id"], text, B.assemble(p, B.answer_in(p, text, form), form), p["tests"][:1])
                 for text in said]
    words = sandbox.run([program for *_, program, _ in made], [tests for *_, tests in made],
                        limits=sandbox.Limits(cpu=10), workers=1).verdicts
    assert [(task, text) for (task, text, _, _),
            row in zip(made, words, strict=False) if row != ["pass"]] == []

def test_canonical_answers_to_ds1000_in_messages_are_found():
    for p in problems_of("ds1000"):
        code = p["canonical"].strip("\n")
        for text in ("Here you go:\n\n" + fenced(code) + "Done.",
                     fenced("pip install x", "bash") + fenced(code)):
            assert B.answer_in(p, text).strip("\n") == code, p["task_id"]


@pytest.mark.parametrize("case", HARM)
def test_nothing_harms_the_stages(case):
    from codedpo_nb import efficiency, pairs, seed, selfverify
    from codedpo_nb.training import curation
    from codedpo_nb.world import sampling
    text = HARM[case][:20_000]
    for read in (sampling.extract_code, sampling.extract_tests, seed.parses, curation.parses,
                 curation.language, pairs.canonical_source, longest_code):
        read(text), read(fenced(text))
    (selfverify.distinct_tests([text], "f"), selfverify.sampled_assertions([text]),
     efficiency.calls_of(text, "f"))
    for row in [dict(language=l, entry_point="f", prompt="f", declaration="f", test="") for l in L.LANGUAGES]:
        L.complete(row, text, chat=True)
    for benchmark, form in (("humaneval", "completion"), ("mbpp", "solution"), ("ds1000", "quoted"),
                            ("livecodebench", "quoted"), ("bigcodebench", "completion")):
        for asked in (None, "solution"):
            B.answer_in(dict(benchmark=benchmark, form=form, prompt=PROMPT, entry_point="f"), text,
                        None if form == "quoted" else asked)

@pytest.mark.parametrize("text", ["x = [f(1)]\n" + "x = [x, x]\n" * 60, "x = f(1)\n" + "x = f(x)\n" * 300])
def test_variables_that_hold_each_other_are_filled_in_up_to_a_bound(text):
    from codedpo_nb import efficiency
    assert "f(1)" in efficiency.calls_of(text, "f")
