"""Pairs from anybody's prompts: the command, its resumption after kill -9, and what it says when something is
wrong."""
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codedpo_nb import harvest
from codedpo_nb.harvest import FATES, asked_function, best_of_n, make_pairs, read_prompts
from codedpo_nb.world.engines import Engine, SampledAnswer

sys.path.insert(0, str(Path(__file__).parent))
from protocol_server import ProtocolServer  # noqa: E402

ROOT = Path(__file__).parent.parent
BODIES = ("2 * x + {k}", "x + x + {k}", "x * x", "0", "sum([x, x]) + {k}", "3 * x", "x")


def scripted(text, seed):
    "What a model says to a request: programs, right with chance 3/7, or five assertions."
    name, k = re.search(r"named `(\w+)`|function `(\w+)`", text), int(re.search(r"plus (\d+)", text)[1])
    name = name[1] or name[2]
    if "Do not write" in text:
        return "```python\n" + "\n".join(f"assert {name}({x}) == {2 * x + k if (x + seed) % 5 else 77}"
                                         for x in range(2, 7)) + "\n```"
    return f"Sure.\n```python\ndef {name}(x):\n    return {BODIES[seed % 7].format(k=k)}\n```"


PROMPTS = [dict(task_id=f"t{k}", prompt=f"Write `f{k}(x)`, twice the number plus {k}, "
                f"{'very ' * k}carefully.") for k in range(6)]


def serve(plan=(), slow=0.0):
    def say(prompt, asked):
        time.sleep(slow)
        return scripted(prompt, asked["seed"]), "stop"
    return ProtocolServer(say, plan)


def write(path, rows): path.write_text("".join(json.dumps(r) + "\n" for r in rows)); return path


def command(tmp_path, server, *more):
    return [sys.executable, "-m", "codedpo_nb.harvest", "pairs", "--prompts", str(tmp_path/"prompts.jsonl"),
            "--model", "scale",
            "--base-url", server.url, "--out", str(tmp_path/"out"), "--n", "6", "--n-tests", "5",
            "--concurrency", "2", *more]


def call(*words, **env):
    return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=os.environ | env)


def test_one_command_writes_a_data_set(tmp_path):
    write(tmp_path/"prompts.jsonl", PROMPTS)
    with serve() as server: done = call(*command(tmp_path, server))
    assert done.returncode == 0, done.stderr
    pairs = [json.loads(line) for line in (tmp_path/"out/pairs.jsonl").read_text().splitlines()]
    assert pairs and {p["kind"] for p in pairs} >= {"correctness"} and f"{len(pairs)} pairs in" in done.stdout
    for p in pairs:
        if p["kind"] == "correctness": assert p["chosen_score"] > p["rejected_score"]
    card = (tmp_path/"out/README.md").read_text()
    assert card.startswith(
        "---\nlicense: other\n") and f"| {FATES[7]} |" in card and "temperature 0.8" in card
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset("json", data_files=str(tmp_path/"out/pairs.jsonl"), split="train",
                                   cache_dir=str(tmp_path/"cache"))
    assert loaded.num_rows == len(pairs) and loaded[0]["chosen"][0]["role"] == "assistant"


def test_killed_three_times_gives_the_same_pairs(tmp_path):
    write(tmp_path/"prompts.jsonl", PROMPTS)
    with serve(slow=0.02) as server:
        for _ in range(3):
            answered = sum(server.seen.values())
            process = subprocess.Popen(command(tmp_path, server), cwd=ROOT, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            while sum(server.seen.values()) < answered + 8 and process.poll() is None: time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert call(*command(tmp_path, server)).returncode == 0
        twice = [what for what, count in server.seen.items() if count > 1]
        assert len(twice) <= 3 * 2, "only what was under way at a kill may be asked for again"
        again = [w if w != str(tmp_path/"out") else str(tmp_path/"whole") for w in command(tmp_path, server)]
        assert call(*again).returncode == 0
    for name in ("pairs.jsonl", "verified.jsonl"):
        assert (tmp_path/"out"/name).read_bytes() == (tmp_path/"whole"/name).read_bytes()


WRONG = {
    "no such file": (lambda t: None, [], 2, "prompts.jsonl"),
    "no prompt": (lambda t: write(t/"prompts.jsonl", [dict(text="x")]), [], 2, "line 1 has no prompt"),
    "twice": (lambda t: write(t/"prompts.jsonl", [PROMPTS[0], PROMPTS[0]]), [], 2, "a second time"),
    "empty": (lambda t: (t/"prompts.jsonl").write_text(""), [], 2, "holds no prompts"),
    "not JSON": (lambda t: (t/"prompts.jsonl").write_text("{"), [], 2, "line 1"),
    "n": (lambda t: write(t/"prompts.jsonl", PROMPTS), ["--n", "1"], 2, "--n is 1"),
    "greedy": (lambda t: write(t/"prompts.jsonl", PROMPTS), ["--temperature", "0"], 2, "would be the same"),
    "file in the way": (lambda t: (write(t/"prompts.jsonl", PROMPTS), (t/"out").write_text("x")), [], 2,
                        "is a file"),
       "folder of somebody": (lambda t: (write(t/"prompts.jsonl", PROMPTS), (t/"out").mkdir(),
                                         (t/"out/thesis").write_text("x")), [], 2, "something else"),
    "unknown model": (lambda t: write(t/"prompts.jsonl", PROMPTS), ["--model", "other"], 5,
                      "has no model 'other'; it has scale")}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_sentence(tmp_path, name, capsys):
    prepare, more, code, words = WRONG[name]
    prepare(tmp_path)
    with serve() as server: assert harvest.main(command(tmp_path, server, *more)[3:]) == code
    said = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in said if line.startswith("codedpo: ")]) == 1 and words in said[-1]


def test_another_harvest_is_not_overwritten(tmp_path, capsys):
    write(tmp_path/"prompts.jsonl", PROMPTS[:2])
    with serve() as server:
        assert harvest.main(command(tmp_path, server)[3:]) == 0
        assert harvest.main(command(tmp_path, server, "--seed", "1")[3:]) == 2
    assert "other settings (seed)" in capsys.readouterr().err


class Script(Engine):
    shares = True
    def ask(self, texts, n, temperature, longest, seed):
        return [[SampledAnswer(scripted(t, seed + k), False, 9, 9) for k in range(n)] for t in texts]


def test_the_best_of_n_is_one_call():
    chosen = best_of_n([p["prompt"] for p in PROMPTS], Script(), n=8, n_tests=8)
    assert len(chosen) == 6 and all(c.startswith("def f") for c in chosen)
    with pytest.raises(ValueError, match="no ranker 'best'"): best_of_n(["Write `f(x)`"], Script(), "best")


def test_fates_are_complete(tmp_path):
    prompts = [*PROMPTS, dict(task_id="again", prompt=PROMPTS[5]["prompt"] + " Please."),
               dict(task_id="talk", prompt="Hello?")]
    rows = [dict(p, name=asked_function(p["prompt"])) for p in prompts]
    summary = make_pairs(rows, Script(), tmp_path/"out", n=6, n_tests=5)
    assert sum(summary["fates"].values()) == 8 and summary["fates"][FATES[0]] == summary["fates"][
        FATES[1]] == 1


@pytest.mark.parametrize("text, name", [
    ("def add(a, b):\n    '''Sum.'''", "add"),
    ("Write a function `add(a: int, b: int) -> int` that adds.", "add"), ("Write a function to sort.", ""),
    ("def helper(): pass\n\ndef main_one(x):\n", "main_one"), ("Implement a method named `push`.", "push"),
    ("", "")])
def test_the_function_asked_for(text, name): assert asked_function(text) == name


def test_prompts_of_all_shapes(tmp_path):
    rows = [dict(prompt="def f(x):"),
            dict(messages=[dict(role="system", content="s"), dict(role="user", content="`g(x)`")]),
            dict(prompt="p", name="h", task_id=7)]
    assert [(r["task_id"], r["name"]) for r in read_prompts(write(tmp_path/"p", rows))] == [("prompt-0", "f"),
        ("prompt-1", "g"), ("7", "h")]
