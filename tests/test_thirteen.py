"""A model's answers to the thirteen tasks: what is written and said, resumption after kill -9, languages
without a compiler, and every language with the data set's own solutions where the data are present."""
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from codedpo_nb import formats, languages, thirteen
from codedpo_nb.benchmarks import BenchmarkError
from codedpo_nb.formats import BASELINE, TASKS
from codedpo_nb.thirteen import load_task, mean_of, program_of, request_of, run_thirteen
from codedpo_nb.world.engines import Engine, EngineError, SampledAnswer

sys.path.insert(0, str(Path(__file__).parent))
from protocol_server import ProtocolServer  # noqa: E402

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent/"shared"
DATA = Path(os.environ.get("CODEDPO_DATA") or SHARED/"data")
PYTHON = ("humanevalsynthesize-python", "humanevalfixtests-python", "mbpp")


def pack_row(language, k):
    "A problem in the form of HumanEvalPack: add k. Its answers are judged in Python and JavaScript only."
    name, prompt = f"add{k}", f"def add{k}(x):\n"
    right, wrong, test = f"    return x + {k}\n", "    return 'no'\n", f"assert add{k}(2) == {2 + k}\n"
    if language == "js":
        prompt, right = f"const add{k} = (x) => {{\n", f"  return x + {k};\n}}\n"
        wrong, test = "  return 'no';\n}\n", f"console.assert(add{k}(2) === {2 + k})\n"
    return dict(task_id=f"{languages.LANGUAGES[language]}/{k}", prompt=prompt, declaration=prompt, test=test,
                canonical_solution=right, buggy_solution=wrong, entry_point=name, test_setup="",
                instruction=f"Write a function `{name}` that adds {k}.", **{"import": ""})


def mbpp_row(number):
    name = f"plus{number}"
    return dict(task_id=number, text=f"Write a function to add {number}.", test_setup_code="",
                code=f"def {name}(x):\n    return x + {number}",
                test_list=[f"assert {name}(1) == {number + 1}"],
                challenge_test_list=[f"assert {name}(-1) == {number - 1}"] * (number == 12))


def write_data(folder, count, mbpp, chosen=("python",)):
    (folder/"humanevalpack").mkdir(parents=True)
    for language in chosen:
        text = "".join(json.dumps(pack_row(language, k)) + "\n" for k in range(count))
        (folder/f"humanevalpack/{language}.jsonl").write_text(text)
    (folder/"mbpp.jsonl").write_text("".join(json.dumps(mbpp_row(i)) + "\n" for i in range(1, 11 + mbpp)))
    return folder


def says(text, k=0):
    "What a model says: right, but that it cannot add 3, and that it forgets negative numbers."
    name = re.findall(r"(?:add|plus)\d+", text)[-1]
    number = int(re.sub(r"\D", "", name))
    if "=>" in text:
        return f"```javascript\nconst {name} = (x) => {{\n  return x + {number};\n}}\n```"
    wrong = number == 3 or k % 2
    return f"Sure:\n```python\ndef {name}(x):\n    return abs(x) + {0 if wrong else number}\n```\nIt adds."


class Script(Engine):
    "Says what `says` says, counts, and fails when `lasts` requests are answered."
    def __init__(self, lasts=10**9): self.seen, self.lasts = Counter(), lasts
    def ask(self, texts, n, temperature, longest, seed):
        if self.seen.total() + len(texts) > self.lasts: raise EngineError("The model is gone: start it again")
        self.seen.update(texts)
        return [[SampledAnswer(says(t, seed if temperature else 0), False, 9, 20)] for t in texts]


def asked_of(data, tasks=PYTHON): return {task: load_task(task, data) for task in tasks}


def run(data, engine, out, tasks=PYTHON, **options):
    return run_thirteen(asked_of(data, tasks), engine, out, "m", **dict(tell=lambda text: None) | options)


def programs_of(out, task):
    return json.loads((out/formats.file_name("generations", task, "m")).read_text())


def written(out):
    files = [*out.glob("generations_*/*.json"), *out.glob("metrics_*/*.json"), out/"README.md"]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def test_what_is_written_and_said(tmp_path):
    data, said = write_data(tmp_path/"data", 5, 4), []
    found = run(data, Script(), tmp_path/"out", tell=said.append)
    assert [(r["task"], r["rate"], r["judged"]) for r in found["results"]] == [
        (PYTHON[0], .8, 5), (PYTHON[1], .8, 5), (PYTHON[2], 1., 4)]
    assert found["mean"] == pytest.approx(2.6 / 3)
    assert found["baseline"] == pytest.approx((.2195 + .0305 + .244) / 3)
    assert found["results"][0]["words"] == {"pass": 4, "fail": 1} and found["results"][0]["tokens"] == 45
    assert programs_of(tmp_path/"out", "mbpp")[0] == ["def plus11(x):\n    return abs(x) + 11"]
    assert formats.read_metrics(tmp_path/"out/metrics_m") == {r["task"]: r["rate"] for r in found["results"]}
    card = (tmp_path/"out/README.md").read_text()
    assert "| mbpp | 100.0 | 51.0 to 100.0 | 4 of 4 | 24.4 | 0.0 |" in card
    assert ("Mean of 3 of the thirteen tasks: 0.8667; the published baseline's of the same: 0.1647."
            in said[-1])
    assert "No submission: humanevalsynthesize-python has 5 of 164 problems, and 12 others" in said[-1]


def test_the_files_score_the_same_when_they_are_read_again(tmp_path):
    "By `formats`, which knows nothing of how they were made; MBPP's further tests count in neither."
    data = write_data(tmp_path/"data", 5, 4)
    found = run(data, Script(), tmp_path/"out")
    for r in found["results"]:
        file = tmp_path/"out"/formats.file_name("generations", r["task"], "m")
        again, fields = formats.score_task(r["task"], file, data), ("rate", "low", "high")
        assert [again[k] for k in fields] == pytest.approx([r[k] for k in fields])


def test_several_answers_give_a_share_and_no_submission(tmp_path):
    data = write_data(tmp_path/"data", 5, 4)
    found = run(data, Script(), tmp_path/"out", n=4, temperature=.8, batch=1)
    programs = programs_of(tmp_path/"out", PYTHON[0])
    assert [len(group) for group in programs] == [4] * 5
    right = sum(f"+ {k}\n" in p + "\n" for k, group in enumerate(programs) for p in group)
    assert found["results"][0]["rate"] == pytest.approx(right / 20) and 4 < right < 20
    assert found["submission"] == "No submission: the rules want greedy decoding, one answer a problem."


def test_a_model_that_goes_away_is_asked_only_for_the_rest(tmp_path):
    data, first, second = write_data(tmp_path/"data", 5, 4), Script(8), Script()
    whole = run(data, Script(), tmp_path/"whole", batch=2)
    with pytest.raises(EngineError): run(data, first, tmp_path/"out", batch=2)
    assert first.seen.total() == 7   # 2, 2 and 1 of the first task, 2 of the second
    assert run(data, second, tmp_path/"out", batch=2) == whole
    assert not first.seen & second.seen and (first.seen + second.seen).total() == 14
    assert written(tmp_path/"out") == written(tmp_path/"whole")


def test_further_tasks_may_follow_in_the_same_folder(tmp_path):
    data, engine = write_data(tmp_path/"data", 5, 4), Script()
    run(data, engine, tmp_path/"out", PYTHON[:1])
    found = run(data, engine, tmp_path/"out")
    assert len(found["results"]) == 3 and set(engine.seen.values()) == {1}
    fewer = {task: problems[:2] for task, problems in asked_of(data).items()}
    with pytest.raises(OSError, match=f"other settings \\(problems of {PYTHON[0]}"):
        run_thirteen(fewer, engine, tmp_path/"out", "m")


def test_a_language_without_compiler_is_not_judged(tmp_path, monkeypatch):
    tasks = ("humanevalsynthesize-python", "humanevalsynthesize-js")
    data, said = write_data(tmp_path/"data", 2, 1, ("python", "js")), []
    monkeypatch.setitem(languages._FOUND, "js", None)
    found = run(data, Script(), tmp_path/"out", tasks, tell=said.append)
    assert found["results"][1]["rate"] is None and found["tasks"] == 1 and found["mean"] == 1
    assert "humanevalsynthesize-js: not judged, for want of node." in said[-1]
    assert len(programs_of(tmp_path/"out", tasks[1])) == 2
    assert list(formats.read_metrics(tmp_path/"out/metrics_m")) == ["humanevalsynthesize-python"]
    monkeypatch.undo()
    if reason := languages.missing("js"): pytest.skip(f"not run: {reason}")
    again = run(data, Script(0), tmp_path/"out", tasks)   # asks nothing
    assert again["results"][1]["rate"] == 1


def test_all_thirteen_make_a_zip_that_keeps_the_rules(tmp_path, monkeypatch):
    "The judge is left out here: it is the packing that is tested."
    def passing(task, problems, programs, journal): return [["pass"]] * len(problems)
    monkeypatch.setattr(thirteen, "judge_programs", passing)
    data = write_data(tmp_path/"data", 164, 500, languages.LANGUAGES)
    found = run(data, Script(), tmp_path/"out", TASKS, batch=500)
    assert found["submission"] == "Submission: generations_m.zip, which keeps the rules."
    assert formats.check_zip(tmp_path/"out/generations_m.zip") == [] and found["mean"] == 1
    assert "Mean of the thirteen tasks: 1.0000; the published baseline's of the same: 0.0933." in (
        tmp_path/"out/README.md").read_text()


def command(tmp_path, server, *more):
    return [sys.executable, "-m", "codedpo_nb.thirteen", "--model", "m", "--base-url", server.url,
            "--data", str(tmp_path/"data"), "--out", str(tmp_path/"out"), "--tasks", *PYTHON,
            "--concurrency", "2", *more]


def serve(slow=0.):
    def say(prompt, asked):
        time.sleep(slow)
        return says(prompt), "stop"
    return ProtocolServer(say, names=("m",))


def test_killed_three_times_gives_the_same_files(tmp_path):
    pytest.importorskip("openai")
    write_data(tmp_path/"data", 12, 8)
    with serve(slow=.02) as server:
        for _ in range(3):
            answered = sum(server.seen.values())
            process = subprocess.Popen(command(tmp_path, server), cwd=ROOT, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            while sum(server.seen.values()) < answered + 8 and process.poll() is None: time.sleep(.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
        done = subprocess.run(command(tmp_path, server), cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "32 problems, 32 answers of at most 1024 tokens" in done.stderr
        twice = [what for what, count in server.seen.items() if count > 1]
        assert len(twice) <= 3 * 2, "only what was under way at a kill may be asked for again"
    whole = run(tmp_path/"data", Script(), tmp_path/"whole")
    for r in whole["results"]:
        assert programs_of(tmp_path/"out", r["task"]) == programs_of(tmp_path/"whole", r["task"])
        assert f"| {r['task']} | {100 * r['rate']:.1f} |" in done.stdout


WRONG = {
    "no data": (lambda t: (t/"data").mkdir(), [], 2, "humanevalpack/python.jsonl.gz there"),
    "n": (lambda t: write_data(t/"data", 1, 1), ["--n", "0"], 2, "--n is 0: give 1 or more"),
    "all the same": (lambda t: write_data(t/"data", 1, 1), ["--n", "3"], 2, "give --temperature .2 or more"),
    "temperature": (lambda t: write_data(t/"data", 1, 1), ["--temperature", "9"], 2, "a number from 0 to 5"),
    "limit": (lambda t: write_data(t/"data", 1, 1), ["--limit", "0"], 2, "--limit is 0"),
    "name": (lambda t: write_data(t/"data", 1, 1), ["--name", "a/b"], 2, "(--name)"),
    "file in the way": (lambda t: (write_data(t/"data", 1, 1), (t/"out").write_text("x")), [], 2,
                        "is a file"),
    "folder of somebody": (lambda t: (write_data(t/"data", 1, 1), (t/"out").mkdir(),
                                      (t/"out/thesis").write_text("x")), [], 2, "something else"),
    "unknown model": (lambda t: write_data(t/"data", 1, 1), ["--model", "other"], 5, "it has m")}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_sentence(tmp_path, name, capsys):
    pytest.importorskip("openai")
    prepare, more, code, words = WRONG[name]
    prepare(tmp_path)
    with serve() as server: assert thirteen.main(command(tmp_path, server, *more)[3:]) == code
    said = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in said if line.startswith("thirteen: ")]) == 1 and words in said[-1]


def test_the_baseline_is_the_published_one():
    path = SHARED/"reference/codeqwen_baseline.json"
    if not path.exists(): pytest.skip(f"no {path.name} beside the repository")
    published = json.loads(path.read_text())
    assert {k: v for k, v in published.items() if k != "score"} == BASELINE
    mean = mean_of([dict(task=t, rate=v) for t, v in BASELINE.items()])["mean"]
    assert round(mean, 4) == published["score"]


@pytest.mark.long
def test_the_data_sets_own_solutions_pass_in_every_language(tmp_path):
    "Said as a chat model would, and with the buggy one for a wrong answer."
    try: asked = {task: load_task(task, DATA)[:2] for task in TASKS}
    except BenchmarkError as error: pytest.skip(str(error))
    known = {}
    for task, problems in asked.items():
        for i, p in enumerate(problems):
            which = "buggy_solution" if i else "canonical_solution"
            code = (p["canonical"] if i == 0 else "def nothing(): pass") if task == "mbpp" else (
                languages.reference_program(p, which))
            known[request_of(task, p)] = f"Of course.\n\n```{task.split('-')[-1]}\n{code}\n```\n"
    class Knows(Engine):
        def ask(self, texts, n, temperature, longest, seed):
            return [[SampledAnswer(known[text], False, 1, 1)] for text in texts]
    found = run_thirteen(asked, Knows(), tmp_path/"out", "m")
    for r in found["results"]:
        language = r["task"].split("-")[-1]
        lacking = r["task"] != "mbpp" and languages.missing(language)
        assert r["rate"] == (None if lacking else .5), (r["task"], r["words"], lacking)
    assert found["mean"] == .5


@pytest.mark.parametrize("message", ["", "I cannot.", "```python\n```", "```\n"])
def test_a_message_without_a_program_is_no_empty_program(tmp_path, message):
    for task, problems in asked_of(write_data(tmp_path/"data", 1, 1)).items():
        assert program_of(task, problems[0], message).strip()
