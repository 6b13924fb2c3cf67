"Mining, de-duplication, concepts and the choice of tasks, on inputs with known answers."
import ast
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codedpo_nb import seed


@pytest.fixture(scope="module")
def mined():
    return seed.mine(seed.stdlib_files())


def source(name, body, doc="Documented."):
    return f'def {name}(x):\n    """{doc}"""\n' + "".join(f"    {line}\n" for line in body)


def test_import_is_light():
    code = ("import sys, codedpo_nb.seed; sys.exit(any(m in sys.modules for m in ('torch', 'pandas', "
            "'matplotlib')))")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_mining_is_deterministic_and_enough_for_smoke(mined):
    rows, funnel = mined
    assert [n for _, n in funnel] == sorted((n for _, n in funnel), reverse=True)
    assert funnel[-1][1] == len(rows) >= 200
    assert len({r["name"] for r in rows}) == len(rows)
    assert seed.mine(seed.stdlib_files()[:60])[0] == seed.mine(seed.stdlib_files()[:60])[0]


def test_mined_rows_keep_every_promise_of_the_filters(mined):
    for row in mined[0]:
        (f,) = ast.parse(row["source"]).body
        assert ast.get_docstring(f) and row["source"].isascii() and 3 <= row["lines"] <= 40
        assert seed.returns_value(f) and not seed.has_effects(f)
        assert row["concepts"] and set(row["concepts"]) <= set(seed.CONCEPTS) == set(seed.CONCEPT_RULES)


def test_no_near_duplicates_are_left(mined):
    grams = [seed.function_shingles(r["source"]) for r in mined[0]]
    for i, a in enumerate(grams):
        for b in grams[:i]:
            assert len(a & b) < 0.7 * len(a | b)


@pytest.mark.parametrize("body, label", [
    (["return x"], "3 to 40"),
    (["y = x", "z = y", "print(z)"], "returns a value"),
    (["y = open(x)", "z = y", "return z"], "no effects"),
    (["y = x.read()", "z = y", "return z"], "no effects"),
    (["global y", "y = x", "return y"], "no effects"),
    (["y = x", "z = y", "return None"], "returns a value"),
    (["y = x  # TODO", "z = y", "return z"], "finished"),
])
def test_each_filter_takes_what_it_says(tmp_path, body, label):
    (tmp_path/"mod.py").write_text(source("good", ["y = x", "z = y + 1", "return z"]) + "\n"
                                   + source("bad", body))
    kept, funnel = seed.sift(seed.functions(tmp_path/"mod.py", tmp_path))
    assert [f["name"] for f in kept] == ["mod.good"]
    at = next(i for i, (name, _) in enumerate(funnel) if label in name)
    assert (funnel[at - 1][1], funnel[at][1]) == (2, 1)


def test_methods_inner_functions_and_broken_files(tmp_path):
    (tmp_path/"pkg").mkdir()
    (tmp_path/"pkg"/"__init__.py").write_text("class A:\n    def m(self): pass\nif True:\n    def f(x):\n    "
                                              "    def g(): pass\n        return g\n")
    (tmp_path/"pkg"/"bad.py").write_text("def f(:\n")
    (tmp_path/"pkg"/"latin.py").write_bytes(b"def f(): return '\xe9'\n")
    assert [f["name"] for p in seed.stdlib_files(tmp_path)
            for f in seed.functions(p, tmp_path)] == ["pkg.A.m", "pkg.f", "pkg.f.g"]
    (tmp_path/"test").mkdir()
    (tmp_path/"test"/"t.py").write_text("def f(): pass")
    assert all(p.parent.name != "test" for p in seed.stdlib_files(tmp_path))


def brute_force(sources, threshold):
    kept, dropped = {}, {}
    for i, grams in enumerate(map(seed.function_shingles, sources)):
        best, j = max(((len(grams & g) / len(grams | g), -j) for j, g in kept.items()), default=(0, 0))
        if best >= threshold: dropped[i] = (-j, best)
        else: kept[i] = grams
    return dropped


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["a = 1", "b = a + 2", "c = [a, b]", "d = sum(c)", "a = d * b"]),
                      min_size=1, max_size=6), max_size=8),
       st.sampled_from([0.3, 0.7, 1.0]))
def test_inverted_index_equals_all_pairs(bodies, threshold):
    sources = [source("f", body) for body in bodies]
    assert seed.near_duplicate_functions(sources, threshold) == brute_force(sources, threshold)


def test_formatting_is_no_remainder_and_messages_are_no_strings():
    assert "modular arithmetic" not in seed.concepts_of("'%s' % name\nfmt % (a, b)\n('a' + fmt) % x")
    assert "modular arithmetic" in seed.concepts_of("(a * b) % m")
    assert "string building" not in seed.concepts_of("raise ValueError('no %s' % x)")
    assert seed.concepts_of("pass") == ()


def pool(n=400):
    r = random.Random(1)
    return [dict(task_id=f"t{i}", prompt="p", concepts=r.sample(seed.CONCEPTS[:12], r.randint(1, 4)))
            for i in range(n)]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400), st.integers(0, 9))
def test_tasks_are_distinct_and_share_a_concept_with_their_seed(n, stream):
    seeds = [dict(name=f"s{i}", concepts=[c]) for i, c in enumerate(seed.CONCEPTS[:12])]
    tasks = seed.write_tasks(seeds, pool(), n, np.random.default_rng(stream))
    assert len({t["task_id"] for t in tasks}) == len(tasks) == n
    assert all(set(t["seed_concepts"]) & set(t["concepts"]) for t in tasks)
    assert tasks == seed.write_tasks(seeds, pool(), n, np.random.default_rng(stream))


def test_chosen_tasks_follow_the_seeds_better_than_chance():
    seeds = [dict(name=f"s{i}", concepts=list(c)) for i,
             c in enumerate([seed.CONCEPTS[:2]] * 3 + [seed.CONCEPTS[4:6]])]
    rng = np.random.default_rng(0)
    chosen = seed.write_tasks(seeds, pool(), 60, rng)
    by_chance = [pool()[i] for i in rng.permutation(400)[:60]]
    assert seed.profile_distance(chosen, seeds) < 0.6 * seed.profile_distance(by_chance, seeds)


@pytest.mark.parametrize("seeds, n, words", [
    ([dict(name="s", concepts=["sets"])], 401, "n_tasks=401, but the task space has only 400"),
    ([], 3, "no seed functions"),
    ([dict(name="s", concepts=["nested loops"])], 3, "only 0 of 400 tasks share a concept"),
    ([dict(name="s", concepts=["magic"])], 3, "s: unknown concept 'magic'"),
])
def test_impossible_requests_are_explained(seeds, n, words):
    with pytest.raises(ValueError, match=words): seed.write_tasks(seeds, pool(), n, np.random.default_rng(0))


def test_task_space_uses_the_vocabulary():
    tasks = pytest.importorskip("codedpo_nb.world.tasks")
    used = {c for op in tasks.OPS.values() for c in op.concepts}
    assert used and used <= set(seed.CONCEPTS)


@given(st.integers(0, 60), st.integers(1, 60))
def test_wilson_contains_the_rate(k, n):
    k = min(k, n)
    rate, low, high = seed.wilson(k, n)
    assert -1e-12 <= low <= rate + 1e-12 and rate - 1e-12 <= high <= 1 + 1e-12
