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
    "not text": (lambda t: (t/"prompts.jsonl").write_bytes(b'{"prompt": "\\xff"}\n'), [], 2, "UTF-8"),
    "line three": (lambda t: (t/"prompts.jsonl").write_text(json.dumps(PROMPTS[0]) + "\n\n[1]\n"), [], 2,
                   "line 3 is a JSON list"),
    "name": (lambda t: write(t/"prompts.jsonl", [dict(prompt="x", name="not a name")]), [], 2,
             "line 1 has 'not a name' as `name`"),
    "folder of prompts": (lambda t: (t/"prompts.jsonl").mkdir(), [], 2, "is no file"),
    "below a file": (lambda t: (write(t/"prompts.jsonl", PROMPTS), (t/"out").symlink_to(t/"prompts.jsonl/x")),
                     [], 2, "below a file"),
    "patience": (lambda t: write(t/"prompts.jsonl", PROMPTS), ["--patience", "0"], 2, "--patience is 0"),
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


def alone(tmp_path, *more): # without a server
    return ["pairs", "--prompts", str(write(tmp_path/"prompts.jsonl", PROMPTS)), "--out", str(tmp_path/"out"),
            "--n", "2", "--n-tests", "2", "--longest", "8", *more]


def sentence(capsys):
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("codedpo: ")]
    assert len(said) == 1, said
    return said[0]


@pytest.mark.parametrize("engine", ["transformers", "ctranslate2"])
@pytest.mark.parametrize("kind, words", [
    ("absent", "There is no folder"), ("file", "is a file: name the folder"),
    ("no model", "holds no model that can be loaded"), ("torn", "copy or download it again")])
def test_what_is_no_model_is_one_sentence(tmp_path, capsys, engine, kind, words):
    if engine == "ctranslate2": pytest.importorskip("ctranslate2")
    from codedpo_nb.world.model import fresh_model, save_model, train_tokenizer
    place = tmp_path/"model"
    if kind == "file": place.write_text("x")
    if kind == "no model":
        place.mkdir()
        (place/"notes").write_text("x")
    if kind == "torn":
        tokenizer = train_tokenizer(["def f(x): return x"], 300)
        save_model(fresh_model(tokenizer, 32, 1), tokenizer, place)
        weights = place/"model.safetensors"
        weights.write_bytes(weights.read_bytes()[:3000])
    assert harvest.main(alone(tmp_path, "--model", str(place), "--engine", engine)) == 5
    assert words in sentence(capsys)


def hub(status, **headers):
    "A hub that answers every question with one status."
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_): pass
        def do_GET(self):
            self.send_response(status)
            for name, value in headers.items(): self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", "0")
            self.end_headers()
        do_HEAD = do_GET
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.mark.parametrize("status, headers, words", [
    (None, {}, "the hub did not give a model of this name"),
    (401, dict(X_Error_Message="Invalid credentials in Authorization header"), "The hub refuses the token"),
    (404, dict(X_Error_Code="RepoNotFound"), "is not on the hub, or private"),
    (403, dict(X_Error_Code="GatedRepo"), "do so on its page")])
def test_what_a_hub_refuses_is_one_sentence(tmp_path, status, headers, words):
    server = hub(status, **headers) if status else None
    address = f"http://127.0.0.1:{server.server_port if server else 9}"
    done = call(sys.executable, "-m", "codedpo_nb.harvest",
                *alone(tmp_path, "--model", "some/model", "--engine", "transformers"),
                HF_ENDPOINT=address, HF_TOKEN="hf_x", HF_HOME=str(tmp_path/"hub"), HF_HUB_OFFLINE="0")
    if server: server.shutdown(), server.server_close()
    said = [line for line in done.stderr.splitlines() if line.startswith("codedpo: ")]
    assert done.returncode == 5 and len(said) == 1 and words in said[0], done.stderr
    assert "Traceback" not in done.stderr


def test_too_little_memory_is_asked_in_parts_and_said_in_a_sentence(tmp_path, capsys, monkeypatch):
    import torch
    from transformers import LlamaForCausalLM

    from codedpo_nb.world import model as models
    tokenizer = models.train_tokenizer(["def f(x): return x"], 300)
    models.save_model(models.fresh_model(tokenizer, 32, 1), tokenizer, tmp_path/"model")
    generate, room = LlamaForCausalLM.generate, dict(rows=3)
    def narrow(self, input_ids, **options):
        if len(input_ids) > room["rows"]: torch.empty(10**15)   # raises as a full machine does
        return generate(self, input_ids=input_ids, **options)
    monkeypatch.setattr(LlamaForCausalLM, "generate", narrow)
    words = alone(tmp_path, "--model", str(tmp_path/"model"), "--engine", "transformers")
    assert harvest.main(words) == 0
    room["rows"] = 0
    assert harvest.main([w if w != str(tmp_path/"out") else str(tmp_path/"other") for w in words]) == 5
    assert "needs more memory than there is" in sentence(capsys)
    room["rows"] = 99
    assert harvest.main([w if w != str(tmp_path/"out") else str(tmp_path/"other") for w in words]) == 0


def test_a_full_disk_is_one_sentence_and_nothing_is_asked_again(tmp_path, capsys, monkeypatch):
    from codedpo_nb.running.records import Journal
    write(tmp_path/"prompts.jsonl", PROMPTS)
    put, left = Journal._put, dict(lines=6)
    class Full:
        def write(self, line): raise OSError(28, "No space left on device")
    def full(self, line):
        left["lines"] -= 1
        if left["lines"] < 0: self.file = Full()
        put(self, line)
    with serve() as server:
        monkeypatch.setattr(Journal, "_put", full)
        with pytest.MonkeyPatch.context() as quiet:
            quiet.setattr(Full, "close", lambda self: None, raising=False)
            assert harvest.main(command(tmp_path, server)[3:]) == 4
        assert "No space left" in sentence(capsys)
        asked = sum(server.seen.values())
        assert asked <= 6 + 2 * 2, "no further answers are asked for"
        monkeypatch.setattr(Journal, "_put", put)
        assert harvest.main(command(tmp_path, server)[3:]) == 0


def test_a_busy_server_is_given_up_on_after_patience_and_gone_on_with(tmp_path, capsys):
    write(tmp_path/"prompts.jsonl", PROMPTS)
    with serve() as server:
        server.plan = {i: "ok" for i in range(5)} | {"always": "429"}
        assert harvest.main(command(tmp_path, server, "--patience", "1")[3:]) == 5
        assert "has not answered for 1 seconds" in sentence(capsys)
        assert sum(server.seen.values()) == 5
        server.plan = {}
        assert harvest.main(command(tmp_path, server)[3:]) == 0
        assert set(server.seen.values()) == {1}, "what was answered is not asked for again"


def test_a_wrong_key_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    write(tmp_path/"prompts.jsonl", PROMPTS)
    with serve() as server:
        server.key = "right"
        assert harvest.main(command(tmp_path, server)[3:]) == 5
    assert "refuses the key" in sentence(capsys)


def test_two_harvests_do_not_share_a_folder(tmp_path):
    with harvest.alone(tmp_path), pytest.raises(harvest.PathError, match="Another harvest is at work"):
        with harvest.alone(tmp_path): pass
    with harvest.alone(tmp_path): pass


def test_recorded_replies_give_the_same_pairs_without_the_server(tmp_path):
    write(tmp_path/"prompts.jsonl", PROMPTS)
    tape = str(tmp_path/"tape.jsonl")
    with serve() as server: assert harvest.main(command(tmp_path, server, "--record", tape)[3:]) == 0
    with open(tape, "a") as file: file.write('{"asked": "torn')   # a killed writer's last line
    again = command(tmp_path, server, "--engine", "recorded", "--model", tape)[3:]
    again = [w if w != str(tmp_path/"out") else str(tmp_path/"again") for w in again]
    at = again.index("--base-url")
    assert harvest.main(again[:at] + again[at + 2:]) == 0
    assert (tmp_path/"out/pairs.jsonl").read_bytes() == (tmp_path/"again/pairs.jsonl").read_bytes()


def test_prompts_of_a_training_split_repeat_no_exam():
    from codedpo_nb.problems.record import BenchmarkError
    from codedpo_nb.training.curation import token_grams
    if not os.environ.get("CODEDPO_DATA"): pytest.skip("no benchmark data: set CODEDPO_DATA")
    try: kept, removed = harvest.training_prompts("mbpp")
    except BenchmarkError as error: pytest.skip(str(error))
    from codedpo_nb.benchmarks import load
    exams = {p["entry_point"] for p in load("humaneval")}
    assert len(kept) + len(removed) == 374 and not exams & {p["name"] for p in kept}
    assert all(asked_function(p["prompt"]) == p["name"] and "assert" not in p["prompt"] for p in kept)
    exam = set().union(*(token_grams(p["prompt"] + p["canonical"], 10, False) for p in load("humaneval")))
    assert not any(token_grams(p["prompt"], 10, False) & exam for p in kept)
