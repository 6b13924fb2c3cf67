"""Records, loaders, oracles and pass@k; the public data sets where they are present (CODEDPO_DATA, or
../shared/data)."""
import base64
import copy
import gzip
import hashlib
import http.server
import itertools
import json
import math
import os
import pickle
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codedpo_nb import benchmarks as B
from codedpo_nb import sandbox, suites
from codedpo_nb.problems import oracles, sources
from codedpo_nb.problems.record import literal, validate

DATA = Path(os.environ.get("CODEDPO_DATA") or Path(__file__).resolve().parents[2]/"shared"/"data")
SIZES = {"humaneval": 164, "humaneval+": 164, "mbpp": 974, "mbpp-sanitized": 427, "mbpp+": 378}
MBPP = dict(task_id=7, text="Add one.", code="def helper(): pass\ndef inc(x): return x + 1",
            test_list=["assert inc(1) == 2"],
            test_setup_code="", challenge_test_list=["assert inc(-1) == 0"])
SANITIZED = dict(task_id=8, prompt="Square root.", code="def root(x): return math.sqrt(x)",
                 test_imports=["import math"],
                 test_list=["assert math.isclose(root(4), 2)"])
HUMANEVAL = dict(task_id="HumanEval/0", prompt="def inc(x):\n", entry_point="inc",
                 canonical_solution="    return x + 1\n",
                 test="def check(candidate):\n    assert candidate(1) == 2\n")
PLUS = dict(task_id="HumanEval/1", prompt="def half(x):\n", entry_point="half",
            canonical_solution="    return x / 2\n",
            base_input=[[1.0]], plus_input=[[3], [10]], atol=0)


@pytest.fixture(scope="module")
def load():
    "Load a benchmark once, or skip with the reason."
    cache = {}
    def get(name):
        if name not in cache:
            try: path = B.find(name, DATA)
            except B.BenchmarkError as e: pytest.skip(str(e))
            cache[name] = B.load(name, path)
        return cache[name]
    return get


# EvalPlus gives 4 GB, and at least 4 s an input
LIMITS = sandbox.Limits(cpu=20, first=1, wall=60, memory=4096)

@pytest.fixture(scope="module")
def verdicts():
    "Which tests of a program pass, in the sandbox."
    with sandbox.Pool() as pool:
        yield (lambda program,
               tests: [v == "pass"
                       for v in sandbox.run([program], [tests], limits=LIMITS, pool=pool).verdicts[0]])


def lines(path, *rows):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


def test_import_is_light():
    code = ("import sys, codedpo_nb.benchmarks; sys.exit(any(m in sys.modules for m in ('torch', 'datasets', "
            "'pandas')))")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# ------------------------------------------------------------------ pass@k

@given(st.integers(1, 9), st.integers(0, 9), st.integers(1, 9))
def test_pass_at_k_counts_subsets(n, c, k):
    c, k = min(c, n), min(k, n)
    draws = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert math.isclose(B.pass_at_k(n, c, k), sum(map(any, draws)) / len(draws), abs_tol=1e-12)


def test_pass_at_k_stays_exact_for_many_samples():
    exact = 1 - math.comb(200 - 7, 100) / math.comb(200, 100)
    assert math.isclose(B.pass_at_k(200, 7, 100), exact, rel_tol=1e-12)
    for bad in ((5, 6, 1), (5, -1, 1), (5, 1, 6), (5, 1, 0)):
        with pytest.raises(ValueError): B.pass_at_k(*bad)


# ------------------------------------------------------------------ records and programs

def test_programs_are_put_together_as_in_the_originals(verdicts):
    p = B.from_humaneval(HUMANEVAL)
    assert B.truth_program(p) == "def inc(x):\n    return x + 1\n"
    assert B.assemble(p, "def inc(x): return 2", form="solution") == "def inc(x): return 2"
    assert verdicts(B.truth_program(p), p["tests"]) == [True] and verdicts(B.assemble(p, "    return x\n"),
        p["tests"]) == [False]
    p = B.from_mbpp(SANITIZED, "mbpp-sanitized")
    assert B.truth_program(p).startswith("import math\n") and verdicts(B.truth_program(p),
        p["tests"]) == [True]
    assert "math.isclose(root(4), 2)" in p["prompt"]


def test_setup_code_of_mbpp_comes_after_the_answer(verdicts):
    row = MBPP | dict(code="class Node: pass\r\ndef kind(n): return type(n).__name__",
                      test_setup_code="node = Node()",
                      test_list=["assert kind(node) == 'Node'"], challenge_test_list=[])
    p = B.from_mbpp(row)
    assert p["entry_point"] == "kind" and verdicts(B.truth_program(p), p["tests"]) == [True]


def judged(p, *answers, form=None):
    return [tuple(w == "pass" for w in pair)
            for pair in suites.judge([p], [list(answers)], form, workers=1)[0]]


def test_helpers_of_the_answer_have_any_names():
    p = B.from_evalplus(PLUS, "humaneval+")
    answer = "    return {0}(x)\n\ndef {0}(x): return x / 2\n\ndef literal(x): return 0\n"
    names = "close check _check _oracle _scope candidate accepts solution copy marshal pack harness".split()
    assert judged(p, *(answer.format(n) for n in names)) == [(True, True)] * len(names)
    assert judged(p, "    return x // 2\n") == [(False, False)]


def test_the_oracle_sees_the_arguments_as_they_were():
    p = B.from_evalplus(PLUS
                        | dict(entry_point="top", prompt="def top(xs):\n",
                               canonical_solution="    return sorted(xs)[-1]\n",
                                    base_input=[[[3, 1, 2]]], plus_input=[[[5, 9]]]), "humaneval+")
    assert judged(p, "    xs.sort()\n    return xs.pop()\n",
                  "    xs.clear()\n    return 3\n") == [(True, True), (True, False)]
    root = B.from_evalplus(PLUS
                           | dict(entry_point="find_zero", prompt="def find_zero(xs):\n",
                                  canonical_solution="    return 1.0\n", base_input=[[[-1, 1]]],
                                  plus_input=[[[-2, 2]]], atol=1e-4), "humaneval+")
    assert judged(root, "    xs.clear()\n    return 0.0\n", "    xs.reverse()\n    return 1.0\n",
                  "    xs[:] = [0]\n    return 7.0\n") == [(False, False), (True, True), (False, False)]


def test_outputs_of_every_kind_are_compared_as_python_compares():
    p = B.from_evalplus(PLUS
                        | dict(canonical_solution="    print('noise')\n    return float('inf') if x > 9 else "
                               "(x / 2, {x})\n"), "humaneval+")
    assert judged(p, p["canonical"], "    return float('inf')\n") == [(True, True), (False, False)]
    counts = B.from_evalplus(PLUS
                             | dict(canonical_solution="    from collections import Counter\n    return "
                                    "Counter([x])\n"), "humaneval+")
    assert judged(counts, counts["canonical"], "    return {x: 1}\n", "    return {x: 2}\n",
                  "    return [(x, 1)]\n") == [(True, True)] * 2 + [(False, False)] * 2


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4), st.floats(1e-9, 1e-2),
       st.sampled_from([0, 1e-6, 1e-4]))
def test_tolerance_is_that_of_numpy(xs, shift, atol):
    ys = [x + shift * (1 + abs(x)) for x in xs]
    expected = bool(np.allclose(ys, xs, rtol=1e-7, atol=atol or 1e-6))
    assert oracles.agree(ys, xs, atol) == (ys == xs or expected)


def test_types_and_lengths_must_agree():
    assert not oracles.agree((1.0,), [1.0], 1e-6) and not oracles.agree([1.0], [1.0, 2.0],
        1e-6) and not oracles.agree(1, 1.0000001, 0)
    assert oracles.agree([[1.0, 2.0]], [[1.0, 2.0 + 1e-9]], 1e-6) and oracles.agree(None, None, 0)
    with pytest.raises(TypeError): oracles.agree("a", "b", 1e-6)


json_like = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
                         | st.complex_numbers(allow_nan=False, allow_infinity=False)
                         | st.text(max_size=4),
                         lambda x: st.lists(x, max_size=3) | st.lists(x, max_size=3).map(tuple)
                         | st.dictionaries(st.text(max_size=2), x, max_size=2), max_leaves=8)

@given(json_like)
def test_literals_evaluate_to_the_value(x):
    assert eval(literal(x)) == x and type(eval(literal(x))) is type(x)


def test_stop_sequences():
    assert B.cut("    return 1\n\nprint(2)", B.STOPS["humaneval"]) == "    return 1\n"
    assert B.cut("def f(): pass\nassert f()", B.STOPS["mbpp"]) == "def f(): pass"


def test_base_counts_alone_and_plus_counts_both():
    p = B.from_mbpp(MBPP)
    assert B.mark(p, [True, False]) == (True, False) and B.mark(p, [False, True]) == (False, False)
    with pytest.raises(B.BenchmarkError, match="1 verdicts for 1 \\+ 1 tests"): B.mark(p, [True])


# ------------------------------------------------------------------ judging

def test_judging_packed_inputs_agrees_with_one_test_an_input():
    "The loop over packed inputs, its sums of long outputs and its second pass say what single tests say."
    p = B.from_evalplus(PLUS
                        | dict(entry_point="many", prompt="def many(n):\n",
                               canonical_solution="    return list(range(n))\n",
                                    base_input=[[3], [9000]], plus_input=[[0], [9001]]), "humaneval+")
    answers = ["    return list(range(n))\n", "    return [float(i) for i in range(n)]\n",
               "    return list(range(min(n, 9000)))\n", "    return range(n)\n"]
    assert judged(p, *answers) == [(True, True), (True, True), (True, False), (False, False)]
    with suites.Court(1) as court:
        for kind, case in zip(("tests", "plus_tests"), suites.ground_truth([p], court)[p["task_id"]],
                              strict=False):
            single = court.run("set", [B.assemble(p, a) for a in answers],
                               [suites.one_by_one(case["item"])] * len(answers), suites.EVALPLUS)
            assert [[word for word, _ in row] for row in single] == [["pass", "pass"], ["pass", "pass"],
                ["pass", "pass" if kind == "tests" else "fail"], ["fail", "fail"]]


def test_a_tolerance_holds_for_later_inputs_as_in_evalplus():
    p = B.from_evalplus(PLUS
                        | dict(canonical_solution="    return x / 2 if x == 1 else x\n",
                               base_input=[[1.0], [10 ** 9]], plus_input=[[10 ** 9]]), "humaneval+")
    [[(base, plus)]] = suites.judge([p], [["    return x / 2 if x == 1 else x + 1\n"]], workers=1)
    assert (base, plus) == ("pass", "fail")   # base inputs hold a float output, plus inputs do not


def test_an_input_may_take_a_second_though_all_take_longer():
    p = B.from_evalplus(PLUS
                        | dict(canonical_solution="    return x\n", base_input=[[i] for i in range(4)],
                               plus_input=[]), "humaneval+")
    slow = ("    import time\n    end = time.thread_time() + .2\n    while time.thread_time() < end: pass\n  "
            "  return x\n")
    assert suites.judge([p], [[slow, slow.replace(".2", "9")]],
                        workers=1) == [[("pass", "pass"), ("timeout", "timeout")]]


LIVE = {  # answers written for this test; the data hold none
    "atcoder/abc301_a": "n, s = input(), input().strip()\nt, a = s.count('T'), s.count('A')\nprint('T' if t > a or t == a and s[-1] == 'A' else 'A')",  # noqa: E501
    "codeforces/1873_A": "for _ in range(int(input())): print('YES' if sum(x != y for x, y in zip(input(), 'abc')) <= 2 else 'no'.upper())",  # noqa: E501
    "leetcode/2727": "class Solution:\n    def countSeniors(self, details: List[str]) -> int: return sum(int(d[11:13]) > 60 for d in details)"}  # noqa: E501

def test_live_code_bench_of_both_kinds():
    path = next(iter(sorted(DATA.rglob("livecodebench/*.jsonl.gz"))), None)
    if path is None: pytest.skip(f"no file of LiveCodeBench in {DATA}")
    problems = [p for p in B.load("livecodebench", path) if p["task_id"] in LIVE]
    found = suites.judge(problems, [[LIVE[p["task_id"]], "print(1)"] for p in problems], workers=1)
    assert {p["difficulty"] for p in problems} <= {"easy", "medium", "hard"}
    assert [[base == "pass" for base, _ in group] for group in found] == [[True, False]] * len(problems)


def test_ds1000_with_the_libraries_that_are_here(load):
    problems = [p for p in load("ds1000") if p["library"] in ("Numpy", "Pandas")][::6]
    assert suites.untrusted(problems, workers=1) == []
    assert all(base != "pass"
               for [(base, _)] in suites.judge(problems[:4], [["result = None"]] * len(problems[:4]),
                                               workers=1))


def test_a_canonical_solution_that_fails_is_named():
    p = B.from_evalplus(PLUS | dict(canonical_solution="    return nowhere\n"), "humaneval+")
    with pytest.raises(B.BenchmarkError, match="HumanEval/1: the canonical solution does not run here "
                       ".error:NameError"):
        suites.judge([p], [[""]], workers=1)


def test_buggy_solutions_fail(load):
    known = {p["task_id"]: p for p in load("humaneval")}
    path = next(iter(sorted(DATA.rglob("humanevalpack/python.jsonl.gz"))), None)
    if path is None: pytest.skip(f"no humanevalpack/python.jsonl.gz in {DATA}")
    rows = [row for _, row in B.read_rows(path)]
    problems = [known[row["task_id"].replace("Python", "HumanEval")] for row in rows]
    found = suites.judge(problems, [[row["prompt"] + row["buggy_solution"]] for row in rows], form="solution")
    assert [row["task_id"] for row, [(base, _)] in zip(rows, found, strict=False) if base == "pass"] == []


# ------------------------------------------------------------------ malformed and missing files

def without(row, field): return {k: v for k, v in row.items() if k != field}

@pytest.mark.parametrize("rows, words", [
    ([MBPP, "{broken"], "line 2 is not JSON"),
    ([MBPP, "[1]"], "line 2 is a JSON list"),
    ([MBPP, "", MBPP], "line 3: field 'task_id' is 'Mbpp/7' again"),
    ([without(MBPP, "code")], "line 1: field 'code' is missing; is this a file of mbpp"),
    ([MBPP | dict(test_list="assert inc(1) == 2")], "line 1: field 'test_list' is str, should be list"),
    ([MBPP | dict(test_list=[1])], "line 1: field 'test_list' item 0 is int, should be str"),
    ([MBPP | dict(test_list=[])], "line 1: no function of field 'code' is called in field 'test_list'"),
    ([MBPP | dict(code=None)], "line 1: field 'code' is NoneType, should be str"),
    ([MBPP | dict(code="")], "line 1: no function of field 'code'"),
    (["", ""], "no problems of mbpp: the file is empty"),
])
def test_malformed_rows_are_named(tmp_path, rows, words):
    with pytest.raises(B.BenchmarkError) as error: B.load("mbpp", lines(tmp_path/"mbpp.jsonl", *rows).parent)
    assert words in str(error.value)


@pytest.mark.parametrize("field, value, words", [
    ("base_input", [1], "field 'base_input' item 0 is int, should be list"),
    ("atol", "0", "field 'atol' is str, should be int or float"),
    ("base_input", [], "field 'tests' is empty"),
    ("entry_point", "a b", "field 'entry_point' is 'a b', not the name of a function"),
    ("task_id", "HumanEval", "the row is not one of humaneval+"),
])
def test_malformed_evalplus_rows(tmp_path, field, value, words):
    path = lines(tmp_path/"HumanEvalPlus.jsonl", PLUS, PLUS | {"task_id": "HumanEval/2", field: value})
    with pytest.raises(B.BenchmarkError) as error: B.load("humaneval+", path)
    assert words in str(error.value) and f"{path} line 2" in str(error.value)


def test_broken_files_and_folders(tmp_path, monkeypatch):
    monkeypatch.delenv("CODEDPO_DATA", raising=False)
    for call, words in [(lambda: B.load("mbpp"), "set CODEDPO_DATA to a folder that holds mbpp.jsonl.gz"),
                        (lambda: B.load("mbpp", tmp_path), "no file of mbpp in"),
                        (lambda: B.load("mbpp", tmp_path/"nowhere"), "does not exist"),
                        (lambda: B.load("humanevil", tmp_path),
                         "unknown benchmark 'humanevil'; there are humaneval,")]:
        with pytest.raises(B.BenchmarkError) as error: call()
        assert words in str(error.value)
    (tmp_path/"mbpp.jsonl.gz").write_bytes(gzip.compress(json.dumps(MBPP).encode())[:-9])
    with pytest.raises(B.BenchmarkError, match="cannot be read .*download it again"): B.load("mbpp", tmp_path)
    (tmp_path/"HumanEval.jsonl").write_bytes(json.dumps(HUMANEVAL).encode() + b'\n{"task_id": "\xff"}\n')
    with pytest.raises(B.BenchmarkError, match="HumanEval.jsonl line 2: field 'task_id' is not text in "
                       "UTF-8"):
        B.load("humaneval", tmp_path)
    (tmp_path/"HumanEval.parquet").write_bytes(b"PAR1")
    with pytest.raises(B.BenchmarkError, match="is not Parquet .*download it again"):
        B.load("humaneval", tmp_path/"HumanEval.parquet")
    (tmp_path/"sanitized-mbpp.json").write_text('{"task_id": 1}')
    with pytest.raises(B.BenchmarkError, match="not a list of objects"): B.load("mbpp-sanitized", tmp_path)
    monkeypatch.setenv("CODEDPO_DATA", str(tmp_path))
    (tmp_path/"sanitized-mbpp.json").write_text(json.dumps([SANITIZED]))
    assert B.load("mbpp-sanitized")[0]["task_id"] == "Mbpp/8"


CASES = [dict(input="1 2\n", output="3\n", testtype="stdin")]
LIVE_ROW = dict(question_id="abc1", question_content="Add.", starter_code="", difficulty="easy",
                metadata="{}", public_test_cases=json.dumps(CASES),
                private_test_cases=base64.b64encode(zlib.compress(pickle.dumps(json.dumps(CASES)))).decode())
FUSION = dict(content="Add.", labels=json.dumps(dict(task_id="x/1", difficulty="easy")),
              test=json.dumps(dict(inputs=["1"], outputs=["1"])))
DS1000 = dict(prompt="Double x.", reference_code="result = 2 * x",
              code_context="def test_execution(code): pass", metadata=dict(problem_id=0, library="Numpy"))
BIGCODE = dict(task_id="BigCodeBench/0", complete_prompt="def inc(x):\n", code_prompt="def inc(x):\n",
               entry_point="inc", canonical_solution="    return x + 1",
               libs="['os']", test="import unittest\nclass TestCases(unittest.TestCase): pass")
ROWS = {"humaneval": HUMANEVAL, "humaneval+": PLUS, "mbpp": MBPP, "mbpp-sanitized": SANITIZED, "mbpp+": PLUS,
        "ds1000": DS1000, "bigcodebench": BIGCODE, "livecodebench": LIVE_ROW}

@pytest.mark.parametrize("name, change, words", [
    ("ds1000", dict(prompt=["a"]), "field 'prompt' is list, should be str"),
    ("ds1000", dict(prompt=None), "field 'prompt' is NoneType, should be str"),
    ("ds1000", dict(code_context=None), "field 'code_context' is NoneType, should be str"),
    ("ds1000", dict(code_context="x = 1"), "field 'code_context' defines no function test_execution"),
    ("ds1000", dict(reference_code=1), "field 'reference_code' is int, should be str"),
    ("ds1000", dict(metadata="{}"), "field 'metadata' is str, should be dict"),
    ("ds1000", dict(metadata={}), "field 'metadata' has no entry 'problem_id'"),
    ("ds1000", dict(metadata=dict(problem_id="0", library="Numpy")),
     "field 'metadata.problem_id' is str, should be int"),
    ("ds1000", dict(metadata=dict(problem_id=1)), "field 'metadata' has no entry 'library'"),
    ("ds1000", {}, "field 'metadata.problem_id' is 'DS-1000/0' again"),
    ("bigcodebench", dict(libs="['os'"), "field 'libs' is"),
    ("bigcodebench", dict(libs="{1: 2}"), "field 'libs' is"),
    ("bigcodebench", dict(libs=["os"]), "field 'libs' is list, should be str"),
    ("bigcodebench", dict(test="def check(): pass"), "field 'test' defines no class TestCases"),
    ("bigcodebench", dict(test=None), "field 'test' is NoneType, should be str"),
    ("bigcodebench", dict(code_prompt=3), "field 'code_prompt' is int, should be str"),
    ("bigcodebench", dict(entry_point="a b"), "field 'entry_point' is 'a b', not the name of a function"),
    ("bigcodebench", {}, "field 'task_id' is 'BigCodeBench/0' again"),
    ("livecodebench", dict(metadata="{"), "field 'metadata' is not JSON"),
    ("livecodebench", dict(metadata="[]"), "field 'metadata' is list, should be dict"),
    ("livecodebench", dict(metadata={}), "field 'metadata' is dict, should be str"),
    ("livecodebench", dict(starter_code=None), "field 'starter_code' is NoneType, should be str"),
    ("livecodebench", dict(public_test_cases="%"), "field 'public_test_cases' is neither JSON nor a "
     "compressed pickle"),
    ("livecodebench", dict(private_test_cases="AAAA"), "field 'private_test_cases' is neither JSON nor a "
     "compressed pickle"),
    ("livecodebench", dict(private_test_cases=base64.b64encode(zlib.compress(b"cos\nsystem\n.")).decode()),
     "field 'private_test_cases': the tests' pickle asks for os.system"),
    ("livecodebench", dict(private_test_cases=base64.b64encode(zlib.compress(pickle.dumps("[1"))).decode()),
     "field 'private_test_cases' is not JSON"),
    ("livecodebench", dict(public_test_cases="{}"), "field 'public_test_cases' is dict, should be list"),
    ("livecodebench", dict(public_test_cases='[{"input": "1"}]'),
     "field 'public_test_cases[0]' has no entry 'output'"),
    ("livecodebench", dict(public_test_cases='[{"input": 1, "output": "2"}]'),
     "field 'public_test_cases[0].input' is int, should be str"),
    ("livecodebench", dict(public_test_cases="[3]"), "field 'public_test_cases[0]' is int, should be dict"),
    ("livecodebench", dict(metadata='{"func_name": "f"}'), "field 'public_test_cases[0].input' is not JSON"),
    ("livecodebench", dict(public_test_cases="[]", private_test_cases="[]"), "field 'tests' is empty"),
    ("livecodebench", {}, "field 'question_id' is 'abc1' again"),
])
def test_malformed_rows_of_the_other_kinds(tmp_path, name, change, words):
    path = lines(tmp_path/"rows.jsonl", ROWS[name], ROWS[name] | change)
    with pytest.raises(B.BenchmarkError) as error: B.load(name, path)
    assert words in str(error.value) and f"{path} line 2" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("change, words", [
    (dict(labels="{}"), "field 'labels' has no entry 'task_id'"),
    (dict(labels="x"), "field 'labels' is not JSON"),
    (dict(test='{"inputs": ["1"], "outputs": []}'), "field 'test' has 1 inputs and 0 outputs"),
    (dict(test='{"inputs": [1], "outputs": ["1"]}'), "field 'test.inputs[0]' is int, should be str"),
    ({}, "field 'labels' is 'x/1' again")])
def test_malformed_rows_in_the_format_of_sandbox_fusion(tmp_path, change, words):
    path = lines(tmp_path/"rows.jsonl", FUSION, FUSION | change)
    with pytest.raises(B.BenchmarkError) as error: B.load("livecodebench", path)
    assert words in str(error.value) and f"{path} line 2" in str(error.value)


@pytest.mark.parametrize("name", ROWS)
def test_every_missing_field_bad_byte_and_half_character_is_named(tmp_path, name):
    needed = [f for f in ROWS[name] if f not in {"test_imports", "test_setup_code", "challenge_test_list"}]
    for field in needed:
        with pytest.raises(B.BenchmarkError, match=f"line 1: field '{field}' is missing"):
            B.load(name, lines(tmp_path/"rows.jsonl", without(ROWS[name], field)))
    for field in (f for f in needed if isinstance(ROWS[name][f], str)):
        for bad in (b"\xe9", b"\\ud83d"):
            text = json.dumps(ROWS[name] | {field: "@@"}).encode().replace(b"@@", bad)
            (tmp_path/"rows.jsonl").write_bytes(json.dumps(ROWS[name]).encode() + b"\n" + text)
            with pytest.raises(B.BenchmarkError, match=f"line 2: field '{field}' is not text in UTF-8"):
                B.load(name, tmp_path/"rows.jsonl")


def places(value, path=()):
    "Paths to everything inside a JSON value."
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value,
            list) else ():
        yield from places(inner, (*path, key))

@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_row_of_json_makes_a_reader_fall_over(data):
    "Whatever stands at one place of a good row: a record, or one sentence with the place."
    name = data.draw(st.sampled_from(sorted(ROWS)))
    row = copy.deepcopy(ROWS[name])
    path = data.draw(st.sampled_from([p for p in places(row) if p]))
    holder = row
    for key in path[:-1]: holder = holder[key]
    odd = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                       lambda x: st.lists(x, max_size=2)
                       | st.dictionaries(st.text(max_size=3), x, max_size=2))
    holder[path[-1]] = data.draw(odd | odd.map(json.dumps))
    try: [p] = B.to_problems(name, [("f line 1", row)])
    except B.BenchmarkError as e: assert str(e).startswith("f line 1") and "\n" not in str(e)
    else: validate(p)


# ------------------------------------------------------------------ downloads

@pytest.fixture
def server(tmp_path):
    (tmp_path/"www").mkdir()
    asked = []
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args): super().__init__(*args, directory=tmp_path/"www")
        def log_message(self, *args): asked.append(self.path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield tmp_path/"www", f"http://127.0.0.1:{httpd.server_port}", asked
        httpd.shutdown()


def test_a_download_is_checked_and_kept(server, tmp_path, monkeypatch):
    www, url, asked = server
    data = gzip.compress(json.dumps(HUMANEVAL).encode())
    (www/"HumanEval.jsonl.gz").write_bytes(data)
    monkeypatch.setitem(B.SOURCES, "humaneval",
                        ("", f"{url}/HumanEval.jsonl.gz#sha256={hashlib.sha256(data).hexdigest()}"))
    for _ in range(2): assert B.download("humaneval", tmp_path/"cache")[0]["entry_point"] == "inc"
    assert len(asked) == 1
    next((tmp_path/"cache").rglob("*.gz")).write_bytes(b"damaged")  # fetched again, not believed
    assert B.download("humaneval", tmp_path/"cache") and len(asked) == 2


def test_a_wrong_or_missing_download_is_refused(server, tmp_path, monkeypatch):
    www, url, _ = server
    (www/"f").write_bytes(b"other")
    with pytest.raises(B.BenchmarkError) as error:
        B.load("humaneval", f"{url}/f#sha256={'0' * 64}", tmp_path/"cache")
    assert (f"{url}/f has SHA-256 {hashlib.sha256(b'other').hexdigest()}, expected {'0' * 64}; the file "
            "changed" in str(error.value) and "\n" not in str(error.value))
    with pytest.raises(B.BenchmarkError, match=r"/g cannot be downloaded \(HTTP 404\); download it elsewhere "
                       r"and put it at .*cache.*/g, or into a folder"):
        sources.fetch(f"{url}/g", "0" * 64, tmp_path/"cache")
    assert not [p for p in (tmp_path/"cache").rglob("*") if p.is_file()]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path/"xdg"))
    assert B.cache_folder() == tmp_path/"xdg"/"codedpo_nb"


def test_no_network_says_where_to_put_the_file(tmp_path):
    "Nothing listens at port 9 of this machine; the file put where the sentence says is then used."
    text = json.dumps(HUMANEVAL)
    source = f"http://127.0.0.1:9/h.jsonl#sha256={hashlib.sha256(text.encode()).hexdigest()}"
    with pytest.raises(B.BenchmarkError,
                       match=r"\(ConnectionError\); download it elsewhere and put it at") as error:
        B.load("humaneval", source, tmp_path)
    by_hand = Path(str(error.value).split(" put it at ")[1].split(", or into")[0])
    by_hand.parent.mkdir(parents=True, exist_ok=True)
    by_hand.write_text(text)
    assert B.load("humaneval", source, tmp_path)[0]["entry_point"] == "inc"


def test_the_first_download_decides_where_no_sum_is_known(server, tmp_path):
    www, url, asked = server
    lines(www/"h.jsonl", HUMANEVAL)
    for _ in range(2):
        assert B.load("humaneval", f"{url}/h.jsonl", tmp_path/"cache")[0]["task_id"] == "HumanEval/0"
    assert len(asked) == 1
    lines(www/"h.jsonl", HUMANEVAL | dict(task_id="HumanEval/9"))
    # changed on this disk, and then at the publisher's
    lines(next((tmp_path/"cache").glob("*/h.jsonl")), HUMANEVAL | dict(task_id="HumanEval/5"))
    with pytest.raises(B.BenchmarkError, match="when it was first downloaded; take a fixed revision of it, "
                       "or delete") as error:
        B.load("humaneval", f"{url}/h.jsonl", tmp_path/"cache")
    Path(str(error.value).split("or delete ")[1].split(" to accept")[0]).unlink()
    next((tmp_path/"cache").glob("*/h.jsonl")).unlink()
    assert B.load("humaneval", f"{url}/h.jsonl", tmp_path/"cache")[0]["task_id"] == "HumanEval/9"


COMMIT = "0123456789abcdef0123456789abcdef01234567"

@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub's library with a folder in place of its network: what it is asked for is copied into the layout
    of its cache."""
    library, asked = pytest.importorskip("huggingface_hub"), []
    (tmp_path/"remote").mkdir()
    def fake(repo, file, *, repo_type, revision, cache_dir, local_files_only=False):
        assert repo_type == "dataset"
        place = Path(cache_dir)/f"datasets--{repo.replace('/', '--')}/snapshots/{revision or COMMIT}"/file
        if place.is_file(): return str(place)
        if local_files_only: raise library.errors.LocalEntryNotFoundError("not in the cache\nat all")
        asked.append(file)
        if not (tmp_path/"remote"/Path(file).name).is_file():
            raise library.errors.LocalEntryNotFoundError("no network\nat all")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((tmp_path/"remote"/Path(file).name).read_bytes())
        return str(place)
    monkeypatch.setattr(library, "hf_hub_download", fake)
    return tmp_path/"remote", asked


def test_a_file_of_the_hub_is_asked_for_once_and_checked(hub, tmp_path):
    remote, asked = hub
    text = lines(remote/"h.jsonl", HUMANEVAL).read_bytes()
    good = f"hub:me/data@{COMMIT}/h.jsonl#sha256={hashlib.sha256(text).hexdigest()}"
    for _ in range(2): assert B.load("humaneval", good, tmp_path/"cache")[0]["entry_point"] == "inc"
    assert len(asked) == 1
    with pytest.raises(B.BenchmarkError) as error:
        B.load("humaneval", f"hub:me/data/h.jsonl#sha256={'0' * 64}", tmp_path/"cache")
    assert f"hub:me/data/h.jsonl has SHA-256 {hashlib.sha256(text).hexdigest()}, expected {'0' * 64}" in str(
        error.value)
    with pytest.raises(B.BenchmarkError, match=r"hub:me/data/g.jsonl cannot be downloaded .*and pass the "
                       r"path of the file in place of the address") as error:
        B.load("humaneval", "hub:me/data/g.jsonl", tmp_path/"cache")
    assert "\n" not in str(error.value)
    with pytest.raises(B.BenchmarkError, match="is no data set of the hub; write hub:owner/name"):
        B.load("humaneval", "hub:nobody", tmp_path/"cache")


def test_a_branch_of_the_hub_stays_what_it_was_at_first(hub, tmp_path):
    remote, asked = hub
    lines(remote/"h.jsonl", HUMANEVAL)
    assert B.load("humaneval", "hub:me/data@main/h.jsonl", tmp_path/"cache")
    lines(remote/"h.jsonl", HUMANEVAL | dict(task_id="HumanEval/9"))
    assert B.load("humaneval", "hub:me/data@main/h.jsonl",
                  tmp_path/"cache")[0]["task_id"] == "HumanEval/0" and len(asked) == 1
    next((tmp_path/"cache").rglob("h.jsonl")).unlink()
    with pytest.raises(B.BenchmarkError, match="when it was first downloaded"):
        B.load("humaneval", "hub:me/data@main/h.jsonl", tmp_path/"cache")


def test_a_known_data_set_needs_no_file_name(hub, tmp_path, monkeypatch):
    import pyarrow
    import pyarrow.parquet
    remote, asked = hub
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([HUMANEVAL]), remote/"test-00000-of-00001.parquet")
    assert B.load("humaneval", "hub:openai/openai_humaneval", tmp_path/"cache")[0]["entry_point"] == "inc"
    assert asked == ["openai_humaneval/test-00000-of-00001.parquet"]
    called = {}
    monkeypatch.setattr(B, "from_hub", lambda name, repo,
                        **options: called.update(repo=repo, **options) or [name])
    assert B.load("humaneval+",
                  "hub:evalplus/humanevalplus") == ["humaneval+"] and called[
        "repo"] == "evalplus/humanevalplus"


def test_the_library_of_the_hub_finds_its_own_cache_offline(tmp_path, monkeypatch):
    """The real library: a file laid out as in its cache is taken by commit, and what is absent is one
    sentence."""
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path/f"hub/datasets--me--data/snapshots/{COMMIT}"
    folder.mkdir(parents=True)
    lines(folder/"h.jsonl", HUMANEVAL)
    assert B.load("humaneval", f"hub:me/data@{COMMIT}/h.jsonl", tmp_path)[0]["entry_point"] == "inc"
    with pytest.raises(B.BenchmarkError, match="cannot be downloaded"):
        B.load("humaneval", f"hub:me/data@{COMMIT}/g.jsonl", tmp_path)


def test_every_benchmark_says_where_it_comes_from():
    assert {row["benchmark"] for row in suites.rules()} == set(B.BENCHMARKS) <= set(B.SOURCES)
    for row in suites.rules(): assert row["checked by"] and (row["hub"] or row["release"])
    for name, places in B.SOURCES.items():
        for place in filter(None, places):
            assert sources.address(name,
                                   place)["sha256"] is None or len(sources.address(name,
                place)["sha256"]) == 64


@pytest.mark.parametrize("name", ["humaneval", "humaneval+", "mbpp+"])
def test_known_sums_are_those_of_the_files(load, name):
    load(name)
    assert hashlib.sha256(B.find(name, DATA).read_bytes()).hexdigest() == sources.address(name,
        B.SOURCES[name][1])["sha256"]


@pytest.mark.parametrize("name", ["mbpp", "mbpp-sanitized"])
def test_known_sums_of_mbpp_follow_from_the_rows(load, name):
    "The copies at hand are stored otherwise; written as the release writes them, the rows have its sum."
    load(name)
    rows = [row for _, row in B.read_rows(B.find(name, DATA))]
    text = json.dumps(rows) if name == "mbpp-sanitized" else "".join(json.dumps(row) + "\n" for row in rows)
    if len(rows) != SIZES[name]: pytest.skip(f"the file of {name} holds a part of it")
    assert hashlib.sha256(text.encode()).hexdigest() == sources.address(name, B.SOURCES[name][1])["sha256"]


def test_hub(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = lines(tmp_path/"rows.jsonl", HUMANEVAL, HUMANEVAL | dict(task_id="HumanEval/1"))
    problems = B.from_hub("humaneval+", "json", split="train", data_files=str(path),
                          cache_dir=str(tmp_path/"hub"))
    assert [p["benchmark"]
            for p in problems] == ["humaneval+"] * 2 and problems == json.loads(json.dumps(problems))


# ------------------------------------------------------------------ the public data

# "\\d" in other people's solutions
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
@pytest.mark.parametrize("name", SIZES)
def test_all_problems_load(load, name):
    problems = load(name)
    row = B.describe(problems)
    assert row["problems"] == len({p["task_id"] for p in problems})
    if row["problems"] == SIZES[name]: assert "problems" not in row["edition"]
    for p in problems:
        assert validate(p) is p
        compile(B.truth_program(p), p["task_id"], "exec")


@pytest.mark.parametrize("name", SIZES)
def test_canonical_solutions_pass_and_stubs_fail(load, name):
    problems = load(name)
    problems = problems[::max(1, len(problems) // 10)]
    stubs = [B.assemble(p, f"def {p['entry_point']}(*args, **kwargs): raise NotImplementedError",
                        form="solution") for p in problems]
    found = suites.judge(problems,
                         [[B.truth_program(p), stub] for p, stub in zip(problems, stubs, strict=False)],
                         form="solution")
    for p, (good, bad) in zip(problems, found, strict=False):
        assert good == ("pass", "pass") and "pass" not in bad, (p["task_id"], good, bad)


def test_tuples_are_put_back_as_evalplus_does(load):
    problems = {p["task_id"]: p for p in load("mbpp+")}
    if "Mbpp/2" in problems:
        assert problems["Mbpp/2"]["tests"][0] == "similar_elements((3, 4, 5, 6), (5, 7, 4, 10))"
