"Programs and tests in what models write: odd but right messages, wrong ones, and text that would harm a parser."
import json, os, time
from pathlib import Path

import pytest

from codedpo_nb import answers as A, benchmarks as B, languages as L, sandbox
from codedpo_nb.benchmarks import BenchmarkError

DATA = Path(os.environ.get("CODEDPO_DATA") or Path(__file__).resolve().parents[2]/"shared"/"data")
F = "def f(x):\n    return x + 1"
OLD = "def f(x):\n    return x"
DOC = 'def f(x):\n    """Add one.\n\n    ```\n    f(1)\n    ```\n    """\n    return x + 1'
MARGIN = 'def f(x):\n  """Add one.\n\n```\nf(1)\n```\n"""\n  return x + 1'


def fenced(code, info="python", mark="```"): return f"{mark}{info}\n{code}\n{mark}\n"
def indent(text, by="    "): return "".join(by + line if line.strip() else line for line in text.splitlines(True))


# ------------------------------------------------------------------ programs, by name: each must define f with f(1) == 2

ODD = {
    "bare": F, "fenced": fenced(F), "no info": fenced(F, ""), "braces": fenced(F, "{python}"), "title": fenced(F, 'python title="x.py"'), "py3": fenced(F, "py3"),
    "capital": fenced(F, "Python"), "space before info": fenced(F, " python"), "pandoc": fenced(F, "{.python .numberLines}"), "file name": fenced(F, "solution.py"),
    "tildes": fenced(F, "python", "~~~"), "four": fenced(F, "python", "````"), "unknown info": fenced(F, "code"), "trailing blanks": "```python  \n" + F + "\n```  \n",
    "crlf": fenced(F).replace("\n", "\r\n"), "lone cr": ("Sure:\n" + fenced(F)).replace("\n", "\r"), "byte order mark": "\ufeff" + F, "unclosed": "Here:\n```python\n" + F,
    "closing only": F + "\n```\n\nThis adds one.\n", "closing only, then an example": F + "\n```\n\nExample:\n```python\nprint(f(1))\n```\n", "longer closing": "```python\n" + F + "\n`````\n",
    "shorter inside": "````python\n" + F.replace("    return", '    """\n```\n"""\n    return') + "\n````\n", "in a list": "1. Define it:\n\n   ```python\n" + indent(F, "   ") + "\n   ```\n2. Done.\n",
    "list sign before the fence": "- ```python\n" + indent(F, "  ") + "\n  ```\n", "indented by three": indent(fenced(F), "   "), "indented by a tab": indent(fenced(F), "\t"),
    "quoted": indent("Sure:\n" + fenced(F), "> ").replace("\n```", "\n> ```"), "closing fence glued": "```python\n" + F + "```\nThat is it.", "opening fence glued": "The code: ```python\n" + F + "\n```",
    "in markdown": fenced("# Title\n" + fenced(F), "markdown", "````"), "docstring with a fence": fenced(DOC), "docstring with a fence, bare": DOC, "docstring with a fence at the margin": fenced(MARGIN),
    "docstring with a fence at the margin, bare": MARGIN, "tilde fence with backticks inside": fenced(MARGIN, "python", "~~~"),
    "shell first": fenced("pip install numpy", "bash") + fenced(F), "shell without info first": fenced("pip install numpy", "") + fenced(F), "output last": fenced(F) + "Output:\n" + fenced("2", ""),
    "example last": fenced(F) + "Use:\n" + fenced("print(f(1))"), "example that imports last": fenced(F) + fenced("from solution import f\nprint(f(1))"), "json last": fenced(F) + fenced('{"f": 2}', "json"),
    "result named after the function last": fenced(F) + fenced("y = f(1)\nassert y == 2"), "tests last": fenced(F) + fenced("def test_f():\n    assert f(1) == 2"),
    "draft first": fenced(OLD) + "That is wrong. Rather:\n" + fenced(F), "stub first": fenced("def f(x):\n    ...") + fenced(F), "stub last": fenced(F) + "Fill in:\n" + fenced("def f(x):\n    # your code here\n    pass"),
    "broken last": fenced(F) + fenced("def f(x):\n    return (x", "python"), "cut off below": "```python\n" + F + "\n\ndef g(x):\n    return (", "cut off below, bare": F + "\n\ndef g(x):\n    return (",
    "never closed, then another": "```python\n" + OLD + "\n\nBetter:\n```python\n" + F + "\n```",
    "helper apart": fenced("def g(x):\n    return x") + "and\n" + fenced("def f(x):\n    return g(x) + 1"), "helper below": fenced("def f(x):\n    return g(x) + 1") + fenced("def g(x):\n    return x"),
    "three parts": fenced("import math") + fenced("def g(x):\n    return math.floor(x)") + fenced("def f(x):\n    return g(x) + 1"), "constant apart": fenced("ONE = 1") + fenced("def f(x):\n    return x + ONE"),
    "star apart": fenced("from math import *") + fenced("def f(x):\n    return floor(x) + 1"),
    "think": "<think>\nSo " + fenced(OLD) + "</think>\n" + fenced(F), "thinking": "<thinking>x</thinking>" + F, "reasoning": "<reasoning>\n" + OLD + "\n</reasoning>\n\n" + F, "think without opening": fenced(OLD) + "so\n</think>\n\n" + fenced(F),
    "think with an open fence": "<think>\n```python\n" + OLD + "\n</think>\n" + fenced(F), "two drafts": "<think>a</think>\n<think>\n" + OLD + "\n</think>\n" + F, "think in capitals": "<THINK>\n" + OLD + "\n</THINK>\n" + F,
    "answer tag": "<think>hm</think>\n<answer>\n" + fenced(F) + "</answer>", "answer tag without fence": "<answer>" + F + "</answer>", "end mark": fenced(F) + "<|im_end|>\n<|im_start|>user\n" + fenced(OLD),
    "channels": "<|channel|>analysis<|message|>" + fenced(OLD) + "<|end|><|start|>assistant<|channel|>final<|message|>" + fenced(F), "tag in a string": "def f(x):\n    tag = '''\n<think>\n'''\n    return x + 1",
    "tag in a fenced string": "So:\n" + fenced("def f(x):\n    tag = '''\n<think>\n'''\n    return x + 1"),
    "session": ">>> def f(x):\n...     return x + 1\n...\n>>> f(1)\n2", "session in a fence": fenced(">>> def f(x):\n...     return x + 1\n... \n>>> f(1)\n2\n>>> f('a')\nTraceback (most recent call last):\n  ...\nTypeError: no", "pycon"),
    "session with words": "Try it:\n\n>>> def f(x):\n...     return x + 1\n>>> f(1)\n2\n\nIt works.", "notebook": "In [1]: def f(x):\n   ...:     return x + 1\n   ...: \n\nIn [2]: f(1)\nOut[2]: 2",
    "words around": "Sure! Here's the function:\n\n" + F + "\n\nIt adds 1 (one) to x.", "words that parse around": "Sure\n" + F + "\nDone", "label that parses": "Solution: here\n" + F, "indented code block": "Here it is:\n\n" + indent(F) + "\n\nDone it is.",
    "words between": "First, a helper:\n\ndef g(x):\n    return x\n\nThen the function:\n\ndef f(x):\n    return g(x) + 1\n\nThat's it.", "words below, indented": F + "\n\n    This adds one to x.",
    "language's name first": "python\n" + F, "lambda": fenced("f = lambda x: x + 1"), "annotated": fenced("f: object = lambda x: x + 1"), "class": fenced("class f(int):\n    def __new__(cls, x): return x + 1"),
    "decorated": "Well:\n" + fenced("import functools\n@functools.lru_cache(None)\ndef f(x):\n    return x + 1"), "decorated, bare": "Well:\nimport functools\n@functools.cache\ndef f(x):\n    return x + 1\nSo it is.",
    "brackets over lines": "So:\nONE = [\n1,\n]\n\ndef f(x):\n    return x + ONE[0]\n", "comment at the margin": "So:\ndef f(x):\n    y = x\n# now add\n    return y + 1\n", "try": "Hm:\ntry:\n    import nothing_here\nexcept ImportError:\n    pass\n" + F,
    "one line": "```python\ndef f(x): return x + 1\n```", "in a line of words": "Use ```python def f(x): return x + 1``` for that.", "between backticks": "Take `f = lambda x: x + 1`.", "future": "So:\n" + fenced("from __future__ import annotations\n\ndef f(x: int) -> int:\n    return x + 1"),
}

@pytest.fixture(scope="module")
def outcomes():
    "Each odd message read with its name, and without; one batch."
    codes = [A.read_answer(text, name).code for text in ODD.values() for name in ("f", "")]
    words = [row[0] for row in sandbox.run(codes, [["assert f(1) == 2"]] * len(codes), workers=1).verdicts]
    return dict(zip(ODD, zip(codes[::2], words[::2], codes[1::2], words[1::2])))

@pytest.mark.parametrize("case", ODD)
def test_an_odd_but_right_message_is_right(case, outcomes):
    code, word, _, _ = outcomes[case]
    assert word == "pass" and A.defines(A.tree(code), "f") == 2, code

@pytest.mark.parametrize("case", [c for c in ODD if c not in ("lambda", "annotated", "between backticks")])
def test_an_odd_message_is_right_without_a_name_as_well(case, outcomes):
    assert outcomes[case][3] == "pass", outcomes[case][2]
