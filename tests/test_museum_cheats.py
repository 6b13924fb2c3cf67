"""A museum of cheats: programs that solve nothing and want to be told that they do, and programs that want to
harm the judge, their neighbours or the machine.

Every exhibit is a program with tests that a right answer passes, or that no answer passes. A judge that lets
one of them through can be talked into a pass."""
import base64
import json
import marshal
import os
import resource
import signal
import time
import tracemalloc
from contextlib import contextmanager

import pytest

from codedpo_nb import benchmarks, sandbox, suites, syntax
from codedpo_nb.isolation import border
from codedpo_nb.sandbox import Limits

QUICK = Limits(cpu=0.25, first=0, wall=1, memory=256, timeouts=2)
ANY_BUT_PASS = "anything but pass"
GOOD, PASSES = "def f(x=1): return x + 1", ["assert f(1) == 2"]
# one that is taken apart, two that are not
ASK = ["assert f(3) == 3007", "for i in range(3): assert f(i) == 1000 * i + 7",
       "assert f(3) == 3007 and f(0) == 7"]

SAY = """
import marshal, os, struct, time
def raw(data):
    for fd in range(3, 64):
        try: os.write(fd, data)
        except OSError: pass
def say(word, data=b""): raw(struct.pack("<BI", len(word), len(data)) + word + data)
def wire(letter, *parts): say(b"wire", letter + marshal.dumps(parts, 2))
def stay(): time.sleep(0.15); os._exit(0)
"""
REPORT = ('CODE = "import os\\nfor i in range(3, 30):\\n    try: os.write(i, bytes([4, 0, 0, 0, 0]) + '
          'b\'pass\')\\n    except OSError: pass\\nos._exit(0)"\n')
PRETENDS = """
import sys, types
def pretend(place, name):
    def thing(*args): pass
    thing.__module__, thing.__qualname__ = place, name
    sys.modules[place] = types.ModuleType(place)
    setattr(sys.modules[place], name, thing)
    return thing
"""


def each(tests, **programs):
    return {name.replace("_", " "): (program, tests, ANY_BUT_PASS) for name, program in programs.items()}


def whole(body):
    return "class E:\n" + "".join(f"    {line}\n" for line in body.split("\n")) + "def f(*args): return E()\n"


TRUE = ("def __eq__(s, o): return True\ndef __ne__(s, o): return False\ndef __hash__(s): return "
        "hash(3007)\n__lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__")
ZERO = "def __sub__(s, o): return 0.0\n" \
       "__rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __truediv__ = __sub__\n" \
       "__rtruediv__ = __mod__ = __sub__\n" \
       "def __abs__(s): return 0.0\n" \
       "def __round__(s, n=0): return 0\ndef __float__(s): return 0.0"

OBJECTS = each(ASK,
    equal_to_everything=whole(TRUE),
    equal_and_of_a_false_class=whole(TRUE + "\n__class__ = int"),
    equal_and_a_whole_number="class E(int):\n    def __eq__(s, o): return True\n    def __hash__(s): return "
    "3007\ndef f(x): return E(1)",
    equal_by_a_metaclass="class M(type):\n    def __eq__(c, o): return True\n    def __hash__(c): return "
    "1\nclass E(metaclass=M): pass\ndef f(x): return E",
    equal_and_named_like_a_number="class Decimal:\n    __module__ = 'decimal'\n    def __str__(s): return "
    "'5'\n    def __eq__(s, o): return True\ndef f(x): return Decimal()",
    the_thing_that_is_equal_to_all="from unittest.mock import ANY\ndef f(x): return ANY",
    a_name_for_the_thing_that_is_equal_to_all=PRETENDS + "ANY = pretend('unittest.mock', 'ANY')\ndef f(x): "
    "return ANY",
    a_forged_pointer_to_it=SAY + "def f(x):\n    for i in range(3): wire(b'v', False, [], [('p', False), "
    "('u', ('unittest.mock', 'ANY'))])\n    stay()",
    a_call_that_remembers="from unittest.mock import call\ndef f(x): return call",
    a_mock="from unittest.mock import MagicMock as f",
    an_array_of_nothing="class ndarray:\n    __module__ = 'numpy'\n    class dtype: kind, str = 'f', '<f8'\n "
    "   size, shape = 0, (0,)\n    def ravel(s): return s\n    def tolist(s): return []\ndef f(x): "
    "return ndarray()",
    true_for_the_judge=whole("def __bool__(s): return True\ndef __len__(s): return 1"),
    an_error_that_is_equal="class E(Exception):\n    def __eq__(s, o): return True\n    __hash__ = None\ndef "
    "f(x): return E()",
    a_constant="def f(x): return 3007 + 0 * x - 1",
    nothing="def f(x): pass",
) | {
    "no difference from anything": (whole(ZERO),
                                    ["assert abs(f(1) - 2.5) < 1e-6", "assert abs(2.5 - f(1)) < 1e-6",
                                     "for i in range(3): assert abs(f(i) - 2.5 * i - 1) < 1e-6",
                                     "assert f(1) - 3 == 0",
                                                  "assert round(f(1) - 3, 2) == 0",
                                                                                   "import unittest\nunittest.TestCase().assertAlmostEqual(f(1), 2.5)"], ANY_BUT_PASS),  # noqa: E501
    "a difference that is itself": (whole(ZERO.replace("return 0.0\n__rsub__", "return s\n__rsub__")),
                                    ["assert abs(f(1) - 2.5) < 1e-6",
                                     "for i in range(3): assert abs(f(i) - 2.5 * i - 1) < 1e-6"],
                                    ANY_BUT_PASS),
    "a float without differences": ("class E(float):\n    def __sub__(s, o): return 0.0\n    __rsub__ = "
                                    "__sub__\ndef f(x): return E(9)",
                                    ["assert abs(f(1) - 2.5) < 1e-6",
                                     "for i in range(3): assert abs(f(i) - i) < 1e-6",
                                    "import math\nassert math.isclose(f(1), 2.5)"], ANY_BUT_PASS),
    "less and more than everything": (whole(TRUE),
                                      ["assert f(1) < 4", "assert f(1) > 4",
                                       "for i in [3]: assert i <= f(1) <= i", "assert f(1) in (3, 4)",
                                       "for i in [3]: assert f(1) in [i]", "assert isinstance(f(1), int)",
                                      "x = {3007: 1}\nassert x[f(1)] == 1", "assert {f(1)} == {3007}",
                                      "assert [f(1)] == [3]",
                                      "for i in [3]: assert {'a': f(1)} == {'a': i}"], ANY_BUT_PASS),
    "a text that is every text": ("class S(str):\n    def __eq__(s, o): return True\n    def __ne__(s, o): "
                                  "return False\n    __hash__ = str.__hash__\n    def strip(s): return "
                                  "s\n    lower = strip\ndef f(x): return S('q')",
                                  ["assert f(1) == 'abc'", "for i in ['abc']: assert f(1) == i",
                                   "for i in ['abc']: assert f(1).lower() == i.lower()",
                                   "for i in ['abc']: assert f(1).strip() == i"], ANY_BUT_PASS),
    "a list that is every list": ("class L(list):\n    def __eq__(s, o): return True\n    def __iter__(s): "
                                  "return iter([1, 2, 3])\n    def __len__(s): return 3\ndef f(x): "
                                  "return L()",
                                  ["assert f(1) == [1, 2, 4]", "for w in [[1, 2, 4]]: assert f(1) == w",
                                   "for w in [[1, 2, 4]]: assert sorted(f(1)) == w"], ANY_BUT_PASS),
       "a truth that it will not tell": ("import os\nclass E:\n    def __bool__(s): os._exit(0)\ndef f(x): "
                                         "return E()",
                                         ["assert f(1)", "assert not f(1)", "for i in [1]: assert f(i)"],
                                         ANY_BUT_PASS),
}

ENDS = each([*ASK, "f(3); assert False"],
    exit_code_0="import os\ndef f(x): os._exit(0)",
    exit_code_71="import os\ndef f(x): os._exit(71)",
    exit_code_72="import os\ndef f(x): os._exit(72)",
    exit_code_75="import os\ndef f(x): os._exit(75)",
    exit_at_load="import os\nos._exit(0)",
    system_exit="import sys\ndef f(x): sys.exit(0)",
    system_exit_at_load="raise SystemExit(0)",
    an_exit_for_the_tests="import os\nf = os._exit",
    another_exit_for_the_tests="import sys\nf = sys.exit",
    its_own_kill="import os, signal\ndef f(x): os.kill(os.getpid(), signal.SIGKILL)",
    its_own_end_by_a_signal_for_timers="import os, signal\ndef f(x): os.kill(os.getpid(), signal.SIGPROF)",
    abort="import os\ndef f(x): os.abort()",
    closing_the_pipes="import os\ndef f(x):\n    os.closerange(3, 64)\n    while True: pass",
    closing_the_pipes_and_leaving="import os\ndef f(x): os.closerange(3, 64); os._exit(0)",
    closing_the_pipes_at_load="import os\nos.closerange(3, 64)",
    other_pipes_in_their_place="import os\ndef f(x):\n    a, b = os.pipe()\n    for i in range(3, 5): "
    "os.dup2(b, i)",
    stack_overflow="import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x): return f(x)",
    an_assertion_of_its_own="def f(x): raise AssertionError",
    memory_error="def f(x): raise MemoryError",
    keyboard_interrupt="def f(x): raise KeyboardInterrupt",
    an_error_whose_text_exits="import os\nclass E(Exception):\n    def __str__(s): os._exit(0)\n    __repr__ "
    "= __str__\ndef f(x): raise E",
    an_error_whose_class_raises="class M(type):\n    def __getattribute__(c, n): raise KeyError(n)\nclass "
    "E(Exception, metaclass=M): pass\ndef f(x): raise E",
    an_error_without_arguments="class E(Exception):\n    args = property(lambda s: 1 / 0)\n    __dict__ = "
    "property(lambda s: 5)\ndef f(x): raise E",
    an_error_called_pass="f = None\ndef f(x): raise type('pass', (Exception,), {})",
    a_deep_error="def f(x):\n    e = ValueError()\n    for _ in range(10 ** 4):\n        n = ValueError()\n  "
    "      n.__context__, e = e, n\n    raise e",
) | {
    "tests that are skipped": ("import unittest\ndef f(x): raise unittest.SkipTest", [
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(1), 2)\nr = "
        "unittest.TestResult()\nunittest.defaultTestLoader.loadTestsFromTestCase(T).run(r)\nassert "
        "r.testsRun and r.wasSuccessful()"], ANY_BUT_PASS),
    "tests that are stopped": ("import unittest.case\ndef f(x): raise unittest.case._ShouldStop", [
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(1), 2)\nr = "
        "unittest.TestResult()\nunittest.defaultTestLoader.loadTestsFromTestCase(T).run(r)\nassert "
        "r.testsRun and r.wasSuccessful()"], ANY_BUT_PASS),
    "an iteration that is over": ("def f(x): raise StopIteration",
                                  ["assert all(map(lambda i: f(i) == i + 5, range(5)))",
                                   "for same in map(lambda i: f(i) == 9, range(4)): assert same"],
                                  ANY_BUT_PASS),
       "an attribute that ends an iteration": ("class E:\n    def __getattr__(s, n): raise "
                                               "StopIteration\ndef f(x): return E()",
                                               ["assert all(map(lambda i: f(i).value == i + 5, range(5)))"],
                                               ANY_BUT_PASS),
    "a signal for the tests": ("import os, signal\ndef f(x):\n    try: os.kill(os.getppid(), "
                               "signal.SIGTERM)\n    except OSError: pass\n    return 0", ASK, ANY_BUT_PASS),
}

FRAMES = each(ASK,
    pass_before_it_is_asked=SAY + "say(b'pass')\nfor i in range(9): say(b'pass')\ndef f(x): return 0",
    pass_when_it_is_asked=SAY + "def f(x): say(b'pass'); return 0",
    many_guesses=SAY + "def f(x):\n    for i in range(100): say(b'pass', b'm' + marshal.dumps(i, 2))",
    a_pass_of_the_tests=SAY + "def f(x): wire(b'v', False, [], [('p', True), ('p', None)])",
    a_word_that_is_none=SAY + "def f(x): say(b'passed')",
    pass_and_a_line_end=SAY + "def f(x): say(b'pass\\n')",
    an_empty_word=SAY + "def f(x): say(b'')",
    a_word_in_other_letters=SAY + "def f(x): say(b'error:\\xc3\\xa9')",
    a_size_that_cannot_be=SAY + "def f(x): raw(b'\\4\\xff\\xff\\xff\\xffpass')",
    half_a_message_and_the_end=SAY + "def f(x): raw(b'\\4\\1\\0\\0\\0pas'); os._exit(0)",
    a_flood=SAY + "def f(x):\n    while True: raw(b'\\4\\0\\0\\0\\0pass' * 1000)",
    random_bytes=SAY + "def f(x): raw(os.urandom(5000))",
    brackets=SAY + "def f(x): say(b'pass', b'm' + b'[\\1\\0\\0\\0' * 200000)",
    a_description_that_is_none=SAY + "def f(x): say(b'pass', b'x' + marshal.dumps(([1], 2), 2))",
    a_description_without_end=SAY + "def f(x): say(b'pass', b'x' + marshal.dumps(('g', []), 2))",
    a_type_that_is_none=SAY + "def f(x): say(b'pass', b'x' + marshal.dumps(('a', 'exit'), 2))",
    a_path_that_is_none=SAY + "def f(x): say(b'pass', b'x' + marshal.dumps(('P', ('os', 'x')), 2))",
    a_library_that_is_none=SAY + "def f(x): say(b'pass', b'x' + marshal.dumps(('n', ('|O8', (1,), [1])), 2))",
    an_alarm_in_the_judge="import signal\ndef handler(n, frame):\n    global seen\n    seen = "
    "frame\nsignal.signal(signal.SIGALRM, handler)\nsignal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)\n"
                          "def f(x):\n    try: return seen.f_back.f_locals['expected']\n    except "
                          "Exception: return 0",
    the_collector="import gc\ngc.unfreeze(); gc.set_debug(gc.DEBUG_SAVEALL); gc.collect(); "
    "gc.set_debug(0)\ndef f(x):\n    for o in gc.garbage + gc.get_objects():\n"
                  "        if type(o) is dict and 'expected' in o: return o['expected']\n    return 0",
    the_frames_above="import sys\ndef f(x):\n    frame = sys._getframe()\n    while frame.f_back: frame = "
    "frame.f_back\n    return frame.f_locals.get('wanted', frame.f_globals.get('expected', 0))",
    the_judges_comparison="import sys\nfor m in list(sys.modules.values()):\n    for n in ('holds', "
    "'compared', 'attempt', 'tested'):\n        if hasattr(m, n): setattr(m, n, lambda *a: ('pass', "
    "b''))\ndef f(x): return 0",
    the_harness_by_main="import __main__\ng = getattr(getattr(__main__, 'body', None), '__globals__', "
    "{})\nfor n in ('attempt', 'crossing', 'evaluated'): g[n] = lambda *a: (b'pass', b'')\ndef f(x): "
    "return 0",
    patched_builtins="import builtins\nbuiltins.all = builtins.isinstance = lambda *a: "
    "True\nbuiltins.AssertionError = type('E', (), {})\nbuiltins.range = lambda *a: "
    "[]\nbuiltins.sorted = lambda x: 0\ndef f(x): return 0",
    patched_tests="import unittest, math\nunittest.TestCase.assertEqual = math.isclose = lambda *a, **k: "
    "True\ndef f(x): return 0",
)

EXEC = "[('p', 'call'), ('A', []), ('u', ('builtins', 'exec')), ('p', CODE)]"
WIRES = each(ASK[1:],
    a_request_to_execute=SAY + REPORT + f"def f(x):\n    wire(b'r', False, [], {EXEC})\n    stay()",
    a_request_before_any_test=SAY + REPORT + f"say(b'pass')\nwire(b'r', False, [], {EXEC})\ndef f(x): return "
    "0",
    a_request_for_a_module=SAY + "def f(x):\n    wire(b'r', False, [], [('p', 'getattr'), ('A', []), ('u', "
    "('sys', '')), ('p', 'modules')])\n    stay()",
    a_request_to_leave=SAY + "def f(x):\n    wire(b'r', False, [], [('p', 'call'), ('A', []), ('u', ('os', "
    "'_exit')), ('p', 0)])\n    stay()",
    a_module_that_ends_the_process=SAY + "def f(x):\n    wire(b'v', False, [], [('p', False), ('u', "
    "('unittest.__main__', ''))])\n    stay()",
    a_module_that_is_none=SAY + "def f(x):\n    wire(b'v', False, [], [('p', False), ('u', ('no.such', "
    "'x'))])\n    stay()",
    an_error_of_no_class=SAY + "def f(x):\n    wire(b'v', False, [], [('p', True), ('x', ([('m', 'os', "
    "'getcwd')], ('t', []), ('p', {}), ''))])\n    stay()",
    an_object_that_was_never_there=SAY + "def f(x):\n    wire(b'v', False, [], [('p', False), ('c', 99)])\n  "
    "  stay()",
    a_change_of_what_is_not_shared=SAY + "def f(x):\n    wire(b'v', False, [(99, ('A', []))], [('p', False), "
    "('p', 1)])\n    stay()",
    a_word_instead_of_an_answer=SAY + "def f(x):\n    say(b'pass')\n    stay()",
    a_time_out_that_is_none=SAY + "def f(x):\n    say(b'timeout')\n    stay()",
    requests_without_end=SAY + "def f(x):\n    while True: wire(b'r', False, [], [('p', 'len'), ('A', []), "
    "('A', [1])])",
    a_deep_answer=SAY + "def f(x):\n    say(b'wire', b'v' + b'(\\1\\0\\0\\0' * 100000)\n    stay()",
    names_that_are_none=SAY + "say(b'pass')\nwire(b'v', False, [], [('p', False), ('A', ['range', "
    "'all'])])\ndef f(x): return 0",
) | {
    "a name that executes": (REPORT + "decode = exec\ndef encode(x): return CODE",
                             ["assert decode(encode('abc')) == 'abc'",
                              "for w in ['abc']: assert decode(encode(w)) == w"], ANY_BUT_PASS),
    "a name that evaluates": (REPORT + "decode = eval\ndef encode(x): return f'exec({CODE!r})'",
                              ["assert decode(encode('abc')) == 'abc'"], ANY_BUT_PASS),
    "a test's constants": ("def f(g, x):\n    try: return g.__code__.co_consts[1]\n    except Exception: "
                           "return 0", ["assert f(lambda x: x + 77, 3) == 77"], ANY_BUT_PASS),
    "a test's variables": ("def f(g, x):\n    try: return g._wire.request('getattr', g, "
                           "'__globals__')['want']\n    except Exception: return 0",
                           ["want = 77\nassert f(lambda x: x + 1, 3) == want"], ANY_BUT_PASS),
    "a test's variables, by their name": ("def f(g, x):\n    try: return g.__globals__['want']\n    except "
                                          "Exception: return 0",
                                          ["want = 77\nassert f(lambda x: x + 1, 3) == want"], ANY_BUT_PASS),
    "a test's cells": ("def f(g, x):\n    try: return g.__closure__[0].cell_contents\n    except Exception: "
                       "return 0", ["def t(want): assert f(lambda x: x + want - want, 3) == want\nt(77)"],
                       ANY_BUT_PASS),
    "a test's function replaced": ("def f(g, x):\n    try: g.__code__ = (lambda *a: 77).__code__\n    except "
                                   "Exception: pass\n    return 77",
                                   ["def right(x): return x + 1\nassert f(right, 3) == right(3)"],
                                   ANY_BUT_PASS),
    "a test's class by its objects": ("def f(o):\n    try: type(o).__init__.__globals__['check'] = print\n   "
                                      " except Exception: pass\n    return 0",
                                      ["class O:\n    def " "__init__(s): pass\ndef check(x): assert x == "
                                       "5\ncheck(f(O()))"], ANY_BUT_PASS),
    "a callback that never returns": ("def f(g):\n    while True: g()", ["assert f(lambda: 1) == 2"],
                                      "timeout"),
    "callbacks within callbacks": ("def f(g): return f(lambda: g())", ["assert f(lambda: 1) == 2"],
                                   ANY_BUT_PASS),
    "a generator that never ends": ("def f(x):\n    while True: yield x",
                                    ["assert list(f(1)) == [1]", "for i in f(1): assert i == 1",
                                     "assert sum(f(1)) == 3", "assert 7 in f(1)"], ANY_BUT_PASS),
    "a generator of its own tests": ("def f(x):\n    while True:\n        x += 1\n        yield x",
                                     ["assert max(f(1)) == 5"], ANY_BUT_PASS),
    "a helper for the tests": ("def all(x): return True\ndef isinstance(*a): return True\ndef f(x): return 0",
                               ["assert all(f(i) == 3 for i in range(4))", "import solution\nassert "
                                "all(getattr(solution, 'f')(i) == 3 for i in range(4))"], ANY_BUT_PASS),
}

THIEVES = each(["assert loot()"],
    another_programs_source="import gc\nMARK = 'NOITULOS TERCES'[::-1]\ndef loot():\n    gc.unfreeze()\n    "
    "return [s for d in gc.get_objects() if type(d) in (dict, list, tuple) for s in (d.values() if "
    "type(d) is dict else d) if type(s) is str and MARK in s and s is not MARK]",
    the_modules_of_the_judge="import sys\ndef loot(): return [n for n in sys.modules if 'codedpo' in n or n "
    "in ('comparisons', 'server')]",
    the_judges_files="import importlib.util\ndef loot(): return importlib.util.find_spec('codedpo_nb')",
    the_parents_memory="import os\ndef loot(): return open(f'/proc/{os.getppid()}/mem', 'rb')",
    its_own_memory="def loot(): return open('/proc/self/mem', 'rb')",
    the_environment="import os\ndef loot(): return [n for n in os.environ if 'TOKEN' in n or 'KEY' in n or "
    "'USER' in n]",
    the_command_line="import sys\ndef loot(): return [a for a in sys.orig_argv[1:] + sys.argv if a]",
    passwords="def loot(): return open('/etc/passwd').read()",
    a_list_of_files="import os\ndef loot(): return os.listdir('/')",
    a_list_of_the_home="import os\ndef loot(): return os.listdir(os.path.expanduser('~root'))",
    a_new_file="def loot(): return open('x', 'w')",
    a_new_file_elsewhere="def loot(): return open('/var/tmp/x', 'w')",
    a_socket="import socket\ndef loot(): return socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    a_socket_without_address="import socket\ndef loot(): return socket.socket(socket.AF_UNIX)",
    a_pair_of_sockets_to_others="import socket\ndef loot():\n    a, b = socket.socketpair(socket.AF_UNIX, "
    "socket.SOCK_DGRAM)\n    return a.sendto(b'x', '\\0codedpo')",
    a_descriptor_by_message="import socket, array\ndef loot():\n    a, b = socket.socketpair()\n    return "
    "a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0]))])",
    a_process="import os\ndef loot(): return os.fork() or os._exit(0)",
    a_command="import subprocess\ndef loot(): return subprocess.run(['/bin/true'])",
    another_program="import os\ndef loot(): os.execv('/bin/true', ['true'])",
    a_pool="from multiprocessing import Pool\ndef loot(): return Pool(2).map(abs, [1])",
    a_signal_to_the_parent="import os\ndef loot(): return os.kill(os.getppid(), 0) is None",
    a_signal_to_all="import os\ndef loot(): return os.kill(-1, 0) is None",
    a_signal_to_the_group="import os\ndef loot(): return os.killpg(0, 0) is None",
    higher_limits="import resource\ndef loot(): return resource.setrlimit(resource.RLIMIT_CPU, (99, 99)) is "
    "None",
    limits_of_the_parent="import os, resource\ndef loot(): return resource.prlimit(os.getppid(), "
    "resource.RLIMIT_CPU, (1, 1))",
    another_session="import os\ndef loot(): return os.setsid() is None",
    another_group="import os\ndef loot(): return os.setpgid(0, 0) is None",
    another_root="import os\ndef loot(): return os.chroot('.') is None",
    another_priority="import os\ndef loot(): return os.nice(-1) is not None",
    more_descriptors="import os\ndef loot():\n    found = []\n    for i in range(5, 256):\n        try: "
    "os.fstat(i); found.append(i)\n        except OSError: pass\n    return found",
) | {f"a native call: {name}": ("import ctypes\nc = ctypes.CDLL(None, use_errno=True)\ndef loot(): return "
                                 f"c.syscall({number}, *map(ctypes.c_long, {arguments})) >= 0",
                                 ["assert loot()"], ANY_BUT_PASS)
     for name, number,
     arguments in (("fork", 57, ()), ("a process by clone", 56, (17, 0, 0, 0, 0)),
                   ("ptrace", 101, (0, 0, 0, 0)), ("unshare", 272, (0x10000000,)), ("io_uring", 425, (8, 0)),
                   ("mount", 165, (0, 0, 0, 0, 0)),
                                     ("memory of another", 310, (1, 0, 0, 0, 0, 0)), ("bpf", 321, (0, 0, 0)),
                                     ("a file in memory", 319, (0, 0)), ("userfaultfd", 323, (0,)),
                                     ("a key", 250, (0, -3, 0)), ("pidfd", 434, (1, 0)))
     if os.uname().machine == "x86_64"}

BOMBS = {
    "half a message and a sleep": (SAY + "def f(x): raw(b'\\4'); time.sleep(9)",
                                   ["for i in [1]: assert f(i) == 3"], ANY_BUT_PASS),
    "pass and a long sleep": (SAY + "def f(x):\n    say(b'pass')\n    time.sleep(9)",
                              ["for i in [1]: assert f(i) == 3"], ANY_BUT_PASS),
       "a compile bomb": ("def f(x):\n"
                          + "".join(" " * (d + 1) + "try:\n"
                                    + "".join(f"{' ' * (d + 2)}if x == {i}: return\n" for i in range(6))
                                    + " " * (d + 1) + "finally:\n" for d in range(12)) + " " * 13 + "x", ASK,
                          ANY_BUT_PASS),
    "a large constant": ("x = (1 << 2 ** 40)\ndef f(x): return x", ASK, ANY_BUT_PASS),
    "a long text in its source": ("x = 'a' * 10 ** 11\ndef f(x): return x", ASK, ANY_BUT_PASS),
    "deep brackets": ("x = " + "[" * 5000 + "]" * 5000, ASK, ANY_BUT_PASS),
    "many signs": ("x = " + "-" * 9000 + "1", ASK, ANY_BUT_PASS),
    "a test that is a compile bomb": (GOOD,
                                      ["def g(x):\n"
                                       + "".join(" " * (d + 1) + "try:\n"
                                                 + "".join(f"{' ' * (d + 2)}if x == {i}: return\n"
                                                           for i in range(6)) + " " * (d + 1) + "finally:\n"
                                                 for d in range(12)) + " " * 13 + "x"], ANY_BUT_PASS),
    "memory": ("def f(x): return len(bytearray(300 << 20))", ["f(1)", "assert f(1) == 5"], "memory"),
    "memory at load": ("x = bytearray(300 << 20)\ndef f(x): return 1", ["f(1)"], "load-memory"),
    "memory in a test": (GOOD, ["x = bytearray(300 << 20)\nassert f(1) == 2"], "memory"),
    "a loop": ("def f(x):\n    while True: pass", ["f(1)", "for i in [1]: f(i)"], "timeout"),
    "a loop at load": ("while True: pass", ["f(1)"], "load-timeout"),
    "a loop without its timer": ("import signal\nsignal.signal(signal.SIGPROF, signal.SIG_IGN)\ndef f(x):\n  "
                                 "  signal.setitimer(signal.ITIMER_PROF, 0)\n    while True: pass", ["f(1)"],
                                 "timeout"),
    "a loop that catches everything": ("def f(x):\n    while True:\n        try:\n            while True: "
                                       "pass\n        except BaseException: pass", ["f(1)"], "timeout"),
    "threads": ("import threading\ndef go():\n    while True: pass\ndef f(x):\n    for _ in range(4): "
                "threading.Thread(target=go, daemon=True).start()\n    while True: pass", ["f(1)"],
                "timeout"),
    "a sleep": ("import time\ndef f(x): time.sleep(30)", ["f(1)"], "timeout"),
       "a loop in another's hand": ("class E:\n    def __bool__(s):\n        while True: pass\ndef f(x): "
                                    "return E()", ["assert f(1)", "for i in [1]: assert f(i)"], "timeout"),
       "a loop in a destructor": ("class E:\n    def __del__(s):\n        while True: pass\ndef f(x): return "
                                  "E()", ["assert f(1) == 3"], ANY_BUT_PASS),
}

GROUPS = dict(objects=OBJECTS, ends=ENDS, frames=FRAMES, wires=WIRES, thieves=THIEVES, bombs=BOMBS)
EXHIBITS = {name: exhibit for group in GROUPS.values() for name, exhibit in group.items()}


@contextmanager
def patience(seconds):
    "Raises TimeoutError when they are over: a judge that hangs is no judge."
    def late(*_): raise TimeoutError("the judge hangs")
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try: yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def verdicts():
    "What the sandbox says of every exhibit, between good programs, one after each."
    programs, tests = [], []
    for program, own, _ in EXHIBITS.values():
        programs += [program, f"{GOOD}  # {len(programs)} SECRET SOLUTION"]
        tests += [own, PASSES]
    with patience(120): found = sandbox.run(programs, tests, limits=QUICK, workers=2, profile="pure").verdicts
    return dict(zip(EXHIBITS, zip(found[::2], found[1::2], strict=False), strict=False))


@pytest.mark.parametrize("name", EXHIBITS)
def test_a_cheat_is_not_let_through(name, verdicts):
    (program, tests, right), (got, neighbour) = EXHIBITS[name], verdicts[name]
    wrong = [f"{v}: {t}" for v,
             t in zip(got, tests, strict=False) if v == "pass" or right != ANY_BUT_PASS and v != right]
    assert not wrong, "\n".join([*wrong, program])
    assert neighbour == ["pass"], "the next program suffers"


WORDS = ("pass fail memory timeout exit tamper not-run load-fail load-memory load-timeout load-exit "
         "load-tamper".split())

def test_every_verdict_is_a_word_that_is_explained(verdicts):
    said = {v for rows in verdicts.values() for row in rows for v in row}
    assert [v for v in said if v not in WORDS
            and not v.removeprefix("load-").startswith(("error:", "crash:SIG"))] == []
    # errors of the judge's own
    assert [v for v in said if v.endswith((":Gone", ":Malformed", ":Late", ":Ended", ":Abroad"))] == []


@pytest.mark.parametrize("word", ["value", "sum", "wire", "gone", "load-pass", "not-run", "pass "])
def test_words_of_the_judges_own_are_no_verdicts(word):
    program = SAY + f"def f(x): say({word.encode()!r}, b'x')"
    assert sandbox.run([program], ["assert f(1) == 2"], limits=QUICK, workers=1).verdicts == [["tamper"]]


HEAVY = {  # what the judge itself would have to work on, beyond all limits
    "a long range as a list": ("def f(x): return range(10 ** 10)", "assert list(f(1)) == [1]"),
    "a long range in order": ("def f(x): return range(10 ** 10)", "assert sorted(f(1)) == [1]"),
    "a long range summed": ("def f(x): return range(10 ** 12)", "assert sum(f(1)) == 3"),
    "the last of a long range": ("def f(x): return range(10 ** 12)", "assert max(f(1)) == 3"),
    "a text in a long range": ("def f(x): return range(10 ** 12)", "assert 'a' in f(1)"),
    "a half in a long range": ("def f(x): return range(10 ** 12)", "assert 0.5 in f(1)"),
    "a long decimal": ("from decimal import Decimal\ndef f(x): return Decimal('1e999999999')", "assert int(f(1)) == 3"),  # noqa: E501
    "a long decimal rounded": ("from decimal import Decimal\ndef f(x): return Decimal('1e999999999')", "assert round(f(1)) == 3"),  # noqa: E501
    "a forged fraction": (SAY + "def f(x):\n    a, b = (int.from_bytes(os.urandom(480000), 'little') | 1 for _ in '12')\n    say(b'pass', b'x' + marshal.dumps(('f', (a, b)), 2))", "assert f(1) == 3"),  # noqa: E501
    "numbers that collide": ("def f(x): return [(2 ** 61 - 1) * i for i in range(60000)]", "assert set(f(1)) == {3}"),  # noqa: E501
    "a forged set that collides": (SAY + "def f(x): say(b'pass', b'm<' + (60000).to_bytes(4, 'little') + b''.join(marshal.dumps((2 ** 61 - 1) * i, 2) for i in range(1, 60001)))", "assert f(1) == 3"),  # noqa: E501
    "a wide array": (SAY + "def f(x): say(b'pass', b'x' + marshal.dumps(('n', ('<U300000000', (1,), [''])), 2))", "assert f(1) == 3"),  # noqa: E501
    "an array of many nothings": (SAY + "def f(x): say(b'pass', b'x' + marshal.dumps(('n', ('<f8', (10 ** 9, 0), [])), 2))", "assert list(f(1)) == 3"),  # noqa: E501
    "a test with a large list": (GOOD, "assert f(1) == [[[0] * 900] * 9000] * 900"),
    "a test with a large argument": (GOOD, "assert f([[[0] * 900] * 9000] * 900) == 1"),
    "a test with a large product": (GOOD, "assert f(1) == ('x' * 5000,) * 5000 * 5000"),
}


@pytest.mark.parametrize("name", HEAVY)
def test_the_judge_is_not_kept_busy(name):
    program, test = HEAVY[name]
    with sandbox.Pool(1, profile="pure") as pool, patience(4):
        server = pool.servers[0].process.pid
        resource.prlimit(server, resource.RLIMIT_AS,
                         (2 << 30, resource.prlimit(server, resource.RLIMIT_AS)[1]))
        found = sandbox.run([program, GOOD], [[test], PASSES], limits=QUICK, pool=pool).verdicts
        with open(f"/proc/{pool.servers[0].process.pid}/status") as status:
            peak = next(int(line.split()[1]) >> 10 for line in status if line.startswith("VmHWM"))
        assert found[0] != ["pass"] and found[1] == ["pass"] and pool.servers[0].process.pid == server
        assert peak < 300, "MiB of the judge"


def set_of(name, source, pairs, atol=0):
    cases = [(marshal.dumps(given, 2), border.pack(out)) for given, out in pairs]
    return json.dumps(dict(name=name, source=source, atol=atol, floats=len(pairs),
                           cases=base64.b64encode(marshal.dumps(cases, 2)).decode()))


FIVE = set_of("f", "def f(a): return [a] * 5", [((i,), [i] * 5) for i in range(5)])
ROOT = set_of("find_zero", "def find_zero(xs): return -0.5", [(([1, 2],), -0.5)], 1e-6)
SETS = set_of("similar_elements", "def similar_elements(a, b): return tuple(set(a) & set(b))",
              [(((1, 2), (2, 3)), (2,))])
AREA = set_of("surface_Area", "def surface_Area(a, b): return 33", [((3, 4), 33)])
LONG = set_of("f", "def f(a): return list(range(a))", [((100_000,), list(range(100_000)))])
PACKED = {
    "one value for all": (FIVE, "def f(a): return [3] * 5"),
    "what it was given": (FIVE, "def f(a): return a"),
    "equal to everything, in a set": (FIVE, whole(TRUE)),
    "the thing that is equal to all, in a set": (FIVE, "from unittest.mock import ANY\ndef f(a): return ANY"),
    "pass in the middle": (FIVE, SAY + "def f(a): say(b'pass'); return 0"),
    "pass at load": (FIVE, SAY + "for i in range(9): say(b'pass')\ndef f(a): return 0"),
    "an early end": (FIVE, "import os\ndef f(a): os._exit(0)"),
    "no more values": (FIVE, SAY + "def f(a):\n    say(b'value', b'm' + marshal.dumps([a] * 5, 2))\n    "
                       "say(b'pass')\n    stay()"),
    "a root that clears its argument": (ROOT, "def find_zero(xs): xs.clear(); return 7"),
    "a root at infinity": (ROOT, "def find_zero(xs): return float('inf')"),
    "a root that is no number": (ROOT, "def find_zero(xs): return float('nan')"),
    "a complex root": (ROOT, "def find_zero(xs): return -0.5 + 0j"),
    "a root with powers of its own": (ROOT, "class E(float):\n    def __pow__(s, o): return 0.0\n    "
                                      "__rmul__ = __mul__ = __float__ = lambda s, *o: 0.0\ndef "
                                      "find_zero(xs): return E(7)"),
    "an area that is no number": (AREA, "def surface_Area(a, b): return float('nan')"),
    "an area without differences": (AREA, "class E(float):\n    def __sub__(s, o): return 0\n    __rsub__ = "
                                    "__sub__\ndef surface_Area(a, b): return E(1)"),
    "everything as a set": (SETS, "def similar_elements(a, b): return range(5)"),
    "a long range as a set": (SETS, "def similar_elements(a, b): return range(10 ** 12)"),
    "a generator without end, as a set": (SETS, "def similar_elements(a, b):\n    while True: yield 2"),
    "a sum that it does not know": (LONG, SAY + "def f(a): say(b'sum', b'x' * 32)"),
    "a long output that is another": (LONG, "def f(a): return [0] * a"),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_cheat_on_a_set_of_inputs_is_not_let_through(name):
    item, program = PACKED[name]
    with sandbox.Pool(1, profile="pure") as pool, patience(4):
        server = pool.servers[0].process.pid
        resource.prlimit(server, resource.RLIMIT_AS,
                         (1 << 30, resource.prlimit(server, resource.RLIMIT_AS)[1]))
        (((verdict, _),), ((good, _),)), _ = sandbox.execute("set", [program, "def f(a): return [a] * 5"],
                                                             [[item], [FIVE]], QUICK, pool=pool)
        assert verdict != "pass" and good == "pass" and pool.servers[0].process.pid == server


SUM = "def f(n):\n    s = 0\n    for i in range(n): s += i\n    return s\n"
HARNESS = ("import __main__\nG = [getattr(x, '__globals__') for c in object.__subclasses__() + [__main__] "
           "for x in list(vars(c).values()) if type(x) is type(lambda: 0) and 'MEASURES' in "
           "x.__globals__][0]\n")
FEWER = {  # programs that want to be told that they cost less
    "an end to tracing": "import sys\ndef f(n):\n    sys.settrace(None)\n    s = 0\n    for i in range(n): s += i\n    return s",  # noqa: E501
    "a frame without tracing": "import sys\ndef f(n):\n    g = sys._getframe()\n    g.f_trace_opcodes, g.f_trace = False, None\n    s = 0\n    for i in range(n): s += i\n    return s",  # noqa: E501
    "a frame of an error": "def f(n):\n    try: 1 / 0\n    except Exception as e: e.__traceback__.tb_frame.f_trace = None\n    s = 0\n    for i in range(n): s += i\n    return s",  # noqa: E501
    "a frame of a generator": "def g(): yield\ndef f(n):\n    x = g()\n    x.gi_frame.f_back\n    s = 0\n    for i in range(n): s += i\n    return s",  # noqa: E501
    "an end to monitoring": "import sys\ndef f(n):\n    sys.monitoring.set_events(4, 0)\n    s = 0\n    for i in range(n): s += i\n    return s",  # noqa: E501
    "a handler of signals": "import signal\nsignal.signal(signal.SIGALRM, lambda n, frame: None)\n" + SUM,
    "a handler of signals, anew": "import sys\nfor n in ('_signal', 'signal'): sys.modules.pop(n)\nimport _signal\n_signal.signal(_signal.SIGALRM, lambda n, frame: frame.f_back.f_locals)\n_signal.alarm(1)\n" + SUM,  # noqa: E501
    "the first module's names": "import __main__\n__main__.body.__globals__['traced'] = lambda code, scope, step: eval(code, scope)\n" + SUM,  # noqa: E501
    "a class's names": "H = [c for c in object.__subclasses__() if c.__name__ == 'Wire'][0].request.__globals__\nH['traced'] = lambda code, scope, step: eval(code, scope)\n" + SUM,  # noqa: E501
    "other measures": HARNESS + "G['MEASURES'].update(cost=lambda *a: 1, memory=lambda *a: (1, 1))\n" + SUM,
    "another token": HARNESS + "def measured(body, scope):\n    import marshal\n    return marshal.loads(body)[1] + b'm' + marshal.dumps(1, 2)\nG['measured'] = measured\n" + SUM,  # noqa: E501
    "a code replaced": HARNESS + "G['counted'].__code__ = (lambda call, scope, budget: 1).__code__\n" + SUM,
    "a forged measure": SAY + "def f(n): say(b'pass', b'x' * 16 + b'm' + marshal.dumps(1, 2)); os._exit(0)",
    "a measure without a token": SAY + "def f(n): say(b'pass', b'm' + marshal.dumps(1, 2)); stay()",
    "text as a measure": SAY + "def f(n): say(b'pass', b'many'); stay()",
    "the collector's leavings": "import gc\ngc.set_debug(gc.DEBUG_SAVEALL)\ngc.collect()\nfor o in gc.garbage + gc.get_objects():\n    if type(o) is list and o == [False]: o[0] = False\n" + SUM,  # noqa: E501
    "a thread": "import threading\ndef f(n):\n    out = []\n    t = threading.Thread(target=lambda: out.append(sum(i for i in range(n))))\n    t.start(); t.join()\n    return out[0]",  # noqa: E501
    "a thread without the library": "import _thread, time\ndef f(n):\n    out = []\n    _thread.start_new_thread(lambda: out.append(sum(i for i in range(n))), ())\n    while not out: time.sleep(0.001)\n    return out[0]",  # noqa: E501
    "a count changed by a handler": "import sys\nfor n in ('_signal', 'signal'): sys.modules.pop(n)\nimport _signal\ndef handler(n, frame):\n    while frame is not None:\n"  # noqa: E501
        "        for cell in getattr(frame.f_locals.get('step'), '__closure__', None) or ():\n            if type(cell.cell_contents) is int: cell.cell_contents -= 3000\n        frame = frame.f_back\n"  # noqa: E501
        "_signal.signal(_signal.SIGALRM, handler)\ndef f(n):\n    s = 0\n    for i in range(n): s += i\n    _signal.raise_signal(_signal.SIGALRM)\n    return s",  # noqa: E501
    "tracing ended by a handler": "import sys\nfor n in ('_signal', 'signal'): sys.modules.pop(n)\nimport _signal\ndef handler(n, frame):\n    while frame is not None:\n        frame.f_trace_opcodes, frame.f_trace = False, None\n"  # noqa: E501
        "        frame = frame.f_back\n_signal.signal(_signal.SIGALRM, handler)\ndef f(n):\n    _signal.raise_signal(_signal.SIGALRM)\n    s = 0\n    for i in range(n): s += i\n    return s",  # noqa: E501
    "native code": "import ctypes\ndef f(n): return ctypes.c_int(0).value",
    "an end to the memory's record": "import tracemalloc\ndef f(n):\n    tracemalloc.stop()\n    s = 0\n    for i in range(n): s += i\n    return s",  # noqa: E501
}


@pytest.fixture(scope="module")
def measures():
    programs = [SUM, *FEWER.values()]
    with sandbox.Pool(2, profile="pure") as pool, patience(60):
        counts, bytes_ = (of(programs, ["f(500)"], pool=pool, limits=Limits(cpu=0.5, first=0, wall=1))
                          for of in (sandbox.cost, sandbox.memory))
    return (counts[0][0], bytes_[0][0],
            dict(zip(FEWER, zip(counts[1:], bytes_[1:], strict=False), strict=False)))


@pytest.mark.parametrize("name", FEWER)
def test_a_program_costs_what_it_costs(name, measures):
    cost, (peak, held), found = measures
    [count], [taken] = found[name]
    assert count is None or count >= cost, f"{count}, for {cost}"
    assert taken is None or taken[0] > 300 and taken[1] >= held // 2, f"{taken}, for {peak, held}"


FORGED = {  # what a process claims as the value of a call
    "wide": "('n', ('<U50000000', (1,), ['']))", "broad": "('n', ('<U300', (100000,), [''] * 100000))", "fraction": "('f', (3, 0))", "kind": "('a', 'open')", "letter": "([1], 2)", "unhashable": "('s', [('l', [])])",  # noqa: E501
    "moment": "('w', ('date', (0, 0, 0)))", "shape": "('n', ('<f8', (10 ** 9, 0), []))", "path": "('P', ('__class__', 'x'))", "array": "('V', ('u', b'1'))", "names": "('N', ('d', [[('p', 1), ('p', 2)]]))", "none": "None", "text": "'x' * 300",  # noqa: E501
    "digits": "('e', '7' * 900000)", "object": "('h', (0, 'x', None, None))", "stranger": "('o', ('x', [1]))",
}


def test_forged_values_neither_raise_nor_fill_the_reader():
    programs = [SAY + f"def f(): say(b'pass', b'x' + marshal.dumps({text}, 2)); stay()"
                for text in FORGED.values()]
    with sandbox.Pool(2, profile="pure") as pool, patience(30):
        tracemalloc.start()
        try:
            found, peak = (sandbox.evaluate([*programs, "def f(): return 5"], ["f()"], limits=QUICK,
                                            pool=pool), tracemalloc.get_traced_memory()[1])
        finally: tracemalloc.stop()
    assert found[-1] == [("pass", 5)] and {row[0] for row in found[:-1]} == {("tamper", None)}
    assert peak < 64 << 20


@pytest.mark.parametrize("name, data",
                         {"fraction": ("f", (3 ** 1_200_000, 5 ** 800_000)),
                          "collisions": ("s", [("p", (2 ** 61 - 1) * i) for i in range(25_000)])}.items())
def test_a_forged_value_does_not_keep_the_reader_busy(name, data):
    text = base64.b64encode(b"x" + marshal.dumps(data, 2)).decode()
    start = time.process_time()
    with patience(4): sandbox.carried(text)
    assert time.process_time() - start < 0.7


BEHIND = {  # what leaves something behind, and who looks for it
    "flags of a descriptor": ("import fcntl, os\nfor i in (0, 1, 2): fcntl.fcntl(i, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)\ndef f(x): return x", "import fcntl, os\ndef f(x): return 9 if fcntl.fcntl(0, fcntl.F_GETFL) & (os.O_NONBLOCK | os.O_APPEND) else x"),  # noqa: E501
    "a descriptor that is closed": ("import os\nos.closerange(0, 3)\ndef f(x): return x", "import os\ndef f(x): return len([os.fstat(i) for i in range(3)]) - 3 + x"),  # noqa: E501
    "a patched module": ("import math, json\nmath.sqrt = json.dumps = lambda x: 7\ndef f(x): return x", "import math, json\ndef f(x): return x if math.sqrt(4) == 2 and json.dumps(1) == '1' else 9"),  # noqa: E501
    "a patched builtin": ("import builtins\nbuiltins.len = lambda x: 7\ndef f(x): return x", "def f(x): return x + len([])"),  # noqa: E501
    "a module of its own": ("import sys\nsys.modules['solution2'] = sys\ndef f(x): return x", "import sys\ndef f(x): return x if 'solution2' not in sys.modules else 9"),  # noqa: E501
    "a variable of the environment": ("import os\nos.environ['LEFT'] = 'x'\ndef f(x): return x", "import os\ndef f(x): return x if 'LEFT' not in os.environ else 9"),  # noqa: E501
    "a seed": ("import random\nrandom.seed(99)\ndef f(x): random.random(); return x", "import random\nhere = random.random()\ndef f(x): return x if here == random.Random(0).random() else 9"),  # noqa: E501
    "precision": ("import decimal\ndecimal.getcontext().prec = 2\ndef f(x): return x", "import decimal\ndef f(x): return x if decimal.getcontext().prec == 28 else 9"),  # noqa: E501
    "a recursion limit": ("import sys\nsys.setrecursionlimit(60)\ndef f(x): return x", "import sys\ndef f(x): return x if sys.getrecursionlimit() == 1000 else 9"),  # noqa: E501
    "a timer": ("import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\ndef f(x): return x", "import time\ndef f(x): time.sleep(0.03); return x"),  # noqa: E501
    "a thread": ("import threading\ndef go():\n    while True: pass\nthreading.Thread(target=go, daemon=True).start()\ndef f(x): return x", "import threading\ndef f(x): return x + threading.active_count() - 1"),  # noqa: E501
    "a file": ("open('left', 'w').write('x')\ndef f(x): return x", "import os\ndef f(x): return x + len(os.listdir('.'))"),  # noqa: E501
    "a deep folder": ("import os\nfor i in range(300):\n    os.mkdir('d')\n    os.chdir('d')\ndef f(x): return x", "import os\nhere = len(os.listdir('.'))\ndef f(x): return x + here"),  # noqa: E501
    "a folder with names of the judge's": ("import os\nfor n in ('.0', '.1', '.2'): os.mkdir(n); open(n + '/x', 'w'); os.chmod(n, 0)\ndef f(x): return x", "import os\nhere = len(os.listdir('.'))\ndef f(x): return x + here"),  # noqa: E501
    "a child that says too much": (SAY + "def f(x): raw(b'\\4\\0\\0\\0\\0pass' * 100); return x", "def f(x): return x"),  # noqa: E501
}


@pytest.fixture(scope="module")
def neighbours():
    programs = [p for pair in BEHIND.values() for p in pair]
    with sandbox.Pool(1, profile="scientific") as pool, patience(60):
        found = sandbox.run(programs, ["assert f(1) == 1", "for i in [1]: assert f(i) == 1"], pool=pool,
                            limits=Limits(cpu=0.3, wall=2)).verdicts
    return dict(zip(BEHIND, found[1::2], strict=False))


@pytest.mark.parametrize("name", BEHIND)
def test_nothing_is_left_for_the_next_program(name, neighbours): assert neighbours[name] == ["pass", "pass"]


LEFT = {  # tests of one program: what one of them changes is not there in the next
    "precision": ("from decimal import *\ndef f(): return str(Decimal(1) / 3)[:8]", "import decimal\ndecimal.getcontext().prec = 3", "assert f() == '0.333333'"),  # noqa: E501
    "a module": ("import math\ndef f(): return math.sqrt(4)", "import math\nmath.sqrt = lambda x: 7", "assert f() == 2"),  # noqa: E501
    "a name": ("def f(): return 1", "g = 5", "try: g\nexcept NameError: pass\nelse: assert False"),
    "the function asked for": ("def f(): return 1", "f = lambda: 5", "assert f() == 1"),
    "a builtin": ("def f(): return len('ab')", "import builtins\nbuiltins.len = lambda x: 7", "assert f() == 2"),  # noqa: E501
}


def test_nothing_is_left_for_the_next_test():
    found = sandbox.run([p for p, *_ in LEFT.values()], [tests for _, *tests in LEFT.values()],
                        workers=1).verdicts
    assert {name: row[-1] for name, row in zip(LEFT, found, strict=False)} == dict.fromkeys(LEFT, "pass")


CHECK = "def check(candidate):\n    assert candidate(1) == {0}\n    assert abs(candidate(2) - {0}.5) < 1e-6\n"
FOR_ALL = {  # one program for all problems
    "the thing that is equal to all": PRETENDS + "ANY = pretend('unittest.mock', 'ANY')\nf0 = f1 = f2 = f3 = lambda *a: ANY\n",  # noqa: E501
    "a request to execute": SAY + REPORT + f"def f0(*a):\n    wire(b'r', False, [], {EXEC})\n    stay()\nf1 = f2 = f3 = f0\n",  # noqa: E501
    "an object that agrees": whole(TRUE + "\n" + ZERO) + "f0 = f1 = f2 = f3 = f",
    "no answer": "",
    "an end": "raise SystemExit(0)",
}


@pytest.mark.parametrize("name", FOR_ALL)
def test_no_program_solves_all_problems(name):
    row = lambda i: dict(task_id=f"HumanEval/{i}", prompt=f"def f{i}(x):\n", entry_point=f"f{i}",
                         canonical_solution="    return x", test=CHECK.format(i))
    with patience(30):
        found = suites.judge([benchmarks.from_humaneval(row(i)) for i in range(4)], [[FOR_ALL[name]]] * 4,
                             form="solution", workers=1)
    assert [pair for [pair] in found if "pass" in pair] == []


LINES = {  # programs that read and write, and whose output is compared line by line
    "a line that ends the comparison": "import sys\nclass R:\n    def strip(s): return s\n    def split(s, *a):\n        if a: return [s]\n        raise StopIteration\nclass O:\n    def getvalue(s): return R()\n    def write(s, *a): pass\n"  # noqa: E501
                                       "    def flush(s): pass\nsys.stdout = O()",
    "a function that is replaced": "import sys\nfrom unittest.mock import ANY\nsys.modules['solution']._program = lambda given: ANY\nprint(1)",  # noqa: E501
    "an exit": "import os\nos._exit(0)",
    "a number that is none": "print('nan')",
    "nothing": "",
}


@pytest.mark.parametrize("name", LINES)
def test_no_output_is_every_output(name):
    problem = benchmarks.live_problem("x", "livecodebench", "Double it.", None,
                                      [("case", f"{i}\n", f"{2 * i}\n") for i in (3, 4, 5)], "easy")
    with patience(30):
        [[(base, _)], [(good, _)]] = suites.judge([problem, problem],
                                                  [[LINES[name]], ["print(2 * int(input()))"]], workers=1)
    assert base != "pass" and good == "pass"


DEGENERATE = {"signs": "assert f(1) == " + "-" * 5000 + "1", "sum": "assert f(1) == " + "1+" * 400 + "1",
              "not": "assert " + "not " * 300 + "f(1)", "attributes": "assert f(1)" + ".a" * 400 + " == 1",
              "calls": "f" + "(1)" * 500,
              "texts": "assert f(1) == " + "'a'" * 3000,
              "brackets": "assert f(1) == " + "[" * 150 + "]" * 150, "zero": "f(1)\0",
              "half a letter": "assert f('\ud800') == 1", "digits": "assert f(1) == " + "9" * 5000,
              "the same line": "assert f(1) == 2\n" * 300, "powers": "assert f(1) == 9 ** 9 ** 9 ** 9",
              "comments": "#" * 100_000, "an open text": "assert f('''1) == 2"}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_text_is_read_without_harm(name):
    with patience(5): assert syntax.parses(DEGENERATE[name]) in (True, False)


def test_degenerate_tests_harm_nobody():
    with patience(30):
        found = sandbox.run([GOOD], [[*DEGENERATE.values(), *PASSES]],
                            limits=Limits(cpu=0.3, first=0, timeouts=99), workers=1).verdicts[0]
    assert found[-1] == "pass" and {n for n,
                                    v in zip(DEGENERATE, found, strict=False) if v == "pass"} == {"comments",
        "the same line", "not"}


def test_a_signal_or_two_do_not_lose_the_neighbours():
    programs = ([f"{GOOD}  # {i}" for i in range(20)]
                + ["import os\ndef f(x): os._exit(72)",
                   "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"])
    with patience(20): found = sandbox.run(programs, PASSES, limits=QUICK, workers=1).verdicts
    assert found[:20] == [["pass"]] * 20 and found[20] == ["exit"] and found[21][0] != "pass"


def test_every_cheat_has_a_name_of_its_own():
    assert len(EXHIBITS) == sum(map(len, GROUPS.values())) > 120
