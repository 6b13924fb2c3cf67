"The sandbox against programs that misbehave, by accident and on purpose."
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from codedpo_nb import sandbox
from codedpo_nb.sandbox import Limits, Pool, Result, SandboxError, clock, cost, evaluate, run, self_test

SHORT = Limits(cpu=0.2, first=0.05, wall=1.5, memory=128)
ROOT = Path(sandbox.__file__).parent.parent


@pytest.fixture(scope="module")
def pool():
    with Pool(2, "pure") as pool: yield pool


def one(pool, program, test="f()", limits=SHORT):
    "Verdict on one test; a good test before and one behind it have to pass unless the program does not load."
    [[before, verdict, after]] = (run([program], [["assert True", test, "assert 1 + 1 == 2"]], limits=limits,
                                      pool=pool).verdicts)
    assert (before, after) == ("pass", "pass")
    return verdict


VERDICTS = dict(
    passes=("def f(): pass", "pass"),
    fails=("def f(): assert 1 == 2", "fail"),
    fails_by_subclass=("class Mine(AssertionError): pass\ndef f(): raise Mine", "fail"),
    raises=("def f(): return {}[1]", "error:KeyError"),
    raises_own=("class Mine(Exception): pass\ndef f(): raise Mine", "error:Mine"),
    raises_interrupt=("def f(): raise KeyboardInterrupt", "error:KeyboardInterrupt"),
    raises_on_str=("class E(Exception):\n    def __str__(self): raise self\ndef f(): raise E", "error:E"),
    recursion=("def f(): return f()", "error:RecursionError"),
    loop=("def f():\n    while True: pass", "timeout"),
    loop_in_c=("def f(): return sum(range(10 ** 13))", "timeout"),
    power_in_c=("def f(): return 7 ** (10 ** 8)", "timeout"),
    loop_that_catches=("def f():\n    while True:\n        try:\n            while True: pass\n        "
                       "except BaseException: pass", "timeout"),
    swallowed=("def f():\n    try:\n        while True: pass\n    except BaseException: return 1", "timeout"),
    sleeper=("import time\ndef f(): time.sleep(60)", "timeout"),
    stopped=("import os, signal\ndef f(): os.kill(os.getpid(), signal.SIGSTOP)", "timeout"),
    timer_off=("import signal\ndef f():\n    signal.setitimer(signal.ITIMER_PROF, 0)\n    while True: pass",
               "timeout"),
    memory=("def f(): return [0] * 10 ** 9", "memory"),
    memory_slowly=("def f():\n    x = []\n    while True: x.append(bytes(10 ** 6))", "memory"),
    exit=("def f(): raise SystemExit(0)", "exit"),
    exit_now=("import os\ndef f(): os._exit(0)", "exit"),
    segfault=("import os, signal\ndef f(): os.kill(os.getpid(), signal.SIGSEGV)", "crash:SIGSEGV"),
    abort=("import os\ndef f(): os.abort()", "crash:SIGABRT"),
    deep_stack=("import sys\nclass A: __repr__ = lambda self: repr(self)\ndef f():\n    "
                "sys.setrecursionlimit(10 ** 8)\n    return repr(A())",
                "crash:SIGSEGV" if sys.version_info < (3, 12) else "error:RecursionError"),
    input=("def f(): input()", "error:EOFError"),
    flood=("def f():\n    for _ in range(2000): print('x' * 1000)", "pass"))


@pytest.mark.parametrize("name", VERDICTS)
def test_verdict(pool, name): assert one(pool, VERDICTS[name][0]) == VERDICTS[name][1]


def compile_error(source):
    try: compile(source, "<test>", "exec")
    # for null bytes this depends on the Python version
    except (SyntaxError, ValueError) as error: return "error:" + type(error).__name__


LOADS = dict(
    syntax=("def f(:", "load-error:SyntaxError"), null=("x = '\0'", "load-" + compile_error("x = '\0'")),
    surrogate=("x = '\ud800'", "load-error:UnicodeEncodeError"),
    raises=("1 / 0", "load-error:ZeroDivisionError"), loop=("while True: pass", "load-timeout"),
    exit=("import os; os._exit(3)", "load-exit"),
    system_exit=("exit(1)", "load-error:NameError"), crash=("import os; os.abort()", "load-crash:SIGABRT"),
    memory=("x = [0] * 10 ** 9", "load-memory"),
    nested=("(" * 10_000, "load-error:SyntaxError"))


@pytest.mark.parametrize("name", LOADS)
def test_program_that_does_not_load(pool, name):
    program, verdict = LOADS[name]
    assert run([program], ["assert 1", "assert 2"], limits=SHORT, pool=pool).verdicts == [[verdict] * 2]


def test_test_that_does_not_compile(pool):
    tests = ["assert f( == 1", "assert f() == 1", "x = '\0'", "(" * 10_000, "assert f() == 1 " + "#" * 10_000]
    assert run(["def f(): return 1"], tests,
               pool=pool).verdicts == [["error:SyntaxError", "pass", compile_error("\0"), "error:SyntaxError",
                                        "pass"]]


DENIED = dict(
    inet="import socket\nsocket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    unix="import socket\nsocket.socket(socket.AF_UNIX)",
    connect="import socket\nsocket.create_connection(('127.0.0.1', 22), 1)",
    resolve="import socket\nsocket.getaddrinfo('example.org', 80)",
    url="import urllib.request\nurllib.request.urlopen('http://127.0.0.1/')",
    passwd="open('/etc/passwd').read()", home="open(ROOT + '/README.md').read()", package="open(FILE).read()",
    listing="import os\nos.listdir('/')",
    write="open('/tmp/codedpo-escape', 'w')", write_here="open('escape', 'w')", append="open(LIB, 'a')",
    remove="import os\nos.remove(FILE)",
    rename="import os\nos.rename(FILE, FILE + 'x')", mkdir="import os\nos.mkdir('/tmp/codedpo-escape')",
    link="import os\nos.symlink('/', '/tmp/codedpo-escape')",
    rmtree="import shutil\nshutil.rmtree('/tmp')", temporary="import tempfile\ntempfile.TemporaryFile()",
    chmod="import os\nos.chmod(FILE, 0)",
    truncate="import os\nos.truncate(FILE, 0)", chdir="import os\nos.chdir('/etc')",
    memfd="import os\nos.memfd_create('x')",
    fork="import os\nos.fork()", forks="import os\nwhile True: os.fork()",
    spawn="import os\nos.posix_spawn('/bin/true', ['true'], {})",
    execute="import os\nos.execv('/bin/true', ['true'])",
    command="import subprocess\nsubprocess.run(['true'])",
    pool="import multiprocessing\nmultiprocessing.Pool(2)",
    threads="import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,), "
    "daemon=True).start()",
    kill_parent="import os\nos.kill(os.getppid(), 9)", kill_all="import os\nos.kill(-1, 9)",
    kill_init="import os\nos.kill(1, 9)", group="import os\nos.killpg(os.getpgid(os.getppid()), 9)",
    environ="import os\nopen(f'/proc/{os.getppid()}/environ').read()", maps="open('/proc/self/maps').read()",
    memory="open('/proc/self/mem', 'rb').read()",
    parent_memory="import os\nopen(f'/proc/{os.getppid()}/mem', 'r+b')",
    parent_pipe="import os\nopen(f'/proc/{os.getppid()}/fd/1', 'w')",
    limits="import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    session="import os\nos.setsid()", nice="import os\nos.nice(-5)", user="import os\nos.setuid(0)",
    pidfd="import os\nos.pidfd_open(os.getppid())",
    fork_by_library="import ctypes\nassert ctypes.CDLL(None).fork() != -1", send="import socket\na, b = "
    "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\na.sendto(b'x', '/dev/log')",
    named="import socket\na, b = socket.socketpair()\na.bind('x')", message="import socket\na, b = "
    "socket.socketpair()\na.sendmsg([b'x'])")
KINDS = ("error:PermissionError", "error:RuntimeError", "error:OSError", "error:ValueError", "error:gaierror",
         "error:URLError", "error:FileNotFoundError", "error:BlockingIOError", "fail")


@pytest.fixture(scope="module")
def denied(pool):
    "Verdicts of all attempts, and proof that a good program among them was not harmed."
    names = f"ROOT, FILE, LIB = {str(ROOT)!r}, {sandbox.__file__!r}, {os.__file__!r}"
    programs = [names + "\ndef f():\n" + "".join(f"    {line}\n" for line in body.split("\n"))
                for body in DENIED.values()]
    programs = [p for program in programs for p in (program, "def f(): return 1")]
    verdicts = [v for [v] in run(programs, ["f()"], limits=SHORT, pool=pool).verdicts]
    assert set(verdicts[1::2]) == {"pass"}
    return dict(zip(DENIED, verdicts[::2], strict=False))


@pytest.mark.parametrize("name", DENIED)
def test_denied(denied, name): assert denied[name] in KINDS


def test_nothing_was_written():
    assert not Path("/tmp/codedpo-escape").exists() and Path(sandbox.__file__).stat().st_size > 1000


HARMLESS = dict(
    thread="import threading\nout = []\nt = threading.Thread(target=lambda: out.append(7))\nt.start(); "
    "t.join()\nassert out == [7]",
    pool="from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(4) as e: assert "
    "list(e.map(abs, [-1, 2])) == [1, 2]",
    asyncio="import asyncio\nasync def g():\n    await asyncio.sleep(0)\n    return 7\nassert "
    "asyncio.run(g()) == 7",
    gather="import asyncio\nasync def g(x):\n    await asyncio.sleep(0.001)\n    return x\nasync def h(): "
    "return await asyncio.gather(g(1), g(2))\nassert asyncio.run(h()) == [1, 2]",
    in_executor="import asyncio\nasync def g(): return await "
    "asyncio.get_running_loop().run_in_executor(None, lambda: 7)\nassert asyncio.run(g()) == 7",
    mock="from unittest import mock\nassert mock.Mock(return_value=3)() == 3",
    native="import ctypes\nassert ctypes.sizeof(ctypes.c_int) == 4",
    pair="import socket\na, b = socket.socketpair()\na.send(b'x')\nassert b.recv(1) == b'x'",
    queue="import queue\nq = queue.Queue()\nq.put(1)\nassert q.get() == 1",
    handler="import signal\nsignal.signal(signal.SIGALRM, lambda *a: None)",
    tracing="import sys\nsys.settrace(lambda *a: None)\nsys.settrace(None)",
    objects="import gc\nassert gc.get_objects()",
    null="import os\nwith open(os.devnull, 'w') as f: f.write('x')",
    hook="import sys\nsys.addaudithook(lambda *a: None)",
    event="import threading\ne = threading.Event()\nthreading.Timer(0.01, e.set).start()\nassert e.wait(1)")


@pytest.fixture(scope="module")
def harmless(pool):
    programs = ["def f():\n" + "".join(f"    {line}\n" for line in body.split("\n"))
                for body in HARMLESS.values()]
    return dict(zip(HARMLESS, [v for [v] in run(programs, ["f()"], limits=SHORT, pool=pool).verdicts],
                    strict=False))


@pytest.mark.parametrize("name", HARMLESS)
def test_what_reaches_nothing_outside_is_allowed(harmless, name): assert harmless[name] == "pass"


FORGERIES = dict(
    builtins_before="import builtins\nbuiltins.len = lambda x: 7\ndef f(): return []",
    builtins_within="import builtins\ndef f():\n    builtins.len = lambda x: 7\n    return []",
    own_builtins="__builtins__ = {'len': lambda x: 7}\ndef f(): return []",
    pipe="import os\ndef f():\n    for fd in range(3, 64):\n        try: os.write(fd, b'\\0' * 26 + b'pass')\n        except OSError: pass\n    return []",  # noqa: E501
    pipe_at_load="import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'pass' * 9)\n    except OSError: pass\ndef f(): return []",  # noqa: E501
    closing="import os\ndef f():\n    os.closerange(0, 64)\n    while True: pass",
    nonblocking="import os\nos.set_blocking(3, False)\ndef f(): return []",
    claim="import sys\ndef f():\n    sys.audit('codedpo.verdict', 0, 'pass', '')\n    return []",
    claim_by_finalizer="import sys, functools\nclass E(Exception): __del__ = functools.partial(sys.audit, 'codedpo.verdict', 0, 'pass', '')\ndef f(): raise E",  # noqa: E501
    claim_by_collector="""import sys, functools, gc
gc.set_threshold(1)
class E: __del__ = functools.partial(sys.audit, 'codedpo.verdict', 0, 'pass', '')
def f():
    for _ in range(50):
        x = E(); x.x = x
    return []""",
    frames="""import sys
def f():
    frame = sys._getframe()
    while frame:
        for k in list(frame.f_locals):
            if k in ('verdict', 'text'): frame.f_locals[k] = 'pass'
            if k in ('codes', 'used'): frame.f_locals[k] = ()
        for k in list(frame.f_globals):
            if k in ('_EVENT', '_Late', '_builtins_of'): frame.f_globals[k] = 'pass'
        frame = frame.f_back
    return []""",
    tools="""import sys
def f():
    frame = sys._getframe()
    while frame:
        for k in {'run', 'make', 'audit', 'join', 'Fail', 'setitimer'} & set(frame.f_locals): frame.f_locals[k] = lambda *a, **k: 'pass'
        frame = frame.f_back
    return []""",  # noqa: E501
    flood="import os\ndef f():\n    for fd in range(3, 64):\n        try:\n            while True: os.write(fd, bytes(1 << 16))\n        except OSError: pass\n    return []",  # noqa: E501
    traceback="def f():\n    try: 1 / 0\n    except Exception as e: frame = e.__traceback__.tb_frame.f_back.f_back\n    frame.f_locals['verdict'] = 'pass'\n    return []",  # noqa: E501
    name="class S(str):\n    __radd__ = __add__ = __format__ = encode = lambda *a: 'pass'\nclass E(Exception): pass\nE.__name__ = S('E')\ndef f(): raise E",  # noqa: E501
    metaclass="class M(type):\n    __name__ = property(lambda s: 'pass')\n    __instancecheck__ = __subclasscheck__ = lambda *a: True\n"  # noqa: E501
              "class E(Exception, metaclass=M): __class__ = property(lambda s: AssertionError)\ndef f(): raise E",  # noqa: E501
    audit="import sys\nsys.audit = lambda *a: None\ndef f(): return []",
    exit="import os, atexit\natexit.register(os._exit, 0)\ndef f(): os._exit(0)",
    assertion="import builtins\nbuiltins.AssertionError = builtins.BaseException = type('A', (), {})\ndef f(): return []",  # noqa: E501
    modules="import sys\nsys.modules.clear()\ndef f(): return []",
    rebuilt="import codedpo_nb.sandbox as s\ns._reporter = None\ndef f(): return []",
    hook_by_error="""import sys
def f():
    for name in ('gc.get_objects', 'sys.settrace'):
        try: sys.audit(name)
        except PermissionError as e:
            tb = e.__traceback__
            while tb:
                assert not {'token', 'fd'} & set(tb.tb_frame.f_locals), 'found'
                tb = tb.tb_next
    return []""",
    hook_by_alarm="""import sys, signal
def f():
    for _ in range(200):
        try:
            signal.setitimer(signal.ITIMER_PROF, 0.0001, 0.0001)
            for _ in range(1000): sys.audit('x')
        except BaseException as e:
            tb = e.__traceback__
            while tb:
                if {'token', 'fd'} & set(tb.tb_frame.f_locals): return [1] * 7
                tb = tb.tb_next
    return []""")


@pytest.mark.parametrize("name", FORGERIES)
def test_forgery(pool, name):
    "No program whose `f` is wrong gets a pass, and later tests still get honest verdicts."
    [verdicts] = (run([FORGERIES[name]],
                      ["assert len(f()) == 7", "assert f() == 7 or len(f()) == 7", "assert False"],
                      limits=SHORT, pool=pool).verdicts)
    assert "pass" not in verdicts, verdicts


def test_agreeable_objects_agree_with_nothing_outside(pool):
    program = ("class Yes:\n    __eq__ = __ne__ = __lt__ = __contains__ = lambda *a: True\ndef f(x): return "
               "Yes()")
    tests = ["assert f(2) == 4", "assert 4 == f(2)", "assert f(2) in [4]", "assert [f(2)] == [4]",
             "for x in [2]: assert f(x) == 4", "import unittest\nunittest.TestCase().assertEqual(f(2), 4)"]
    assert run([program], tests, pool=pool).counts() == {"fail": 6}
    assert "pass" not in run([program],
                             ["assert f(2) < 4", "assert 4 in f(2)", "x = f(2)\nassert 4 in x",
                              "x = f(2)\nassert x > 3"], pool=pool).verdicts[0]
    assert evaluate([program], ["f(2)"], pool=pool) == [[("error:NotPlainData", None)]]


def test_identical_results_however_it_is_run(pool):
    programs = ([VERDICTS[n][0] for n in VERDICTS if n not in ("sleeper", "stopped", "power_in_c")]
                + [p for p, _ in LOADS.values()])
    tests = ["f()", "import random\nassert random.random() < 0.85", "assert hash('a') % 2 == 1"]
    limits = Limits(cpu=0.15, first=0.05, wall=1.5, memory=128)
    digests = {run(programs, tests, limits=limits, workers=workers).digest for workers in (1, 2)}
    digests |= {run(programs, tests, limits=Limits(cpu=0.15, first=first, wall=1.5, memory=128),
                    pool=pool).digest for first in (0, 0.02)}
    digests.add(run(programs, tests, limits=limits, workers=1, level="rlimits").digest)   # not confined
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try: digests.add(run(programs, tests, limits=limits, pool=pool).digest)
    finally:
        for burner in burners: burner.kill(); burner.wait()
    assert len(digests) == 1


def test_timeouts_end_a_program_and_do_not_depend_on_the_short_pass(pool):
    program = "def f(n):\n    while n: n -= 1"
    tests = ["f(-1)", "f(10)", "f(10 ** 6)", "f(-2)", "f(20)", "f(-3)", "f(30)", "f(-4)"]
    expected = ["timeout", "pass", "pass", "timeout", "pass", "timeout", "not-run", "not-run"]
    for first in (0, 0.01):
        assert run([program], [tests], limits=Limits(cpu=0.3, first=first), pool=pool).verdicts == [expected]


def test_repeated_work_is_done_once_and_lists_are_matched(pool):
    calls = []
    programs = ["def f(): return 1", "def f(): return 2"] * 50
    result = run(programs, ["assert f() == 1", "assert f() == 2", "assert f() == 1"], pool=pool,
                 progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
    assert result.matrix(slice(0, 2)).tolist() == [[1, 0, 1],
                                                   [0, 1, 0]] and result.matrix([1]).tolist() == [[0, 1, 0]]
    assert result.matrix().shape == (100, 3) and result.passed[0].dtype == np.uint8
    with pytest.raises(ValueError, match="2 programs need as many lists"):
        run(["", ""], [["assert 1"]], pool=pool)
    with pytest.raises(ValueError, match="different numbers of tests"): Result([["pass"], []], "").matrix()
    assert run([], [], pool=pool).verdicts == [] and run(["x = 1"], [[]], pool=pool).verdicts == [[]]


def test_journal_continues_and_survives_a_torn_line(tmp_path, pool):
    path, programs, tests = (tmp_path/"v.jsonl", [f"def f(): return {i}" for i in range(40)],
                             ["assert f() % 2", "assert f() < 7"])
    whole = run(programs, tests, pool=pool, journal=path)
    data = path.read_bytes()
    path.write_bytes(data[:len(data) // 2])
    assert data[len(data) // 2 - 1:len(data) // 2] != b"\n"
    seen = []
    again = run(programs, tests, pool=pool, journal=path, progress=lambda done, total: seen.append(done))
    assert again.digest == whole.digest and 10 < len(seen) < 30
    run(programs, tests, pool=pool, journal=path, progress=lambda *_: seen.append(None))
    assert None not in seen
    run(programs[:1], tests, pool=pool, journal=path, limits=SHORT, progress=lambda *_: seen.append(None))
    assert None in seen   # other limits, other key


KILLED = """
import sys
from codedpo_nb.sandbox import run, Limits
def show(done, total): print(done, flush=True)
programs = [f"def f(): return {i}" for i in range(60)] + [f"def f():\\n    while True: {i}" for i in range(8)]
print(run(programs, ["f()", "assert f() < 7"], limits=Limits(cpu=0.3), journal=sys.argv[1], workers=2, progress=show).digest)
"""  # noqa: E501


def descendants(pid):
    "Processes below `pid`."
    try:
        children = [int(c) for t in os.listdir(f"/proc/{pid}/task")
                    for c in Path(f"/proc/{pid}/task/{t}/children").read_text().split()]
    except OSError: children = []
    return children + [d for c in children for d in descendants(c)]


def alive(pid):
    try: return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError: return False


def test_killed_parent_leaves_nothing_and_the_next_call_continues(tmp_path):
    command, env = ([sys.executable, "-c", KILLED, str(tmp_path/"v.jsonl")],
                    dict(os.environ, PYTHONPATH=str(ROOT)))
    first = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    for line in first.stdout:
        if int(line) >= 60: break
    below = set()
    deadline = time.time() + 5
    while len(below) < 3 and time.time() < deadline: below |= set(descendants(first.pid))
    first.kill()
    first.wait()
    deadline = time.time() + 3
    while any(map(alive, below)) and time.time() < deadline: time.sleep(0.02)
    assert len(below) >= 3 and not any(map(alive, below))
    second = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()
    assert int(second[0]) > 60
    fresh = subprocess.run(command[:-1] + [str(tmp_path/"w.jsonl")], env=env, capture_output=True, text=True,
                           check=True).stdout.split()
    assert second[-1] == fresh[-1]


def test_server_that_dies_is_replaced():
    with Pool(2) as pool:
        def murder(done, total):
            if done == 5: os.kill(pool.servers[0].process.pid, signal.SIGKILL)
        programs = [f"def f(): return {i}" for i in range(100)]
        assert run(programs, ["assert f() >= 0"], pool=pool, progress=murder).counts() == {"pass": 100}


def test_pool_works_again_after_an_interrupted_call(pool):
    def interrupt(done, total): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        run([f"def f(): return {i}" for i in range(50)], ["f()"], pool=pool, progress=interrupt)
    assert run(["def f(): return 1"], ["assert f() == 1"], pool=pool).verdicts == [["pass"]]


def test_many_programs_leak_nothing(pool):
    def state():
        return [(len(os.listdir(f"/proc/{p}/fd")), descendants(p)) for s in pool.servers
                for p in (s.process.pid, s.zygote)]
    programs = [f"def f(x): return x + {i}" for i in range(400)]
    run(programs[:100], ["assert f(1)"], pool=pool)
    before = state()
    run(programs, ["assert f(2)", "1 / 0", "import os; os._exit(1)"], pool=pool)
    assert state() == before and [children for _,
                                  children in before] == [c for s in pool.servers for c in ([s.zygote], [])]


def test_environment_is_fixed_and_empty(pool, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    values = evaluate([""],
                      ["sorted(__import__('os').environ)", "hash('codedpo')", "__import__('random').random()",
                       "__import__('time').tzname", "__name__"], workers=1)[0]
    again = evaluate(["#"],
                     ["sorted(__import__('os').environ)", "hash('codedpo')", "__import__('random').random()",
                      "__import__('time').tzname", "__name__"], pool=pool)[0]
    assert values == again and "SECRET_TOKEN" not in values[0][1] and values[3] == ("pass",
        ("UTC", "UTC")) and values[4] == ("pass", "solution")


def test_tests_do_not_see_each_others_names(pool):
    assert run(["x = 1"], [["x = 2\ny = 3", "assert x == 1", "assert 'y' not in globals()"]],
               pool=pool).counts() == {"pass": 3}


def test_evaluate(pool):
    program = ("import math, collections\ndef f(x): return x\ndef g(): return "
               "collections.OrderedDict(a=1)\ndef big(): return [0] * 10 ** 6")
    values = [None, -3, 2.5, "a\n'\ud800", b"\0", [1, (2,)], {"k": {1, 2}}, 1e400, -1e400, 10 ** 50, 1 + 2j,
              set(), frozenset([()]), True]
    out = evaluate([program],
                   [[f"f({v!r})".replace("inf", "math.inf") for v in values]
                    + ["f(math.nan)", "g()", "big()", "1 / 0", "f(f)"]], pool=pool)[0]
    assert [v for _, v in out[:len(values)]] == values and [type(v) for _,
                                                            v in out[:len(values)]] == [type(v)
        for v in values]
    assert math.isnan(out[len(values)][1])
    assert [v for v, _ in out[-4:]] == ["error:NotPlainData", "error:NotPlainData", "error:ZeroDivisionError",
                                        "error:NotPlainData"]


def test_cost_is_exact_and_sees_only_the_program(pool):
    loop = "def f(n):\n    s = 0\n    for i in range(n): s += i\n    return s"
    a, b = (
        [cost([program], ["f(10)", "f(1000)", "f(-1)", "f(None)", "f(10 ** 9)"], pool=p,
              limits=Limits(cpu=0.5, first=0))[0]
             for p in (pool, None)]
            for program in (loop, "import statistics\ndef f(n): return statistics.mean(range(n + 1))"))
    assert a[0] == a[1] and b[0] == b[1]
    assert (a[0][1] - a[0][0]) % 990 == 0 and a[0][3:] == [None, None] and b[0][0] == b[0][1] < 30
    assert cost([loop], ["f(1000)"], budget=100, pool=pool) == [[None]]
    swallow = "def f(n):\n    try:\n        while True: n += 1\n    except BaseException: return 1"
    assert cost([swallow], ["f(1)"], budget=1000, pool=pool) == [[None]]


def test_clock_orders_and_survives_bad_programs(pool):
    programs = ["def f(x): return sum(x)", "def f(x):\n    for _ in range(20): sum(x)\n    return sum(x)",
                "def f(x): return y", "def f(", "def f(x):\n    while x: pass"]
    out = clock(programs, ["f(list(range(300)))", "f([])"], rounds=3, pool=pool)
    assert 8 < out[1][0] / out[0][0] < 40 and out[2] == out[3] == [None,
        None] and out[4][0] is None and out[4][1] > 0


def test_self_test_and_weak_containment(monkeypatch):
    found = self_test()
    assert found["loops"] == "timeout" and "pass" not in [found[n] for n in sandbox.ATTEMPTS]
    monkeypatch.setattr(sandbox.server, "receive_message", lambda fd: dict(level="rlimits"))
    with pytest.raises(SandboxError, match="level="): Pool(1)


STREAMS = """
def greet(name): print('Hello,', name)
def add():
    a, b = int(input('a? ')), int(input('b? '))
    print(a + b)
def total():
    import sys
    return sum(int(line) for line in sys.stdin)
def shout():
    print('before')
    raise ValueError('after')
def helper(x): return x
def use(x): return helper(x) + 1
"""

def test_tests_put_their_own_streams_and_functions_in_place(pool):
    tests = ["import io\nfrom contextlib import redirect_stdout\nout = io.StringIO()\nwith "
             "redirect_stdout(out): greet('you')\nassert out.getvalue() == 'Hello, you\\n'",
             "import io, sys\nsys.stdin = io.StringIO('1\\n2\\n')\nassert total() == 3",
             "import io, sys\nfrom unittest.mock import patch\nwith patch('builtins.input', "
             "side_effect=['3', '4']), patch('sys.stdout', new_callable=io.StringIO) as out: "
             "add()\nassert out.getvalue() == '7\\n'",
             "import io, sys\nsys.stdout = out = io.StringIO()\ntry: shout()\nexcept ValueError as e: assert "
             "str(e) == 'after' and out.getvalue() == 'before\\n'\nelse: assert False",
             "from unittest.mock import patch\nwith patch('solution.helper', return_value=41): assert use(1) "
             "== 42\nassert use(1) == 2",
             "import io\nfrom contextlib import redirect_stdout\nout = io.StringIO()\nwith "
             "redirect_stdout(out): greet('you')\nassert out.getvalue() == 'Hello, me\\n'"]
    assert run([STREAMS], [tests], pool=pool).verdicts == [["pass"] * 5 + ["fail"]]


# ------------------------------------------------------------------ sockets of every kind, and native code
# where a profile has it

SOCKETS = dict(udp="AF_INET, socket.SOCK_DGRAM", raw="AF_INET, socket.SOCK_RAW",
               inet6="AF_INET6, socket.SOCK_STREAM", datagrams="AF_UNIX, socket.SOCK_DGRAM",
               netlink="AF_NETLINK, socket.SOCK_RAW", packet="AF_PACKET, socket.SOCK_RAW",
               vsock="AF_VSOCK, socket.SOCK_STREAM", crypto="AF_ALG, socket.SOCK_SEQPACKET")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="these kinds of sockets are Linux's")
@pytest.mark.parametrize("name", SOCKETS)
def test_socket_is_denied(pool, name):
    assert one(pool,
               f"import socket\ndef f(): socket.socket(socket.{SOCKETS[name]})") == "error:PermissionError"


@pytest.fixture(scope="module")
def science():
    "A server of the profile in which programs have native code, threads and a scratch folder."
    pytest.importorskip("numpy", reason="the profile is for numpy")
    with Pool(1, profile="scientific") as pool: yield pool


RAW = """import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    if libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in args]) < 0: raise OSError(ctypes.get_errno(), '')
"""  # noqa: E501
NATIVE = dict(socket="call(41, 2, 1, 0)", socketpair="call(53, 2, 1, 0, ctypes.create_string_buffer(8))",
              sendto="call(44, 1, b'x', 1, 0, b'\\1\\0/dev/log', 11)",
              ptrace="call(101, 16, os.getppid(), 0, 0)", fork="call(57)", vfork="call(58)",
              clone="call(56, 17, 0, 0, 0, 0)", clone3="call(435, 0, 0)",
              execute="call(59, b'/bin/true', 0, 0)", kill_parent="call(62, os.getppid(), 0)",
              kill_all="call(62, -1, 0)",
              kill_group="call(62, 0, 0)", queue="call(129, os.getppid(), 9, 0)",
              pidfd="call(434, os.getppid(), 0)", read_memory="call(310, os.getppid(), 0, 0, 0, 0, 0)",
              unshare="call(272, 0x10000000)", mount="call(165, b'none', b'/tmp', b'tmpfs', 0, 0)",
              chroot="call(161, b'/')", keys="call(250, 0, -3, 0)", bpf="call(321, 0, 0, 0)",
              perf="call(298, 0, 0, 0, 0, 0)", ring="call(425, 1, 0)", module="call(313, 0, 0, 0)",
              reboot="call(169, 0, 0, 0, 0)", clock="call(227, 0, 0)", hostname="call(170, b'x', 1)",
              limits="call(302, 0, 9, ctypes.create_string_buffer(b'\\xff' * 16), 0)",
              other_limits="call(302, os.getppid(), 9, 0, ctypes.create_string_buffer(16))",
              session="call(112)",
              group="call(109, 0, 0)", filters="call(157, 22, 0, 0, 0, 0)", death="call(157, 1, 0, 0, 0, 0)",
              identity="call(105, 0)", swap="call(167, b'/', 0)", truncate="call(76, FILE.encode(), 0)",
              extended="call(188, FILE.encode(), b'user.x', b'', 0, 0)", handle="call(304, 0, 0, 0)",
              memfd="call(319, b'x', 0)", fanotify="call(300, 0, 0)", userfault="call(323, 0)")


@pytest.mark.skipif(sandbox.platform.machine() != "x86_64", reason="the numbers are those of x86_64")
@pytest.mark.parametrize("name", NATIVE)
def test_system_call_from_native_code_is_denied(science, name):
    assert one(science,
               f"FILE = {sandbox.__file__!r}\n{RAW}def f(): {NATIVE[name]}") in ("error:PermissionError",
        "error:OSError")


ON_DISK = dict(
    scratch=("open('a', 'w').write('x')\n    assert open('a').read() == 'x'", "pass"),
    temporary=("import tempfile\n    with tempfile.TemporaryDirectory() as d: open(d + '/a', 'w').write('x')",
               "pass"),
    own_scratch=("import shutil, os\n    shutil.rmtree(os.getcwd())", "error:OSError error:PermissionError"),
    big_file=("f = open('a', 'wb')\n    while True: f.write(bytes(10 ** 6))", "error:OSError crash:SIGXFSZ"),
    many_files=("for i in range(20000): open(str(i), 'w').close()",
                "error:OSError error:PermissionError timeout"),
    deep=("import os\n    for i in range(3000): os.mkdir('d'); os.chdir('d')",
          "pass error:OSError error:PermissionError timeout"),
    closed_folder=("import os\n    os.mkdir('d', 0)", "pass"),
    link_out=("import os\n    os.symlink('/etc', 'e')\n    open('e/passwd')",
              "error:PermissionError error:FileNotFoundError"),
    hard_link=("import os\n    os.link('/etc/passwd', 'p')", "error:PermissionError error:OSError "
               "error:FileNotFoundError"),
    write_outside=("open('/etc/codedpo', 'w')", "error:PermissionError error:OSError"),
    read_outside=("open('/etc/passwd')", "error:PermissionError error:FileNotFoundError"),
    package=("open(FILE).read()", "error:PermissionError error:FileNotFoundError"),
    environ=("import os\n    open(f'/proc/{os.getppid()}/environ')",
             "error:PermissionError error:FileNotFoundError"),
    mode=("import os\n    before = os.stat('/usr/lib').st_mode\n    os.chmod('/usr/lib', 0)\n    assert "
          "os.stat('/usr/lib').st_mode == before", "pass"),
    thread=("import threading\n    t = threading.Thread(target=print)\n    t.start()\n    t.join()", "pass"),
    threads=("import threading, time\n    while True: threading.Thread(target=time.sleep, "
             "args=(60,)).start()", "error:RuntimeError memory timeout"),
    numpy=("import numpy as np\n    assert (np.arange(3) @ np.arange(3)) == 5", "pass"))


@pytest.mark.parametrize("name", ON_DISK)
def test_scratch_folder(science, name):
    program, expected = ON_DISK[name]
    assert one(science, f"FILE = {sandbox.__file__!r}\ndef f():\n    {program}",
               limits=Limits(cpu=1, first=0, wall=5, memory=512)) in expected.split()
    assert evaluate(["import os"], ["os.listdir('.')"],
                    pool=science) == [[("pass", [])]], "the next program finds the folder empty"


BUILT = """import subprocess
def f():
    open('a.c', 'w').write('#include <stdio.h>\\nint main(void) { puts("42"); return 0; }')
    subprocess.run(['gcc', 'a.c', '-o', 'a'], check=True)
    return subprocess.run(['./a'], capture_output=True, text=True).stdout
def bomb():
    import os
    while True: os.fork()
def away():
    import os
    if not os.fork():
        while True: pass
def session():
    import os
    os.setsid()
def kill():
    import os
    os.kill(os.getppid(), 9)
"""


@pytest.fixture(scope="module")
def compilers():
    try: pool = Pool(1, profile="compilers")
    except SandboxError as error: pytest.skip(str(error))
    with pool: yield pool


def test_compilers(compilers):
    import shutil
    if not shutil.which("gcc"): pytest.skip("gcc is not installed")
    assert evaluate([BUILT], ["f()"], pool=compilers,
                    limits=Limits(cpu=5, first=0, wall=30, memory=1024)) == [[("pass", "42\n")]]


def test_processes_end_with_the_program_that_started_them(compilers):
    tests = ["away()", "bomb()", "session()", "kill()", "assert True"]
    [verdicts] = run([BUILT], [tests], pool=compilers, limits=Limits(cpu=0.5, first=0, wall=2)).verdicts
    assert verdicts[0] == "pass" and verdicts[1] != "pass" and verdicts[2:] == [
        "error:PermissionError"] * 2 + ["pass"]
    assert descendants(compilers.servers[0].zygote) == []


# ------------------------------------------------------------------ levels, executors

def test_level_is_recorded_and_the_weakest_is_not_taken_from_a_journal(tmp_path, pool):
    path, seen = tmp_path/"v.jsonl", []
    count = lambda done, total: seen.append(done)
    weak = run(["def f(): return 1"], ["assert f() == 1"], level="rlimits", workers=1, journal=path,
               progress=count)
    assert weak.level == "rlimits" and '"level": "rlimits"' in path.read_text()
    strong = run(["def f(): return 1"], ["assert f() == 1"], pool=pool, journal=path, progress=count)
    assert strong.level == pool.level != "rlimits" and strong.digest == weak.digest and len(seen) == 2
    run(["def f(): return 1"], ["assert f() == 1"], level="rlimits", workers=1, journal=path, progress=count)
    assert len(seen) == 2, "the better one is good enough"
    with pytest.raises(ValueError, match="unknown profile"): Pool(1, profile="all")
    with pytest.raises(ValueError, match="the pool has profile"): run([], [], pool=pool, profile="compilers")


WORK = ([f"def f(x): return x + {i % 40}" for i in range(80)]
        + ["def f(x): return 1 / 0", "import os\ndef f(x): os._exit(0)"])


@pytest.mark.parametrize("kind", ["ThreadPoolExecutor", "ProcessPoolExecutor"])
def test_executor(kind, pool, tmp_path):
    import concurrent.futures
    tests, path = ["assert f(1) == 3", "f(None)"], tmp_path/"v.jsonl"
    context = (dict(mp_context=__import__("multiprocessing").get_context("spawn"))
               if kind.startswith("Process") else {})
    with getattr(concurrent.futures, kind)(2, **context) as executor:
        result = run(WORK, tests, executor=executor, journal=path, profile="pure")
    assert result.digest == run(WORK, tests, pool=pool).digest and result.level == pool.level
    assert run(WORK, tests, pool=pool, journal=path,
               progress=lambda *_: pytest.fail("the journal has it")).digest == result.digest


def test_dask_cluster(pool):
    distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2,
                                  dashboard_address=None) as cluster, distributed.Client(cluster) as client:
        result = run(WORK, ["assert f(1) == 3"], executor=client.get_executor())
    assert result.digest == run(WORK, ["assert f(1) == 3"], pool=pool).digest


# ------------------------------------------------------------------ ground truth

DATA = Path(os.environ.get("CODEDPO_DATA") or ROOT.parent/"shared/data")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
@pytest.mark.parametrize("name", ["humaneval", "mbpp-sanitized", "humaneval+", "mbpp+"])
def test_every_canonical_solution_passes(name):
    from codedpo_nb import benchmarks
    try: problems = benchmarks.load(name, benchmarks.find(name, DATA))
    except benchmarks.BenchmarkError as error: pytest.skip(str(error))
    from codedpo_nb import suites
    found = suites.judge(problems, [[p["canonical"]] for p in problems], workers=2)
    assert {p["task_id"]: pair for p,
            [pair] in zip(problems, found, strict=False) if pair != ("pass", "pass")} == {}


@pytest.mark.long
def test_every_buggy_solution_fails(pool):
    import gzip
    import json
    path = DATA/"humanevalpack/python.jsonl.gz"
    if not path.exists(): pytest.skip(f"{path} does not exist; name the folder in CODEDPO_DATA")
    with gzip.open(path, "rt") as file: rows = [json.loads(line) for line in file]
    sources = [r["prompt"] + r[kind] for kind in ("buggy_solution", "canonical_solution") for r in rows]
    found = [v
             for [v] in run(sources, [[r["test"]] for r in rows] * 2, limits=Limits(cpu=2),
                            pool=pool).verdicts]
    assert "pass" not in found[:len(rows)] and set(found[len(rows):]) == {"pass"}


# ------------------------------------------------------------------ ten thousand in a row

def resident(pid): # MiB
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2 ** 20


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_ten_thousand_programs_leave_no_process_descriptor_or_file_and_memory_stays_flat(pool):
    def state():
        return [(len(os.listdir(f"/proc/{p}/fd")), descendants(p) if p != os.getpid() else None)
                for s in pool.servers for p in (s.process.pid, s.zygote, os.getpid())]
    def some(start, count):
        programs = [f"def f(x): return x + {i}" for i in range(start, start + count)]
        return run(programs, ["assert f(1) > 1", "f(None)"], pool=pool).counts()
    some(0, 2000)
    before, files, sizes = (state(), sorted(os.listdir("/tmp")),
                            [[resident(p) for p in (s.process.pid, s.zygote)] for s in pool.servers])
    assert some(2000, 8000) == {"pass": 8000, "error:TypeError": 8000}
    # a run of stages, in another test at the same time, has its sockets in a folder there
    sockets = re.compile(r"codedpo-\d+-[0-9a-f]{8}")
    new = [f for f in set(os.listdir("/tmp")) - set(files) if f.startswith("codedpo")]
    assert state() == before and not [f for f in new if not sockets.fullmatch(f)]
    assert all(resident(p) < size + 4 for s, old in zip(pool.servers, sizes, strict=False) for p,
               size in zip((s.process.pid, s.zygote), old, strict=False))


def test_import_is_light():
    code = ("import sys, time; t = time.process_time(); import codedpo_nb.sandbox; print(time.process_time() "
            "- t, 'torch' in sys.modules, 'numpy' in sys.modules)")
    seconds, *heavy = subprocess.run([sys.executable, "-c", code], env=dict(os.environ, PYTHONPATH=str(ROOT)),
                                     capture_output=True, text=True).stdout.split()
    assert float(seconds) < 0.3 and heavy == ["False", "False"]


@pytest.mark.parametrize("why, call", {
    "programs is one string": lambda pool: run("def f(x): return x", ["assert f(1)"], pool=pool),
    "tests is one string": lambda pool: run(["x = 1"], "assert x", pool=pool),
    "program is function": lambda pool: run([lambda: 1], ["assert 1"], pool=pool),
    "test is int": lambda pool: run(["x = 1"], [[1]], pool=pool),
    "limits is dict": lambda pool: run(["x = 1"], ["assert x"], limits=dict(cpu=1), pool=pool)}.items())
def test_arguments_of_the_wrong_type_are_one_sentence(pool, why, call):
    with pytest.raises(TypeError, match=why): call(pool)


# ------------------------------------------------------------------ counters

def test_events_are_counted_as_seconds_are():
    with pytest.raises(sandbox.SandboxError, match="does not let a program count 'parsecs'"):
        sandbox.Pool(1, counter="parsecs")
    if "task-clock" not in sandbox.counters(): pytest.skip("this kernel lets programs count no events")
    program = "def f(n):\n    return [x for x in range(n)]"
    with sandbox.Pool(1, counter="task-clock") as pool:
        [[few, many], [nothing, also]] = sandbox.clock([program, "def f(n): return y"], ["f(1)", "f(1000)"],
                                                       by="task-clock", pool=pool)
        assert 0 < 10 * few < many and nothing is also is None
        assert len(sandbox.clock([program], ["f(9)"], 7, every=True, by="task-clock", pool=pool)[0][0]) == 7
        assert sandbox.run(["x = 1"], [["assert x", "assert not x"]],
                           pool=pool).verdicts == [["pass", "fail"]]
        with pytest.raises(ValueError, match="make it with Pool"):
            sandbox.clock([program], ["f(9)"], by="cycles", pool=pool)
