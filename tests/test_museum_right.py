"""A museum of right answers that are unusual: how people and models write Python, and not how a judge would
like it.

Every exhibit is a program with the tests that it passes. A judge that fails one of them fails somebody's
right answer."""
import textwrap

import pytest

from codedpo_nb import sandbox

ADDS = ["assert add(1, 2) == 3", "assert add('a', 'b') == 'ab'"]
ONE = ["assert f(1) == 2", "assert f(-1) == 0"]
PLAIN = "def f(x):\n    return x + 1\n"


def exhibits(text):
    """Name -> program and tests.

    A line `=== name` begins an exhibit, `---` a test; without tests, `f` adds one."""
    found = {}
    for part in text.strip("\n").removeprefix("=== ").split("\n=== "):
        name, _, rest = part.partition("\n")
        program, *tests = rest.split("\n---\n")
        found[name] = program, tests or ONE
    return found


HELPERS = """_check _oracle check candidate solution _scope copy assert_ np main test run value call result
     report_ answer compare equal verdict tests program expected args reply isclose
    deepcopy json pickle _ __ _f _expected _value _result _call _test_ _program ns g""".split()
ADD = "def {0}(a, b):\n    return a + b\n\ndef add(x, y):\n    return {0}(x, y)"
NAMES = {f"a function called {name}": (ADD.format(name), ADDS) for name in HELPERS} | {
    "builtins given other meanings": ('list_, sum = sum, list\ndef add(x, y):\n    len = x\n    id = y\n    '
                                      'return len + id', ADDS),
    "a parameter called self": ('def add(self, assert_):\n    return self + assert_', ADDS),
    "dunder names of its own": ("__version__ = '1'\n__author__ = 'me'\n__all__ = ['add']\ndef __hidden(a, "
                                "b): return a + b\nadd = __hidden", ADDS),
       "a name that Python mangles": ('class A:\n    __x = 1\n    def f(self, x): return x + self.__x\nf = '
                                      'A().f', ONE),
    "letters that are not English": ('def größe(élan, 数):\n    return élan + 数\n\ndef add(x, y):\n    π = '
                                     'größe(x, y)\n    return π', ADDS),
    "an entry point in other letters": ('def größe(x):\n    return x + 1', ['assert größe(1) == 2']),
    "letters that Python makes equal": ('def ﬁnd(x):\n    return x + 1', ['assert find(1) == 2']),
}

SOURCES = {
    "CRLF": (PLAIN.replace("\n", "\r\n"), ONE),
    "old Macintosh line ends": (PLAIN.replace("\n", "\r"), ONE),
    "a byte order mark": ("\ufeff" + PLAIN, ONE),
    "tabs": (PLAIN.replace("    ", "\t"), ONE),
    "form feeds": ("\f" + PLAIN + "\f\n", ONE),
    "no last line end": (PLAIN.rstrip(), ONE),
    "one space": (PLAIN.replace("    ", " "), ONE),
    "backslashes at line ends": ("def f(x):\n    return x \\\n        + 1", ONE),
    "a coding line": ("# -*- coding: latin-1 -*-\n" + PLAIN, ONE),
    "a coding line and other letters": ("# coding: utf-8\nMOTTO = 'é 日本 \U0001f600'\n" + PLAIN, ONE),
    "a hash-bang": ("#!/usr/bin/env python3\n" + PLAIN, ONE),
    "everything on one line": ("def f(x): y = x; y += 1; return y", ONE),
       "a docstring with triple quotes of both kinds": ("'''\"\"\"'''\ndef f(x):\n    '''It says "
                                                        "\"\"\"x\"\"\".'''\n    return x + 1", ONE),
    "annotations from the future": ("from __future__ import annotations\ndef f(x: Unknown) -> "
                                    "list[Nowhere]:\n    return x + 1", ONE),
    "a docstring before the future": ("'''Adds.'''\nfrom __future__ import annotations\n" + PLAIN, ONE),
    "an escape that warns": ("import re\ndef f(x):\n    re.compile('\\d')\n    return x + 1", ONE),
    "a comparison that warns": ("def f(x):\n    return x + 1 if x is not 99999 else 100000", ONE),
    "a long line": ("def f(x):\n    return x + " + " + ".join(["0"] * 90) + " + 1", ONE),
    "a large table": ("T = {i: i + 1 for i in range(20000)}\ndef f(x):\n    return T.get(x, x + 1)", ONE),
    "asserts of its own": (PLAIN + "assert f(5) == 6\n", ONE),
    "comments that look like tests": (PLAIN + "# assert f(1) == 3\n", ONE),
}

STYLES = exhibits(r'''
=== a lambda
f = lambda x: x + 1
=== a partial
from functools import partial
from operator import add
f = partial(add, 1)
=== an object that can be called
class F:
    def __call__(self, x): return x + 1
f = F()
=== a class that can be called
class f(int):
    def __new__(cls, x): return int.__new__(cls, x + 1)
=== a bound method
class A:
    def go(self, x): return x + 1
f = A().go
=== a static method
class A:
    @staticmethod
    def f(x): return x + 1
f = A.f
=== a class method
class A:
    step = 1
    @classmethod
    def f(cls, x): return x + cls.step
f = A.f
=== a builtin
f = len
---
assert f([1, 2]) == 2
=== defined in a branch
if True:
    def f(x): return x + 1
else:
    def f(x): return x
=== defined in a try
try:
    import nowhere
except ImportError:
    def f(x): return x + 1
=== defined twice
def f(x): return x
def f(x):
    return x + 1
=== made by a function
def make(n):
    def inner(x): return x + n
    return inner
f = make(1)
=== a decorator
import functools
def loud(g):
    @functools.wraps(g)
    def inner(*a, **k):
        return g(*a, **k)
    return inner
@loud
def f(x):
    return x + 1
=== a decorator with arguments
def plus(n):
    return lambda g: lambda x: g(x) + n
@plus(1)
def f(x): return x
=== memory
from functools import lru_cache
@lru_cache(maxsize=None)
def f(n):
    return n if n < 2 else f(n - 1) + f(n - 2)
---
assert f(80) == 23416728348467685
=== unlimited memory
from functools import cache
@cache
def f(x):
    return x + 1
=== single dispatch
from functools import singledispatch
@singledispatch
def f(x): return x + 1
@f.register
def _(x: str): return x + '1'
---
assert f(1) == 2
---
assert f(-1) == 0
---
assert f('a') == 'a1'
=== exec
exec('def f(x):\n    return x + 1')
=== eval
def f(x):
    return eval('x + 1')
=== compile
exec(compile('f = lambda x: x + 1', '<here>', 'exec'))
=== a name set through globals
globals()['f'] = lambda x: x + 1
=== a global counter
n = 0
def f(x):
    global n
    n += 1
    return x + 1
=== nonlocal
def f(x):
    n = x
    def up():
        nonlocal n
        n += 1
    up()
    return n
=== its own builtin patched
import builtins
_sum = sum
def sum(xs): return _sum(xs)
def f(x): return sum([x, 1])
=== its own class patched
class A: pass
A.go = lambda self, x: x + 1
f = A().go
=== a default that remembers
def f(x, seen={}):
    seen[x] = x + 1
    return seen[x]
=== keyword-only and positional-only
def f(x, /, *, step=1):
    return x + step
---
assert f(1) == 2
---
assert f(-1) == 0
---
assert f(1, step=2) == 3
=== many arguments
def f(*args, **kw):
    return len(args) + len(kw)
---
assert f(1, 2, *[3], **{'a': 1}) == 4
=== the walrus
def f(x):
    return y if (y := x + 1) else 0
=== match
def f(x):
    match x:
        case [a, *rest]: return a + len(rest)
        case {'k': v}: return v
        case int() | float(): return x + 1
        case _: return None
---
assert f(1) == 2
---
assert f(-1) == 0
---
assert f([1, 2, 3]) == 3
---
assert f({'k': 7}) == 7
---
assert f('') is None
=== a star-import
from math import *
from itertools import *
def f(x):
    return int(floor(x) + 1)
=== imports within
def f(x):
    import math, os.path as p
    return math.floor(x) + 1
=== deep recursion
import sys
sys.setrecursionlimit(20000)
def f(x):
    return depth(3000) - 3000 + x + 1
def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)
=== recursion within the usual limit
def f(x):
    return x + 1 if x <= 1 else f(x - 1) + 1
---
assert f(800) == 801
=== a handled recursion error
def g(): return g()
def f(x):
    try: g()
    except RecursionError: return x + 1
=== guarded main
def f(x):
    return x + 1
if __name__ == '__main__':
    print(f(int(input())))
=== a main that would read input
def main():
    n = int(input())
    print(n)
def f(x):
    return x + 1
=== a class named Solution
class Solution:
    def f(self, x): return x + 1
def f(x): return Solution().f(x)
=== types of its own
from typing import *
T = TypeVar('T')
class Box(Generic[T]):
    def __init__(self, x: T): self.x = x
def f(x: int) -> Optional[int]:
    return Box[int](x).x + 1
=== a protocol and overloads
from typing import Protocol, overload, NamedTuple, TypedDict
class P(Protocol):
    def go(self) -> int: ...
@overload
def f(x: int) -> int: ...
@overload
def f(x: str) -> str: ...
def f(x): return x + 1
=== an abstract class
from abc import ABC, abstractmethod
class A(ABC):
    @abstractmethod
    def go(self, x): ...
class B(A):
    def go(self, x): return x + 1
f = B().go
=== a metaclass
class M(type):
    def __call__(cls, x): return x + 1
class f(metaclass=M): pass
=== a descriptor
class D:
    def __get__(self, o, t=None): return lambda x: x + 1
class A: go = D()
def f(x): return A().go(x)
=== an attribute that is made up
class A:
    def __getattr__(self, name): return lambda x: x + 1
f = A().anything
=== a context manager
from contextlib import contextmanager, suppress
@contextmanager
def up(x):
    yield x + 1
def f(x):
    with suppress(ZeroDivisionError), up(x) as y:
        return y
=== finally
def f(x):
    try: return x / 0
    except ZeroDivisionError: pass
    finally: x += 1
    return x
''')   # ways to say that a function adds one

SURROUNDINGS = exhibits(r'''
=== prints
print('hello')
def f(x):
    print('x is', x)
    return x + 1
=== prints much
def f(x):
    print('x' * 100000)
    return x + 1
=== writes to standard error
import sys
def f(x):
    sys.stderr.write('now\n')
    return x + 1
=== prints what looks like a verdict
print('pass')
print('{"verdict": "fail"}')
def f(x):
    return x + 1
=== reads its arguments
import sys
name = sys.argv[0]
rest = sys.argv[1:]
def f(x):
    return x + 1 + len(rest)
=== standard output caught
import io, contextlib
def f(x):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print(x + 1)
    return int(out.getvalue())
=== standard output put aside
import io, sys
def f(x):
    old, sys.stdout = sys.stdout, io.StringIO()
    print(x + 1)
    text, sys.stdout = sys.stdout.getvalue(), old
    return int(text)
=== warnings
import warnings
warnings.filterwarnings('error')
warnings.simplefilter('ignore')
def f(x):
    warnings.warn('old')
    return x + 1
=== a log
import logging
logging.basicConfig(level=logging.DEBUG)
log = logging.getLogger(__name__)
def f(x):
    log.info('x %s', x)
    return x + 1
=== a seed
import random
random.seed(42)
def f(x):
    random.shuffle([1, 2, 3])
    return x + 1
=== a short sleep
import time
def f(x):
    time.sleep(0.01)
    return x + 1
=== a clock
import time, datetime
def f(x):
    t = time.perf_counter()
    datetime.datetime.now()
    return x + 1
=== the working folder
import os
def f(x):
    os.getcwd()
    return x + 1
=== the null device
import os
def f(x):
    with open(os.devnull, 'w') as out: print(x, file=out)
    return x + 1
=== the environment
import os
def f(x):
    return x + int(os.environ.get('NO_SUCH_STEP', '1'))
=== a recursion limit
import sys
sys.setrecursionlimit(10**6)
def f(x):
    return x + 1
=== digits without limit
import sys
sys.set_int_max_str_digits(0)
def f(x):
    return len(str(10 ** 5000)) - 5000 + x
=== garbage collected
import gc
gc.disable()
def f(x):
    gc.collect()
    return x + 1
=== the decimal context
from decimal import Decimal, getcontext
getcontext().prec = 50
def f(x):
    return len(str(Decimal(1) / 3)) - 51 + x
=== a thread
import threading
def f(x):
    out = []
    t = threading.Thread(target=lambda: out.append(x + 1))
    t.start(); t.join()
    return out[0]
=== a pool of threads
from concurrent.futures import ThreadPoolExecutor
def f(x):
    with ThreadPoolExecutor(2) as pool: return list(pool.map(lambda v: v + 1, [x]))[0]
=== a lock and a queue
import threading, queue
lock, q = threading.Lock(), queue.Queue()
def f(x):
    with lock: q.put(x)
    return q.get() + 1
=== a coroutine
import asyncio
async def g(x):
    await asyncio.sleep(0)
    return x + 1
def f(x): return asyncio.run(g(x))
=== an asynchronous generator
import asyncio
async def up(n):
    for i in range(n):
        yield i
        await asyncio.sleep(0)
async def all_(n): return [i async for i in up(n)]
def f(n): return asyncio.run(all_(n))
---
assert f(3) == [0, 1, 2]
=== several coroutines
import asyncio
async def one(x): return x
def f(x):
    async def go(): return await asyncio.gather(one(x), one(1))
    return sum(asyncio.run(go()))
=== an event loop of its own
import asyncio
async def g(x): return x + 1
def f(x):
    loop = asyncio.new_event_loop()
    try: return loop.run_until_complete(g(x))
    finally: loop.close()
=== mock imported
from unittest import mock, TestCase
from unittest.mock import MagicMock, patch
def f(x):
    return x + 1
=== a mock used
from unittest.mock import MagicMock
def f(x):
    m = MagicMock(return_value=1)
    return x + m()
=== its own tests
import unittest
class TestF(unittest.TestCase):
    def test_f(self): self.assertEqual(f(1), 2)
def f(x):
    return x + 1
=== doctests
import doctest
def f(x):
    """
    >>> f(1)
    2
    """
    return x + 1
doctest.testmod()
=== much imported
import ctypes, multiprocessing, subprocess, socket, signal, pickle, inspect
import traceback, tempfile, shutil, platform, uuid, hashlib, heapq, bisect, sqlite3
def f(x):
    return x + 1
=== its own source looked at
import inspect
def f(x):
    return x + len(inspect.signature(f).parameters)
=== pickled and back
import pickle
def f(x): return pickle.loads(pickle.dumps([x + 1]))[0]
=== copied deeply
import copy
def f(x): return copy.deepcopy({'a': [x + 1]})['a'][0]
=== a temporary variable called like a module
import math as json, json as math
def f(x): return json.floor(x) + 1
=== exceptions chained
def f(x):
    try:
        try: 1 / 0
        except ZeroDivisionError as e: raise ValueError('a') from e
    except ValueError as e: return x + (e.__cause__ is not None)
''')   # what an answer does beside answering

VALUES = exhibits(r'''
=== a dataclass
from dataclasses import dataclass, field
@dataclass(order=True, frozen=True)
class P:
    x: int
    y: int = 0
def f(x): return P(x)
---
assert f(1) == P(1, 0)
---
assert f(1).x == 1 and f(1) < P(2)
---
assert f(1) != P(2)
---
assert len({f(1), f(1)}) == 1
=== an enumeration
from enum import Enum, IntEnum, Flag, auto
class C(Enum):
    RED = auto()
    BLUE = auto()
def f(x): return C.RED if x else C.BLUE
---
assert f(1) == C.RED
---
assert f(1) is C.RED
---
assert f(0).name == 'BLUE'
---
assert list(C) == [C.RED, C.BLUE]
=== numbers that have names
from enum import IntEnum
class L(IntEnum):
    LOW = 1
def f(x): return L(x)
---
assert f(1) == 1
---
assert f(1) == L.LOW
=== a named tuple
from collections import namedtuple
P = namedtuple('P', 'x y')
def f(x): return P(x, y=x + 1)
---
assert f(1) == (1, 2)
---
assert f(1).y == 2
---
assert f(1) == P(1, 2)
---
x, y = f(1)
assert y == 2
=== a named tuple with types
from typing import NamedTuple
class P(NamedTuple):
    x: int
    y: int = 5
def f(x): return P(x)
---
assert f(1) == (1, 5)
---
assert f(1)._asdict() == {'x': 1, 'y': 5}
=== a class with operators
class V:
    def __init__(self, *xs): self.xs = xs
    def __add__(self, o): return V(*(a + b for a, b in zip(self.xs, o.xs)))
    def __eq__(self, o): return isinstance(o, V) and self.xs == o.xs
    def __hash__(self): return hash(self.xs)
    def __len__(self): return len(self.xs)
    def __getitem__(self, i): return self.xs[i]
    def __iter__(self): return iter(self.xs)
    def __contains__(self, x): return x in self.xs
    def __repr__(self): return f'V{self.xs}'
---
assert V(1, 2) + V(3, 4) == V(4, 6)
---
assert len(V(1, 2)) == 2 and V(1, 2)[1] == 2
---
assert list(V(1, 2)) == [1, 2] and 2 in V(1, 2)
---
assert repr(V(1, 2)) == 'V(1, 2)'
---
assert V(1) != V(2)
=== a class with state
class Stack:
    def __init__(self): self._items = []
    def push(self, x): self._items.append(x); return self
    def pop(self): return self._items.pop()
    @property
    def size(self): return len(self._items)
---
s = Stack()
s.push(1).push(2)
assert s.pop() == 2
assert s.size == 1
---
assert Stack().size == 0
=== slots and setters
class A:
    __slots__ = ('_x',)
    def __init__(self, x): self._x = x
    @property
    def x(self): return self._x
    @x.setter
    def x(self, v): self._x = v + 1
---
a = A(1)
a.x = 5
assert a.x == 6
---
try:
    A(1).y = 2
    assert False
except AttributeError:
    pass
=== an account in a with
class T:
    log = []
    def __enter__(self): self.log.append('in'); return self
    def __exit__(self, *a): self.log.append('out'); return True
---
with T() as t:
    raise ValueError
assert T.log == ['in', 'out']
=== a linked list
class Node:
    def __init__(self, v, next=None): self.v, self.next = v, next
def build(xs):
    head = None
    for x in reversed(xs): head = Node(x, head)
    return head
def values(n):
    while n:
        yield n.v
        n = n.next
---
assert list(values(build([1, 2, 3]))) == [1, 2, 3]
---
assert build([]) is None
=== a generator
def f(n):
    for i in range(n): yield i * i
---
assert list(f(3)) == [0, 1, 4]
---
assert sum(f(3)) == 5
---
assert sorted(f(3), reverse=True) == [4, 1, 0]
---
g = f(3)
assert next(g) == 0
assert next(g) == 1
---
assert [x for x in f(2)] == [0, 1]
---
assert next(f(0), None) is None
=== a generator that is sent to
def f():
    total = 0
    while True: total += yield total
---
g = f()
next(g)
assert g.send(3) == 3
assert g.send(4) == 7
=== an iterator
class Up:
    def __init__(self, n): self.i, self.n = 0, n
    def __iter__(self): return self
    def __next__(self):
        if self.i >= self.n: raise StopIteration
        self.i += 1
        return self.i
---
assert list(Up(3)) == [1, 2, 3]
---
assert max(Up(3)) == 3
=== objects of itertools
from itertools import chain, islice, count, product
def f(n): return islice(count(1), n)
def g(a, b): return product(a, b)
---
assert list(f(3)) == [1, 2, 3]
---
assert list(g([1], 'ab')) == [(1, 'a'), (1, 'b')]
=== map, filter and zip
def f(xs): return map(str, filter(None, xs))
def g(a, b): return zip(a, b)
---
assert list(f([0, 1])) == ['1']
---
assert dict(g('a', [1])) == {'a': 1}
=== a range
def f(n): return range(n)
---
assert f(3) == range(3)
---
assert list(f(3)) == [0, 1, 2]
---
assert 2 in f(3) and len(f(3)) == 3
=== views of a dictionary
def f(d): return d.keys()
def g(d): return d.items()
def h(d): return d.values()
---
assert f({1: 2}) == {1}
---
assert list(h({1: 2})) == [2]
---
assert sorted(g({1: 2})) == [(1, 2)]
---
assert set(f({1: 2})) == {1}
=== a counter
from collections import Counter
def f(s): return Counter(s)
---
assert f('aab') == {'a': 2, 'b': 1}
---
assert f('aab').most_common(1) == [('a', 2)]
---
assert f('ab')['z'] == 0
---
from collections import Counter
assert f('ab') == Counter('ba')
=== a dictionary with defaults
from collections import defaultdict
def f(xs):
    d = defaultdict(list)
    for x in xs: d[x % 2].append(x)
    return d
---
assert f([1, 2, 3]) == {1: [1, 3], 0: [2]}
---
assert f([])[5] == []
=== an ordered dictionary
from collections import OrderedDict
def f(xs): return OrderedDict((x, len(x)) for x in xs)
---
assert f(['ab', 'c']) == {'ab': 2, 'c': 1}
---
assert list(f(['b', 'a'])) == ['b', 'a']
---
from collections import OrderedDict
assert f(['a']) == OrderedDict(a=1)
=== a deque
from collections import deque
def f(xs): return deque(xs, maxlen=2)
---
assert list(f([1, 2, 3])) == [2, 3]
---
from collections import deque
assert f([1]) == deque([1])
=== a chain of maps
from collections import ChainMap
def f(a, b): return ChainMap(a, b)
---
assert f({1: 2}, {1: 3, 4: 5})[1] == 2
---
assert dict(f({1: 2}, {4: 5})) == {1: 2, 4: 5}
=== decimals
from decimal import Decimal
def f(x): return Decimal(x) + Decimal('0.1')
---
from decimal import Decimal
assert f('0.2') == Decimal('0.3')
---
assert str(f('1')) == '1.1'
---
assert float(f('1')) == 1.1
=== fractions
from fractions import Fraction
def f(a, b): return Fraction(a, b)
---
from fractions import Fraction
assert f(2, 4) == Fraction(1, 2)
---
assert f(1, 2) == 0.5
---
assert str(f(2, 4)) == '1/2'
=== complex numbers
def f(x): return complex(x, 1) * 1j
---
assert f(2) == -1 + 2j
---
assert abs(f(0)) == 1
=== infinities and no number
def f(x): return {'inf': float('inf'), '-inf': float('-inf'), 'nan': float('nan')}[x]
---
assert f('inf') == float('inf')
---
assert f('-inf') == -float('inf')
---
import math
assert math.isnan(f('nan'))
---
assert f('nan') != f('nan')
=== the negative zero
def f(): return -0.0
---
assert f() == 0
---
import math
assert math.copysign(1, f()) == -1
=== floats that are nearly so
def f(): return 0.1 + 0.2
---
assert abs(f() - 0.3) < 1e-9
---
import math
assert math.isclose(f(), 0.3)
---
assert round(f(), 5) == 0.3
=== an integer of 5,000 digits
def f(n): return 10 ** n
---
assert f(5000) == 10 ** 5000
---
assert f(5000) % 7 == pow(10, 5000, 7)
---
assert f(5000) // 10 ** 4999 == 10
=== an integer beyond the limit of digits, negative
import math
def f(n): return -math.factorial(n)
---
import math
assert f(3000) == -math.factorial(3000)
=== bytes
def f(s): return s.encode()
def g(s): return bytearray(s, 'utf8')
---
assert f('é') == b'\xc3\xa9'
---
assert g('a') == bytearray(b'a')
---
assert g('a') == b'a'
=== a view of memory
def f(b): return memoryview(b)[1:]
---
assert f(b'abc') == b'bc'
---
assert bytes(f(b'abc')) == b'bc'
=== sets
def f(xs): return set(xs)
def g(xs): return frozenset(xs)
---
assert f([1, 1]) == {1}
---
assert g([1]) == {1}
---
assert g([1]) == frozenset([1])
---
assert {g([1])} == {frozenset({1})}
=== nested tuples
def f(x): return (x, (x, [x, {x: (x,)}]))
---
assert f(1) == (1, (1, [1, {1: (1,)}]))
---
a, (b, c) = f(1)
assert c[1][1] == (1,)
=== keys of every kind
def f(): return {None: 1, (1, 2): 2, True: 3, 2.5: 4, frozenset(): 5, b'': 6}
---
assert f() == {None: 1, (1, 2): 2, 1: 3, 2.5: 4, frozenset(): 5, b'': 6}
=== booleans for numbers
def f(x): return x > 0
---
assert f(1) == True
---
assert f(1) == 1
---
assert f(1) is True
---
assert not f(0)
=== texts of every kind
def f(): return 'é\u0000\n\"\'\\\U0001f600'
---
assert f() == 'é\x00\n"\'\\\U0001f600'
---
assert len(f()) == 7
=== half a character
def f(): return '\ud83d'
---
assert f() == '\ud83d'
---
assert len(f()) == 1
=== a text with a subclass
class S(str): pass
def f(): return S('ab')
---
assert f() == 'ab'
---
assert f().upper() == 'AB'
=== subclasses of list and dict
class L(list):
    def total(self): return sum(self)
class D(dict): pass
def f(xs): return L(xs)
def g(**k): return D(k)
---
assert f([1, 2]) == [1, 2]
---
assert f([1, 2]).total() == 3
---
assert g(a=1) == {'a': 1}
=== None
def f(x): pass
---
assert f(1) is None
---
assert f(1) == None
=== not implemented and ellipsis
def f(): return ...
def g(): return NotImplemented
---
assert f() is ...
---
assert g() is NotImplemented
=== a function
def f(n): return lambda x: x + n
---
assert f(1)(2) == 3
---
g = f(1)
assert [g(i) for i in range(2)] == [1, 2]
---
assert callable(f(1))
=== a class
def f(): return dict
def make(name): return type(name, (), {'x': 1})
---
assert f() is dict
---
assert make('A').__name__ == 'A' and make('A').x == 1
=== a module
import math
def f(): return math
---
import math
assert f() is math
---
assert f().sqrt(4) == 2
=== counters that close over
def counter():
    n = 0
    def up():
        nonlocal n
        n += 1
        return n
    return up
---
c, d = counter(), counter()
c()
assert c() == 2
assert d() == 1
=== a compiled expression
import re
def f(p): return re.compile(p)
def g(p, s): return re.match(p, s)
---
assert f('a+').match('aa').group() == 'aa'
---
assert g('a', 'b') is None
---
assert g('(a)', 'ab')[1] == 'a'
=== dates
import datetime as dt
def f(y): return dt.date(y, 1, 1) + dt.timedelta(days=31)
---
import datetime
assert f(2024) == datetime.date(2024, 2, 1)
---
assert str(f(2024)) == '2024-02-01'
---
assert f(2024).isoformat()[:4] == '2024'
=== paths
from pathlib import PurePosixPath
def f(a, b): return PurePosixPath(a) / b
---
assert str(f('a', 'b')) == 'a/b'
---
from pathlib import PurePosixPath
assert f('a', 'b') == PurePosixPath('a/b')
=== an array
from array import array
def f(xs): return array('i', xs)
---
from array import array
assert f([1]) == array('i', [1])
---
assert f([1, 2]).tolist() == [1, 2]
---
assert list(f([1])) == [1]
=== simple namespaces
from types import SimpleNamespace, MappingProxyType
def f(x): return SimpleNamespace(x=x)
def g(d): return MappingProxyType(d)
---
assert f(1).x == 1
---
assert g({1: 2}) == {1: 2}
---
from types import SimpleNamespace
assert f(1) == SimpleNamespace(x=1)
=== a value that holds itself
def f():
    x = [1]
    x.append(x)
    return x
---
assert f()[0] == 1
---
x = f()
assert x[1] is x
=== a million numbers
def f(n): return list(range(n))
---
assert f(10 ** 5) == list(range(10 ** 5))
---
assert len(f(10 ** 5)) == 10 ** 5
=== deep lists
def f(n):
    x = []
    for _ in range(n): x = [x]
    return x
---
assert f(3) == [[[[]]]]
---
x = f(50)
for _ in range(50): x = x[0]
assert x == []
''')   # values of every kind

ARGUMENTS = exhibits(r'''
=== sorts in place
def f(xs):
    xs.sort()
---
xs = [2, 1]
assert f(xs) is None
assert xs == [1, 2]
---
xs = [2, 1]
f(xs)
assert xs == [1, 2]
=== changes in place and returns
def f(xs):
    xs.append(1)
    return xs
---
xs = []
assert f(xs) is xs
---
xs = []
f(xs)
f(xs)
assert xs == [1, 1]
=== moves zeros
def f(xs):
    xs[:] = [x for x in xs if x] + [0] * xs.count(0)
---
xs = [0, 1, 0, 2]
f(xs)
assert xs == [1, 2, 0, 0]
=== fills a dictionary
def f(d, k):
    d.setdefault(k, []).append(k)
---
d = {}
f(d, 1)
f(d, 1)
assert d == {1: [1, 1]}
=== changes a nested list
def f(m):
    for row in m: row.reverse()
    m.reverse()
---
m = [[1, 2], [3, 4]]
row = m[0]
f(m)
assert m == [[4, 3], [2, 1]]
assert row == [2, 1]
=== leaves its argument
def f(xs): return sorted(xs)
---
xs = [2, 1]
assert f(xs) == [1, 2]
assert xs == [2, 1]
=== empties a set
def f(s):
    s.clear()
    s.add(9)
---
s = {1}
f(s)
assert s == {9}
=== changes bytes
def f(b): b[0] = 65
---
b = bytearray(b'xb')
f(b)
assert b == b'Ab'
=== calls back
def f(g, xs): return [g(x) for x in xs]
---
assert f(lambda x: x + 1, [1]) == [2]
---
assert f(str, [1]) == ['1']
---
seen = []
f(seen.append, [1, 2])
assert seen == [1, 2]
---
def double(x): return 2 * x
assert f(double, [2]) == [4]
=== calls back with keywords
def f(g): return g(1, *[2], k=3)
---
assert f(lambda a, b, k: (a, b, k)) == (1, 2, 3)
=== sorts by a callback
def f(xs, key): return sorted(xs, key=key)
---
assert f(['bb', 'a'], len) == ['a', 'bb']
---
assert f([1, 2], lambda x: -x) == [2, 1]
=== composes
from functools import reduce
def f(*gs): return reduce(lambda g, h: lambda x: h(g(x)), gs)
---
assert f(lambda x: x + 1, lambda x: x * 2)(3) == 8
=== catches what a callback raises
def f(g):
    try: return g()
    except KeyError as e: return e.args[0]
---
def g(): raise KeyError('k')
assert f(g) == 'k'
=== lets pass what a callback raises
def f(g): return g()
---
try:
    f(lambda: 1 / 0)
    assert False
except ZeroDivisionError:
    pass
=== decorates the test's function
def twice(g):
    def inner(*a): return g(g(*a))
    return inner
---
@twice
def up(x): return x + 1
assert up(1) == 3
=== takes an iterator
def f(it): return sum(it)
---
assert f(iter([1, 2])) == 3
---
assert f(x for x in [1, 2]) == 3
---
it = iter([1, 2, 3])
next(it)
assert f(it) == 5
=== takes an endless iterator
from itertools import islice
def f(it): return list(islice(it, 2))
---
from itertools import count
assert f(count(5)) == [5, 6]
=== takes an object of the test
def f(o): return o.x + 1
---
class O: x = 1
assert f(O()) == 2
---
from types import SimpleNamespace
assert f(SimpleNamespace(x=2)) == 3
=== changes an object of the test
def f(o): o.x = 5
---
class O: pass
o = O()
f(o)
assert o.x == 5
=== takes a class
def f(cls): return cls.__name__
---
class A: pass
assert f(A) == 'A'
---
assert f(int) == 'int'
=== takes a file
def f(file): return file.read().split()
---
import io
assert f(io.StringIO('a b')) == ['a', 'b']
=== hands back the same object
def f(x): return x
---
o = object()
assert f(o) is o
---
xs = [1]
assert f(xs) is xs
=== keeps what it is given
kept = []
def keep(x): kept.append(x)
def all_(): return kept
---
x = [1]
keep(x)
x.append(2)
assert all_() == [[1, 2]]
''')   # what becomes of arguments

RAISES = exhibits(r'''
=== raises what is expected
def f(x):
    if x < 0: raise ValueError('negative')
    return x
---
try:
    f(-1)
    assert False
except ValueError as e:
    assert str(e) == 'negative'
---
assert f(1) == 1
=== raises a class of its own
class Bad(Exception):
    def __init__(self, code):
        super().__init__(f'code {code}')
        self.code = code
def f(x): raise Bad(x)
---
try:
    f(7)
except Bad as e:
    assert e.code == 7
else:
    assert False
---
try:
    f(1)
except Exception as e:
    assert type(e).__name__ == 'Bad' and str(e) == 'code 1'
=== raises a subclass
class Empty(IndexError): pass
def f(xs):
    if not xs: raise Empty
    return xs[0]
---
try:
    f([])
    assert False
except IndexError:
    pass
---
assert f([1]) == 1
=== asserts its input
def f(x):
    assert isinstance(x, int), 'no number'
    return x
---
try:
    f('a')
except AssertionError as e:
    assert str(e) == 'no number'
else:
    raise RuntimeError
---
assert f(1) == 1
=== raises what Python raises
def f(d, k): return d[k]
---
try:
    f({}, 1)
    assert False
except KeyError:
    pass
---
try:
    f(None, 1)
    assert False
except TypeError:
    pass
=== expected in a unit test's way
def f(x): return 1 / x
---
import io, unittest
class T(unittest.TestCase):
    def test(self):
        with self.assertRaises(ZeroDivisionError): f(0)
found = unittest.defaultTestLoader.loadTestsFromTestCase(T)
assert unittest.TextTestRunner(stream=io.StringIO()).run(found).wasSuccessful()
=== exits where that is expected
import sys
def f(): sys.exit(3)
---
try:
    f()
except SystemExit as e:
    assert e.code == 3
else:
    assert False
=== stops an iteration
def f(): return next(iter([]))
---
try:
    f()
    assert False
except StopIteration:
    pass
=== a group of errors
def f(): raise ExceptionGroup('two', [ValueError(1), KeyError(2)])
---
try:
    f()
except* ValueError:
    pass
except* KeyError:
    pass
''')   # errors that are expected

NUMPY = exhibits(r'''
=== numpy inside
import numpy as np
def f(x): return int(np.array([x]).sum() + 1)
=== a numpy number
import numpy as np
def f(x): return np.int64(x) + 1
=== a numpy truth
import numpy as np
def f(x): return np.array(x) > 0
---
assert f(1)
---
assert f(1) == True
=== a numpy float
import numpy as np
def f(x): return np.mean([x, x + 2])
---
assert f(1) == 2
---
assert abs(f(0.5) - 1.5) < 1e-9
=== an array without dimensions
import numpy as np
def f(x): return np.array(x + 1)
=== numpy only imported
import numpy as np
def f(x):
    return x + 1
=== numpy's random numbers
import numpy as np
rng = np.random.default_rng(0)
def f(x): return x + 1 + 0 * int(rng.integers(5))
=== a numpy array
import numpy as np
def f(n): return np.arange(n)
---
assert list(f(3)) == [0, 1, 2]
---
assert f(3).tolist() == [0, 1, 2]
---
assert (f(3) == [0, 1, 2]).all()
---
import numpy as np
assert np.array_equal(f(3), np.arange(3))
---
import numpy
assert numpy.allclose(f(3), [0, 1, 2])
---
assert f(3).shape == (3,)
''')   # arrays and their numbers

GROUPS = [NAMES, SOURCES, STYLES, SURROUNDINGS, VALUES, ARGUMENTS, RAISES, NUMPY]
EXHIBITS = {name: exhibit for group in GROUPS for name, exhibit in group.items()}


@pytest.fixture(scope="module")
def verdicts():
    "What the sandbox says of every exhibit."
    programs, tests = zip(*EXHIBITS.values(), strict=False)
    return dict(zip(EXHIBITS, sandbox.run(list(programs), list(tests), workers=2).verdicts, strict=False))


@pytest.mark.parametrize("name", EXHIBITS)
def test_a_right_answer_passes(name, verdicts):
    program, tests = EXHIBITS[name]
    said = [f"{verdict}: {test}" for verdict, test in zip(verdicts[name], tests, strict=False)]
    assert verdicts[name] == ["pass"] * len(tests), "\n".join([*said, textwrap.indent(program, "    ")])


READ = {  # the program, a call, its value: plain data that the judge reads
    "big": ("def f(): return 10 ** 5000", "f()", 10 ** 5000),
    "not a number": ("def f(): return [float('inf'), -0.0]", "f()", [float("inf"), -0.0]),
    "bytes": ("def f(): return b'\\x00\\xff'", "f()", b"\x00\xff"),
    "sets": ("def f(): return {1, (2, 3)}", "f()", {1, (2, 3)}),
    "nested": ("def f(x): return {x: [(x, None), True, 'é']}", "f(1)", {1: [(1, None), True, "é"]}),
    "complex": ("def f(): return 1 - 2j", "f()", 1 - 2j),
    "frozen": ("def f(): return frozenset([1])", "f()", frozenset([1])),
    "empty set": ("def f(): return set()", "f()", set()),
    "printed": ("def f():\n    print('{\"value\": 2}')\n    return 1", "f()", 1),
    "half": ("def f(): return '\\ud83d'", "f()", "\ud83d"),
    "an iterator in a list": ("def f(): return (i for i in 'ab')", "list(f())", ["a", "b"]),
}


def test_values_are_read_as_they_are():
    found = sandbox.evaluate([program for program, _, _ in READ.values()],
                             [[call] for _, call, _ in READ.values()], workers=1)
    right = [row[0] == ("pass", value) and type(row[0][1]) is type(value) for row,
             (_, _, value) in zip(found, READ.values(), strict=False)]
    assert [name for name, good in zip(READ, right, strict=False) if not good] == []


def test_every_exhibit_has_a_name_of_its_own():
    assert len(EXHIBITS) == sum(map(len, GROUPS)) > 200
