"Questions that are asked in one message have the verdicts that they have one at a time."
from pathlib import Path

import pytest

from codedpo_nb.isolation import server

PLAIN = [f"assert f({i}) == {i}" for i in range(8)]
STRANGE = "class A:\n    def __lt__(self, other): return True\ndef f(x): return A() if x == 3 else x"
ESCAPES = "import os\nfor fd in range(3, 40):\n    try: {}\n    except OSError: pass\ndef f(x): return x"
PROGRAMS = dict(
    right="def f(x): return x",
    wrong="def f(x): return -x",
    raises="def f(x): return x if x % 3 else 1 // x",
    counts="n = [0]\ndef f(x):\n    n[0] += 1\n    return n[0] - 1",
    forgets="n = []\ndef f(x):\n    n.append(x)\n    if x == 3: exit()\n    return len(n) - 1",
    dies="import os\nn = []\ndef f(x):\n    n.append(x)\n    if x == 4: os._exit(0)\n    return x if x < 4 "
    "or len(n) == x - 4 else -1",
    dies_first="import os\ndef f(x): os._exit(3)",
    dies_last="import os\ndef f(x): return x if x < 7 else os._exit(0)",
    loops="def f(x):\n    while x == 2 or x == 5: pass\n    return x",
    loops_in_c="def f(x): return sum(range(10 ** 12)) if x == 2 else x",
    slow="import time\ndef f(x):\n    end = time.process_time() + 0.1\n    while time.process_time() < end: "
    "pass\n    return x",
    too_slow="import time\ndef f(x):\n    end = time.process_time() + 1.0 * (x == 3)\n    while "
    "time.process_time() < end: pass\n    return x",
    uncounted="import time, signal\ndef f(x):\n    signal.setitimer(signal.ITIMER_PROF, 0)\n    end = "
    "time.process_time() + 1.0 * (x == 3)\n    while time.process_time() < end: pass\n    return x",
    eats="def f(x): return [0] * 10 ** 9 if x == 3 else x",
    sleeps="import time\ndef f(x): time.sleep(60 if x == 3 else 0.01); return x",
    long="def f(x): return 'ab' * 10 ** 5 if x == 3 else x",
    all_long="def f(x): return 'ab' * 10 ** 5",
    rather_long="def f(x): return 'a' * 5000 * x if x % 2 else x",
    too_long="def f(x): return 'ab' * 10 ** 6 if x == 3 else x",
    strange=STRANGE,
    closes=ESCAPES.format("os.close(fd)"),
    talks=ESCAPES.format("os.write(fd, b'.' * 50)"),
    rings="import os\ndef f(x):\n    for fd in range(3, 40):\n        try: os.fstat(fd) and fd > 5 and "
    "os.write(fd, b'.' * 5000)\n        except OSError: pass\n    return x",
    dice="import random\ndef f(x): return random.random()",
    decimals="from decimal import *\ndef f(x):\n    getcontext().prec += 1\n    return getcontext().prec - "
    "29")
TESTS = dict(
    plain=PLAIN,
    mixed=["assert f(0) == 0", "assert f(1)", "assert not f(0)", "x = f(2)\nassert x == 2", "assert f(3) < 5",
           "assert f(4) == 4 and f(5) == 5", "assert f(5) != 5", "f(6)", "assert f(7) == 7",
           "assert f(8) == 8"],
    two=["assert f(0) == f(0)", "assert f(3) != f(3)", "assert ____ == f(2)", "assert f(2) == ____",
         "assert f(3) < f(4)", "assert 5 == f(5)", "assert f(6) is None", "assert f(5) is f(5)",
         "assert f(0) == f(1) == 0",
         "assert __f(f(2) == 2)", "assert f(7) == 7"])


@pytest.fixture(scope="module")
def zygote():
    zygote = server.Zygote(str(Path(server.__file__).parents[2]))
    yield zygote
    zygote.close()


def verdicts(zygote, source, tests, steps):
    job = dict(kind="test", source=source, items=tests, todo=list(range(len(tests))), limit=0.5, wall=3.0,
               memory=256, timeouts=3)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(server, "together", steps)
        found = server.judge_job(job, zygote)
    zygote.flush()
    return found


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n not in ("talks", "rings")])
@pytest.mark.parametrize("tests", TESTS)
def test_one_message_or_many(zygote, name, tests):
    assert verdicts(zygote, PROGRAMS[name], TESTS[tests], server.together) == verdicts(zygote, PROGRAMS[name],
        TESTS[tests], server.in_turn)


def test_a_name_nobody_knows_needs_no_process_of_its_own(zygote, monkeypatch):
    tests = ["assert ____(f(1) == 1)", "assert f(1) == 1", "____.x(f(2))", "assert f(f(2)) + ____[0] is None"]
    right = [("error:NameError", ""), ("pass", ""), ("error:NameError", ""), ("error:NameError", "")]
    assert verdicts(zygote, PROGRAMS["right"], tests, server.together) == right
    monkeypatch.setattr(server, "with_tester", lambda child, item: ("tamper", item))
    assert verdicts(zygote, PROGRAMS["right"], tests[:3], server.together) == right[:3]
    known = "def f(x): return x\nvars()['_' * 4] = f"   # a name that the program knows without saying it
    monkeypatch.undo()
    one, other = (verdicts(zygote, known, tests[:2], steps) for steps in (server.together, server.in_turn))
    assert one == other


def test_what_it_writes_harms_only_itself(zygote):
    for name in ("talks", "rings"):
        verdicts(zygote, PROGRAMS[name], PLAIN, server.together)
        assert verdicts(zygote, PROGRAMS["right"], PLAIN, server.together) == [("pass", "")] * 8
