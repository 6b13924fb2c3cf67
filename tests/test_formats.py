"""Files of other tools: round trips, what is refused and with which words, scores, submissions, and the
command line."""
import gzip
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codedpo_nb import benchmarks as B
from codedpo_nb import formats as F
from codedpo_nb.problems.sources import content

DATA = Path(os.environ.get("CODEDPO_DATA") or Path(__file__).resolve().parents[2]/"shared"/"data")
DEMO = [B.problem(f"Demo/{i}", "demo", f'def f{i}(x):\n    "Add {i}."\n', f"f{i}",
                  [f"assert f{i}(1) == {1 + i}"], f"    return x + {i}\n",
                  [f"assert f{i}(-5) == {i - 5}"], form="completion") for i in range(3)]
LINE = dict(task_id="Demo/0", completion="    return x\n")
ALL = [LINE | dict(task_id=f"Demo/{i}") for i in range(3)]


def put(path, *lines):
    path.write_bytes(b"\n".join(x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines) + b"\n")
    return path


def test_import_is_light():
    code = ("import sys, codedpo_nb.formats; sys.exit(any(m in sys.modules for m in ('torch', 'pandas', "
            "'matplotlib', 'scipy', 'datasets')))")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# ------------------------------------------------------------------ reading and writing

code = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)

@given(st.lists(st.lists(code, min_size=2, max_size=2), min_size=3, max_size=3),
       st.sampled_from(["solution", "completion"]))
@settings(max_examples=12, deadline=None)
def test_samples_and_generations_come_back(tmp_path_factory, texts, form):
    path = tmp_path_factory.mktemp("round")
    rows = [dict(task_id=f"Demo/{i}", k=k, answer=t, form=form) for i, each in enumerate(texts) for k,
            t in enumerate(each)]
    F.write_samples(path/"a.jsonl", rows)
    key = lambda r: (r["task_id"], r["k"])
    assert sorted(F.read_samples(path/"a.jsonl", DEMO), key=key) == rows
    (path/"a.jsonl.gz").write_bytes(gzip.compress((path/"a.jsonl").read_bytes()))
    assert F.read_samples(path/"a.jsonl.gz", DEMO) == F.read_samples(path/"a.jsonl", DEMO)
    F.write_generations(path/"a.json", rows, DEMO)
    back = F.read_generations(path/"a.json", DEMO)
    prompts = {p["task_id"]: p["prompt"] if form == "completion" else "" for p in DEMO}
    assert back == [r | dict(answer=prompts[r["task_id"]] + r["answer"], form="solution") for r in rows]
    F.write_generations(path/"b.json", back, DEMO)
    assert (path/"b.json").read_bytes() == (path/"a.json").read_bytes()


def test_solution_wins_over_completion_and_windows_files_are_read(tmp_path):
    both = put(tmp_path/"a.jsonl", *(row | dict(solution="def f(): pass") for row in ALL))
    assert {(r["form"], r["answer"]) for r in F.read_samples(both, DEMO)} == {("solution", "def f(): pass")}
    (tmp_path/"b.jsonl").write_bytes(b"\xef\xbb\xbf"
                                     + b"\r\n\r\n".join(json.dumps(row).encode() for row in ALL))
    assert [r["task_id"] for r in F.read_samples(tmp_path/"b.jsonl", DEMO)] == [p["task_id"] for p in DEMO]


def test_folder_form_of_evalplus(tmp_path):
    for i in range(3):
        (tmp_path/f"Demo_{i}").mkdir()
        for k in (0, 1, 10):
            (tmp_path/f"Demo_{i}/{k}.py").write_text(f"# {k}\n\ndef f{i}(x):\n    return x + {i}\n")
    rows = F.read_samples(tmp_path, DEMO)
    assert [r["answer"][:4].strip() for r in rows[:3]] == ["# 0", "# 1",
                                                           "# 10"] and all("\n\ndef" in r["answer"]
        for r in rows)
    assert all(r["plus"] for r in F.score(DEMO, rows))
    (tmp_path/"Other_1").mkdir()
    (tmp_path/"Other_1/0.py").write_text("x")
    with pytest.raises(F.FormatError, match="the folder 'Other_1' is no task"): F.read_samples(tmp_path, DEMO)


BAD = [ # lines of a samples file, and what must be said about it
    ([LINE, b"{broken"], r"a.jsonl line 2: this is not JSON"),
    ([LINE, [1]], r"line 2: this is a JSON list, should be an object with the fields 'task_id'"),
    ([LINE, b'{"task_id": "Demo/1", "task_id": "Demo/2", "completion": "x"}'], r"line 2: field 'task_id' is given twice"),  # noqa: E501
    ([LINE, dict(id="Demo/1", completion="x")], r"line 2: field 'task_id' is missing; the line has 'id', 'completion'"),  # noqa: E501
    ([LINE, dict(task_id="Demo/1", code="x")], r"line 2: field 'solution' or 'completion' is missing; the line has 'task_id', 'code'"),  # noqa: E501
    ([LINE, dict(task_id=1, completion="x")], r"line 2: field 'task_id' is int, should be str such as 'Demo/0'"),  # noqa: E501
    ([LINE, dict(task_id="Demo/11", completion="x")], r"line 2: field 'task_id' is 'Demo/11', which the benchmark does not have; its ids are like 'Demo/1'"),  # noqa: E501
    ([LINE, dict(task_id="Demo/1", completion=None)], r"line 2: field 'completion' is NoneType, should be str"),  # noqa: E501
    ([LINE, dict(task_id="Demo/1", solution=["x"])], r"line 2: field 'solution' is list, should be str"),
    ([LINE, dict(task_id="Demo/1", completion=" \n")], r"line 2: field 'completion' is empty"),
    ([LINE, b'{"task_id": "Demo/1", "completion": "\\ud800"}'], r"line 2: field 'completion' holds half a character at position 1"),  # noqa: E501
    ([LINE, b'{"task_id": "Demo/1", "completion": "\xe9"}'], r"line 2: field 'completion' is not UTF-8 at byte 38"),  # noqa: E501
    ([LINE, b"[" * 100000], r"line 2: "),
    ([LINE], r"a.jsonl: field 'task_id' is never 'Demo/1'; 2 of 3 tasks are missing"),
    ([*ALL, LINE], r"line 4: field 'task_id' is 'Demo/0' for answer number 2, while most tasks have 1"),
    ([], r"a.jsonl has no lines"),
]

@pytest.mark.parametrize("lines, said", BAD, ids=[said[:60] for _, said in BAD])
def test_bad_samples_are_refused_with_line_and_field(tmp_path, lines, said):
    with pytest.raises(F.FormatError, match=said) as caught:
        F.read_samples(put(tmp_path/"a.jsonl", *lines), DEMO)
    assert "a.jsonl" in str(caught.value) and "\n" not in str(caught.value)


def test_other_encodings_broken_archives_and_absent_files(tmp_path):
    (tmp_path/"a.jsonl").write_text(json.dumps(LINE), encoding="utf-16")
    with pytest.raises(F.FormatError, match="line 1: the file is in UTF-16: save it as UTF-8"):
        F.read_samples(tmp_path/"a.jsonl", DEMO)
    whole = gzip.compress(json.dumps(LINE).encode() * 50)
    for data in (whole[:-20], whole[:15] + b"\x00\xff" * 9 + whole[33:], b"no gzip"):
        (tmp_path/"a.jsonl.gz").write_bytes(data)
        with pytest.raises(F.FormatError, match="a.jsonl.gz cannot be read"):
            F.read_samples(tmp_path/"a.jsonl.gz", DEMO)
    with pytest.raises(F.FormatError, match="No such file"): F.read_samples(tmp_path/"no.jsonl", DEMO)


def test_what_is_allowed_is_read(tmp_path):
    path = put(tmp_path/"a.jsonl", LINE, LINE | dict(completion=""), ALL[1])
    rows = F.read_samples(path, DEMO, allow=tuple(F.ALLOW))
    assert [(r["task_id"], r["k"]) for r in rows] == [("Demo/0", 0), ("Demo/0", 1), ("Demo/1", 0)]
    assert [r["plus"] for r in F.score(DEMO, rows)] == [True, False, False]


@pytest.mark.parametrize("value, said",
                         [({}, "this is a JSON dict"), ([["x"]] * 2, "2 lists for 3 tasks"),
                          ([["x"], "y", ["z"]], r"item 1 \(Demo/1\): this is str"),
                                         ([["x"], ["y"], []], r"item 2 \(Demo/2\): the list is empty"),
                                         ([["x"], [1], ["z"]],
                                          r"item 1 \(Demo/1\): field 'program 0' is int"),
                                         ([["x"], [" "], ["z"]],
                                          r"item 1 \(Demo/1\): field 'program 0' is empty"),
                                         ([["x"], ["y", "z"], ["z"]],
                                          r"item 1 \(Demo/1\): field 'task_id' .* number 2")])
def test_bad_generations_are_refused_with_their_place(tmp_path, value, said):
    with pytest.raises(F.FormatError, match=said): F.read_generations(put(tmp_path/"a.json", value), DEMO)


# ------------------------------------------------------------------ scores

def test_score_and_rates_by_hand(tmp_path):
    answers = {"Demo/0": ["    return x\n", "    return 7\n"],
               "Demo/1": ["    return x + 1 if x > 0 else 0\n", "    return\n"],
               "Demo/2": ["    return y\n", "    return x + 2\n"]}
    rows = [dict(task_id=t, k=k, answer=a, form="completion") for t, each in answers.items() for k,
            a in enumerate(each)]
    found = F.score(DEMO, rows)
    assert [(r["base"], r["plus"], r["verdict"]) for r in found] == [(True, True, "pass"),
        (False, False, "fail"), (True, False, "fail"), (False, False, "fail"),
                                                                   (False, False, "error:NameError"),
                                                                      (True, True, "pass")]
    rates = {(r["tests"], r["k"]): r["rate"] for r in F.rates(found, ks=(1, 2, 10))}
    assert rates == {("base", 1): pytest.approx(.5), ("base", 2): 1, ("plus", 1): pytest.approx(1 / 3),
                     ("plus", 2): pytest.approx(2 / 3)}
    written = F.report(found)
    assert [e["plus_status"] for e in written["eval"]["Demo/2"]] == ["fail",
        "pass"] and written["pass_at_k"]["base"]["pass@1"] == pytest.approx(.5)


def test_scoring_goes_on_where_it_stopped(tmp_path):
    class Stopping(dict):
        added, left = [], 0
        def append(self, key, row):
            if self.left == 0: raise KeyboardInterrupt
            self.left -= 1
            self.added.append(key)
            self[key] = row
    rows = [dict(task_id=p["task_id"], k=k, answer=f"    return x + {i} # {k}\n", form="completion") for i,
            p in enumerate(DEMO) for k in range(4)]
    journal, stops = Stopping(), 0
    for left in (0, 1, 3, 5, 100):
        journal.left = left
        try: found = F.score(DEMO, rows, journal=journal)
        except KeyboardInterrupt: stops += 1
    # base and plus tests of twelve answers
    assert stops == 4 and len(journal.added) == len(set(map(str, journal.added))) == 24
    assert found == F.score(DEMO, rows) and all(r["plus"] for r in found)


# ------------------------------------------------------------------ the competition

@pytest.fixture
def submission(tmp_path):
    (tmp_path/"generations_m1.8b").mkdir()
    for task, n in F.TASKS.items(): put(tmp_path/F.file_name("generations", task, "m1.8b"), [["code"]] * n)
    return tmp_path/"generations_m1.8b"


def test_thirteen_tasks_and_their_names():
    assert len(F.TASKS) == 13 and sum(F.TASKS.values()) == 2468
    assert F.file_name("generations", "humanevalfixtests-js",
                       "qwen") == "generations_qwen/generations_humanevalfixtests-js_qwen.json"


def test_good_submission_is_packed_twice_alike(submission, tmp_path):
    one = F.pack_submission(submission)
    assert one.name == "generations_m1.8b.zip" and F.check_zip(one) == []
    data = one.read_bytes()
    assert F.pack_submission(submission).read_bytes() == data
    with zipfile.ZipFile(one) as archive: assert len(archive.namelist()) == 13


def test_a_bad_folder_leaves_an_earlier_zip_alone(submission):
    one = F.pack_submission(submission)
    (submission/"generations_mbpp_m1.8b.json").unlink()
    with pytest.raises(F.FormatError, match="mbpp is missing: there should be a file "
                       "'generations_m1.8b/generations_mbpp_m1.8b.json'"):
        F.pack_submission(submission)
    assert F.check_zip(one) == [] and not list(submission.parent.glob("*.part"))


def rename(old, new): return lambda files: {n.replace(old, new): d for n, d in files.items()}
def change(task, value):
    return lambda files: files | {F.file_name("generations", task, "m1.8b"): value if isinstance(value, bytes)
                                  else json.dumps(value).encode()}
FAULTS = [
    (rename("generations_m1.8b/", ""), "should unpack to one folder named generations_{model}, and has no "
     "folder"),
    (rename("generations_m1.8b/", "results/"), "should unpack to one folder named generations_{model}, and "
     "has 'results'"),
    (rename("generations_m1.8b/", "out/generations_m1.8b/"), "has 'out'"),
    (rename("generations_m1.8b/", "generations_other/"),
     "did you mean 'generations_other/generations_mbpp_other.json'"),
    (rename("synthesize-js", "synthesise-js"),
     "did you mean 'generations_m1.8b/generations_humanevalsynthesize-js_m1.8b.json'"),
    (lambda files: dict(list(files.items())[1:]), "humanevalsynthesize-python is missing"),
    (lambda files: files | {"generations_m1.8b/notes.txt": b""},
     "'generations_m1.8b/notes.txt' is no name of the rules"),
    (lambda files: files | {"../evil.json": b"[]"}, "'../evil.json' lies outside the folder"),
    (lambda files: files | {"__MACOSX/._x": b""}, "was added by macOS"),
    (change("mbpp", [["x"]] * 499), "generations_mbpp_m1.8b.json: 499 lists for 500 problems"),
    (change("mbpp", {"a": 1}), "this is a JSON dict, should be a list of 500 lists"),
    (change("mbpp", [["x"]] * 499 + ["x"]), "item 499: should be a list with one program"),
    (change("mbpp", [["x"]] * 499 + [[]]), "item 499: holds no program"),
    (change("mbpp", [["x", "y"]] * 500), "item 0: holds several programs; greedy decoding gives one (500 "
     "such items)"),
    (change("mbpp", [[""]] * 500), "500 of 500 programs are empty"),
    (change("mbpp", b"[["), "this is not JSON"),
    (change("mbpp", b'[["\xff"]]'), "is not UTF-8 at byte 4"),
]

@pytest.mark.parametrize("spoil, said", FAULTS, ids=[said[:50] for _, said in FAULTS])
def test_what_is_wrong_with_a_submission_is_said(submission, tmp_path, spoil, said):
    files = spoil(
        {f"{submission.name}/{file.name}": file.read_bytes()
         for file in sorted(submission.glob("*.json"), key=lambda f: "python" not in f.name)})
    if "humanevalsynthesize-python is missing" in said:
        files.pop("generations_m1.8b/generations_humanevalsynthesize-python_m1.8b.json", None)
    with zipfile.ZipFile(tmp_path/"a.zip", "w") as archive:
        for name, data in files.items(): archive.writestr(name, data)
    faults = F.check_zip(tmp_path/"a.zip")
    assert any(said in fault for fault in faults), faults
    assert all("\n" not in fault for fault in faults)


def test_damaged_archives_are_named(submission, tmp_path):
    data = F.pack_submission(submission).read_bytes()
    for spoiled in (b"", b"PK", data[:-30], data[:2000]):
        (tmp_path/"a.zip").write_bytes(spoiled)
        assert "is not a zip file" in F.check_zip(tmp_path/"a.zip")[0]
    (tmp_path/"a.zip").write_bytes(data[:120] + b"\xff" * 20 + data[140:])
    assert any("cannot be unpacked" in fault or "not" in fault for fault in F.check_zip(tmp_path/"a.zip"))
    assert F.check_zip(tmp_path/"none.zip") == [f"{tmp_path}/none.zip does not exist"]


def test_baseline_of_the_organisers_has_its_mean(tmp_path):
    path = DATA.parent/"reference"/"codeqwen_baseline.json"
    if not path.exists():
        pytest.skip("codeqwen_baseline.json is not here: it lies in a folder `reference` beside "
                    "CODEDPO_DATA, and is not averaged")
    published = json.loads(path.read_text())
    mean = published.pop("score")
    F.write_metrics(tmp_path, "baseline", published, dict(do_sample=False))
    assert round(F.mean_score(F.read_metrics(tmp_path/"metrics_baseline")), 4) == mean == .0933


def test_metrics_are_those_of_the_harness_and_bad_ones_are_named(tmp_path):
    F.write_metrics(tmp_path, "m", dict.fromkeys(F.TASKS, .5), dict(temperature=.2))
    path = tmp_path/"metrics_m/metrics_mbpp_m.json"
    assert json.loads(path.read_text()) == {"mbpp": {"pass@1": .5},
                                            "config": {"temperature": .2, "model": "m", "tasks": "mbpp"}}
    for value in ({"mbpp": {"pass@1": 50}}, {"mbpp": .5}, {"other": {}}, [], {"mbpp": {"pass@1": True}}):
        put(path, value)
        with pytest.raises(F.FormatError, match="metrics_mbpp_m.json: field 'mbpp' should be an object whose "
                           "'pass@1' is a number from 0 to 1"):
            F.read_metrics(tmp_path/"metrics_m")
    path.unlink()
    with pytest.raises(F.FormatError, match="the mean is over 13 tasks: mbpp is missing"):
        F.mean_score(F.read_metrics(tmp_path/"metrics_m"))
    with pytest.raises(F.FormatError, match="x is no task"): F.mean_score(dict.fromkeys([*F.TASKS, "x"], .1))


def test_submission_is_scored_by_language_and_what_cannot_run_is_named(tmp_path, monkeypatch, capsys):
    class Languages:
        "In place of the compilers: a program that holds `good` passes; there is no Go."
        @staticmethod
        def load_humanevalpack(language, source):
            return [dict(task_id=f"{language}/{i}", language=language) for i in range(4)]
        @staticmethod
        def answer_and_tests(row, text): return f"{row['task_id']} {text}"
        @staticmethod
        def run_programs(programs, language, journal=None):
            assert [p.split()[0] for p in programs] == [f"{language}/{i}" for i in range(4)]
            return ["not run: no go on this machine" if language == "go" else "not run: needs a package"
                    if p == "js/3 good" else "pass" if "good" in p else "fail" for p in programs]
    import codedpo_nb
    monkeypatch.setattr(codedpo_nb, "languages", Languages, raising=False)
    monkeypatch.setitem(sys.modules, "codedpo_nb.languages", Languages)
    put(tmp_path/"mbpp.jsonl",
        *(dict(task_id=i, text="Add.", code=f"def f(x): return x + {i}",
               test_list=[f"assert f(1) == {i + 1}"], test_setup_code="", challenge_test_list=[])
          for i in (11, 12)))
    (tmp_path/"generations_m").mkdir()
    for task in F.TASKS:
        put(tmp_path/F.file_name("generations", task, "m"),
            [["def f(x): return x + 11"]] * 2 if task == "mbpp" else [["bad"], ["good"], ["good"], ["good"]])
    found = {r["task"]: r for r in F.score_submission(tmp_path/"generations_m", tmp_path)}
    assert [found[t]["rate"]
            for t in ("humanevalsynthesize-rust", "humanevalfixtests-go", "mbpp",
                      "humanevalsynthesize-js")] == [.75, None, .5, pytest.approx(2 / 3)]
    assert (found["humanevalsynthesize-js"]["not run"], found["humanevalsynthesize-js"]["left out"],
            found["humanevalsynthesize-js"]["problems"]) == ("needs a package", 1, 3)
    assert F.main(["score", str(tmp_path/"generations_m"), "--benchmark", "codeqwen", "--data", str(tmp_path),
                   "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert ("humanevalfixtests-go: not run; 4 not run: no go on this machine" in said
            and "no mean: 2 of 13 tasks were not run" in said)
    assert len(F.read_metrics(tmp_path/"metrics_m")) == 11
    (tmp_path/F.file_name("generations", "mbpp", "m")).unlink()
    assert F.main(["score", str(tmp_path/"generations_m"), "--benchmark", "codeqwen", "--data",
                   str(tmp_path)]) == 2
    assert "generations_mbpp_m.json is missing" in capsys.readouterr().err


# ------------------------------------------------------------------ the command line

def command(*args, **env):
    return subprocess.run([sys.executable, "-m", "codedpo_nb.formats", *map(str, args)], capture_output=True,
                          text=True, cwd=Path(__file__).parent.parent, env=os.environ | env)


def test_console_scores_and_its_exit_codes_mean_something(tmp_path, submission):
    rows = [dict(task_id=i, text="Add.", code=f"def f(x): return x + {i}",
                 test_list=[f"assert f(1) == {i + 1}"], test_setup_code="", challenge_test_list=[])
            for i in (10, 11, 12)]
    put(tmp_path/"mbpp.jsonl", *rows)
    put(tmp_path/"a.jsonl",
        *(dict(task_id=f"Mbpp/{i}", solution=f"def f(x): return x + {min(i, 11)}") for i in (10, 11, 12)))
    done = command("score", tmp_path/"a.jsonl", "--benchmark", "mbpp", "--data", tmp_path, "--out",
                   tmp_path/"r.json", "--journal", tmp_path/"j.jsonl")
    assert (done.returncode == 0
            and "mbpp, base tests: pass@1 66.7 % [20.8, 93.9], 3 problems, 3 answers"
            in done.stdout), done.stderr
    assert json.loads((tmp_path/"r.json").read_text())["pass_at_k"]["base"]["pass@1"] == pytest.approx(
        2 / 3) and (tmp_path/"j.jsonl").exists()
    put(tmp_path/"a.jsonl", dict(task_id="Mbpp/10"))
    done = command("score", tmp_path/"a.jsonl", "--benchmark", "mbpp", "--data", tmp_path)
    assert (done.returncode == 2 and "line 1: field 'solution' or 'completion' is missing" in done.stderr
            and "Traceback" not in done.stderr)
    assert F.main(["score", str(tmp_path/"a.jsonl"), "--benchmark", "mbqq", "--data", str(tmp_path)]) == 2
    assert (F.main(["pack", str(submission)]), F.main(["check", f"{submission}.zip"]),
            F.main(["check", str(tmp_path/"a.jsonl")])) == (0, 0, 1)


# ------------------------------------------------------------------ files that people lose

@pytest.fixture
def scored(tmp_path):
    """A command that scores one right answer, with more options; its files lie in the folder that is given
    too."""
    put(tmp_path/"mbpp.jsonl",
        dict(task_id=11, text="Add.", code="def f(x): return x + 1", test_list=["assert f(1) == 2"],
             test_setup_code="", challenge_test_list=[]))
    put(tmp_path/"answers.jsonl", dict(task_id="Mbpp/11", solution="def f(x): return x + 1"))
    return tmp_path, lambda *more: F.main(["score", str(tmp_path/"answers.jsonl"), "--benchmark", "mbpp",
                                           "--data", str(tmp_path), *map(str, more)])


def test_out_writes_through_links_and_refuses_the_rest(scored, capfd):
    folder, score = scored
    real, link, second, loose = (folder/n for n in ("real.json", "link", "second", "loose"))
    real.write_text("{}")
    link.symlink_to("real.json")
    second.symlink_to("link")
    loose.symlink_to("later.json")
    for out, target in ((link, real), (second, real), (loose, folder/"later.json"), (real, real),
                        (folder/"new"/"folder"/"r", folder/"new/folder/r")):
        assert score("--out",
                     out) == 0 and json.loads(target.read_text())["pass_at_k"]["base"] == {"pass@1": 1}
    assert link.is_symlink() and second.is_symlink() and loose.is_symlink()
    os.link(folder/"answers.jsonl", folder/"hard")
    (folder/"same").symlink_to("answers.jsonl")
    (folder/"thesis.tex").write_text("three years of work")
    (folder/"other.json").write_text('[["a program"]]')
    os.mkfifo(folder/"pipe")
    capfd.readouterr()
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for out in ("hard", "same", "answers.jsonl", "thesis.tex", "other.json", "pipe", "new", "answers.jsonl/x",
                "/dev/full", "/dev/null", "", "x" * 300, "mbpp.jsonl"):
        assert score("--out", folder/out if out else "") == 2, out
        said = capfd.readouterr()
        assert said.out == "" and said.err.startswith("formats: ") and said.err.count("\n") == 1
    assert {p: p.read_bytes() for p in folder.rglob("*")
            if p.is_file()} == before and (folder/"pipe").is_fifo()


def test_journal_refuses_what_is_no_journal(scored, capfd):
    folder, score = scored
    os.mkfifo(folder/"pipe")
    (folder/"thesis.tex").write_text("three years of work")
    (folder/"empty").touch()
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for journal in ("thesis.tex", "answers.jsonl", "mbpp.jsonl", "pipe", "/dev/null", ".", ""):
        assert score("--journal", folder/journal if journal else "") == 2, journal
        assert capfd.readouterr().err.count("\n") == 1
    assert score("--journal", folder/"j", "--out", folder/"."/"j") == 2 and not (folder/"j").exists()
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert score("--journal", folder/"empty", "--out", folder/"r.json") == 0 == score("--journal",
        folder/"empty", "--out", folder/"r.json")
    assert score("--journal", folder/"r.json") == 2 and score("--out",
                                                              folder/"empty") == 2, (
        "each is no place for the other")


def test_results_are_whole_before_anything_is_printed(scored):
    folder, _ = scored
    args = ("score", folder/"answers.jsonl", "--benchmark", "mbpp", "--data", folder, "--out")
    run = (lambda out,
           **options: subprocess.run([sys.executable, "-m", "codedpo_nb.formats", *map(str, args), str(out)],
                                     cwd=Path(__file__).parent.parent, text=True, **options))
    with open("/dev/full", "w") as full: done = run(folder/"r.json", stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode == 4 and "No space left" in done.stderr and "Traceback" not in done.stderr
            and json.loads((folder/"r.json").read_text())["eval"])
    done = run("/dev/stdout", capture_output=True)
    assert done.returncode == 0 and json.loads(done.stdout)["eval"] and "pass@1 100.0 %" in done.stderr


def test_a_full_disk_keeps_earlier_results(scored, monkeypatch, capfd):
    folder, score = scored
    assert score("--out", folder/"r.json") == 0
    before = (folder/"r.json").read_bytes()
    def full(*_): raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    capfd.readouterr()
    assert score("--out", folder/"r.json") == 4
    said = capfd.readouterr()
    assert said.out == "" and "No space left to write" in said.err and (
        folder/"r.json").read_bytes() == before and not list(folder.glob(".*"))


def test_packed_files_are_unpacked_to_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(F, "UNPACKED", 2 ** 20)
    monkeypatch.setattr(content, "__defaults__", (2 ** 20,))
    for what in (b"\0" * 2 ** 21, b"\n" * 2 ** 21, b" " * 2 ** 21, json.dumps(LINE).encode() * 2 ** 16):
        for name in ("a.jsonl.gz", "a.json.gz"):
            (tmp_path/name).write_bytes(gzip.compress(what))
            with pytest.raises(F.FormatError, match=f"{name} holds more than 1 MiB when it is unpacked: "
                               "unpack it with gunzip"):
                F.whole_text(tmp_path/name)
            with pytest.raises(B.BenchmarkError, match="holds more than 1 MiB"): B.read_rows(tmp_path/name)
    with pytest.raises(F.FormatError, match="holds more than 1 MiB: name a file"): F.text_lines("/dev/zero")
    assert F.read_samples(put(tmp_path/"plain.jsonl", *(row | dict(completion="x" * 2 ** 20) for row in ALL)),
                          DEMO)


@pytest.mark.parametrize("data, said",
                         [(json.dumps(LINE).encode("utf-16"), "UTF-16"),
                          (json.dumps(LINE).encode("utf-32"), "UTF-32"),
                          (b'{"x": "\xe9"}', "line 1: field 'x' is not text in UTF-8")])
def test_encodings_of_benchmarks_are_named(tmp_path, data, said):
    (tmp_path/"mbpp.jsonl").write_bytes(data)
    with pytest.raises(B.BenchmarkError, match=f"mbpp.jsonl line 1.*{said.split(': ')[-1]}"):
        B.load("mbpp", tmp_path)
    (tmp_path/"mbpp.jsonl").write_bytes(b"\xef\xbb\xbf"
                                        + json.dumps(dict(task_id=11, text="Add.", code="def f(x): return x",
                                                          test_list=["assert f(1) == 1"], test_setup_code="",
                                                          challenge_test_list=[])).encode())
    assert len(B.load("mbpp", tmp_path)) == 1


def test_a_zip_is_not_believed(submission, tmp_path):
    name, path = f"{submission.name}/generations_mbpp_m1.8b.json", tmp_path/"a.zip"
    def made(data, method=zipfile.ZIP_DEFLATED, more=0):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr(name, data)
            for i in range(more): archive.writestr(f"{submission.name}/{i:099}", b"")
        return path.read_bytes()
    bomb = made(b"[" + b" " * (F.MOST + 9) + b"]")
    assert any("more than 16 MiB" in fault for fault in F.check_zip(path))
    # a size that is not true
    path.write_bytes(bomb.replace((F.MOST + 11).to_bytes(4, "little"), (9).to_bytes(4, "little")))
    assert any("cannot be unpacked" in fault or "more than" in fault for fault in F.check_zip(path))
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        made(b"[]", method)
        assert any("method of compression is unusual" in fault for fault in F.check_zip(path))
    made(b"[]", more=12000)
    assert "its list of names takes" in F.check_zip(path)[0]
    made(b"[]", more=400)
    assert len(F.check_zip(path)) == 101 and "further faults" in F.check_zip(path)[-1]
    os.mkfifo(tmp_path/"pipe.zip")
    assert all("is not a zip file" in F.check_zip(p)[0] for p in (tmp_path, tmp_path/"pipe.zip", "/dev/null"))


def test_pack_replaces_zips_only(submission):
    target = submission.parent/"generations_m1.8b.zip"
    target.write_text("three years of work")
    with pytest.raises(OSError, match="is there and is no submission of codedpo_nb"):
        F.pack_submission(submission)
    assert target.read_text() == "three years of work" and F.main(["pack", str(submission)]) == 2
    target.unlink()
    target.symlink_to("elsewhere.zip")
    assert F.check_zip(F.pack_submission(submission)) == [] and target.is_symlink() and (
        submission.parent/"elsewhere.zip").is_file()


def test_long_names_are_cut(tmp_path):
    for lines in ([LINE | dict(task_id="Demo/" + "x" * 10 ** 6)], [{"y" * 10 ** 6: 1}],
                  [{**{"z" * 10 ** 6: 1, "task_id": "Demo/0"}}]):
        with pytest.raises(F.FormatError) as caught: F.read_samples(put(tmp_path/"a.jsonl", *lines), DEMO)
        assert len(str(caught.value)) < 600 + len(str(tmp_path))


# ------------------------------------------------------------------ intervals

@pytest.mark.parametrize("verdicts", ["1" * 40, "0" * 40, "10" * 20, "1", "0", "1110"], ids=len)
@pytest.mark.parametrize("problems", [1, 2, 30])
def test_no_interval_has_no_width(verdicts, problems):
    found = F.rates(
        [dict(task_id=str(i), k=k, base=v == "1", plus=v == "1", verdict="") for i in range(problems) for k,
         v in enumerate(verdicts)])
    assert found and all(-1e-9 <= r["low"] < r["high"] <= 1 + 1e-9
                         and r["low"] - 1e-9 <= r["rate"] <= r["high"] + 1e-9 for r in found)
    if problems == 1:
        assert all(r["high"] - r["low"] > .5
                   for r in found), "one problem says little about others, however many its answers"


def test_generations_of_mbpp_are_those_of_its_test_split(tmp_path):
    put(tmp_path/"mbpp.jsonl",
        *(dict(task_id=i, text="Add.", code=f"def f(x): return x + {i}",
               test_list=[f"assert f(1) == {i + 1}"], test_setup_code="", challenge_test_list=[])
          for i in range(9, 14)))
    put(tmp_path/"a.json", [[f"def f(x): return x + {i}"] for i in (11, 12, 13)])
    assert [r["task_id"] for r in F.score_file(tmp_path/"a.json", "mbpp", tmp_path)] == ["Mbpp/11", "Mbpp/12",
        "Mbpp/13"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["humaneval", "humaneval+"])
def test_canonical_solutions_of_a_benchmark_score_full_marks(tmp_path, name):
    try: path = B.find(name, DATA)
    except B.BenchmarkError as e: pytest.skip(str(e))
    with gzip.open(path) as file:
        (tmp_path/path.name).write_bytes(gzip.compress(b"".join(file.readline() for _ in range(5))))
    problems = B.load(name, tmp_path)
    F.write_samples(tmp_path/"a.jsonl",
                    [dict(task_id=p["task_id"], answer=p["canonical"], form="completion") for p in problems])
    found = F.score_file(tmp_path/"a.jsonl", name, tmp_path)
    assert len(found) == 5 and all(r["plus"] for r in found)
