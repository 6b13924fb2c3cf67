"""The runner on small throw-away pipelines: order, skipping, failures, crashes, bad input."""
import ast
import csv
import io
import json
import os
import pydoc
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from codedpo_nb.running import plan, records, report, runner
from codedpo_nb.running.plan import BadInput, make_plan
from codedpo_nb.running.records import ArtefactError, DiskFullError, load_register
from codedpo_nb.running.runner import Locked, StageFailed

ROOT = Path(__file__).parent.parent


def notebook(path, parameters, *code):
    cells = [dict(cell_type="markdown", id="title", metadata={}, source=f"# {path.stem}\n\n> About it.")]
    cells += [dict(cell_type="code", id=f"c{i}", metadata={} if i else {"tags": ["parameters"]},
                   source=source, outputs=[], execution_count=None)
              for i, source in enumerate([parameters, *code])]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(dict(cells=cells,
                        metadata=dict(kernelspec=dict(name="python3", display_name="python3",
                                                      language="python")), nbformat=4, nbformat_minor=5)))


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


START = "from codedpo_nb.running.records import start, progress\nrun = start({0!r}, globals())"


@pytest.fixture
def base(tmp_path):
    """Two stages, whose numbers are against the order of their data."""
    notebook(tmp_path/"nbs/02_squares.ipynb", '#| writes: squares.jsonl\nprofile = "smoke"\nseed = 0\nn = '
             '4\nrate = 1.0', START.format("02_squares"),
             'journal = run.journal("loop", key=n)\nfor i in progress(range(n), desc="squares"):\n    if i '
             'not in journal: journal.append(i, dict(x=i, y=i*i))',
             'run.write("squares.jsonl", journal.rows())', 'print("squares", n)')
    notebook(tmp_path/"nbs/01_sum.ipynb", '#| reads: squares.jsonl\n#| writes: sum.jsonl\nprofile = '
             '"smoke"\nseed = 0', START.format("01_sum"),
             'total = sum(row["y"] for row in run.read("squares.jsonl"))',
             'run.write("sum.jsonl", [dict(total=total)])',
             'run.table([dict(total=total)], "total", "The sum")')
    (tmp_path/"profiles").mkdir()
    (tmp_path/"profiles/smoke.yaml").write_text("profile: smoke\nn: 4\n")
    return tmp_path


def go(base, **options):
    file = io.StringIO()
    return runner.run_profile("smoke", base, file=file, **options)


def results(base, profile="smoke"):
    folder = base/"outputs"/profile
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*"))
            if p.is_file()
            and p.relative_to(folder).parts[0] in ("tables", "figures", "notebooks", "manifest.json")}


def command(base, *args, **options):
    # A shell starts background jobs with interrupts ignored, and children inherit that: the tests themselves
    # may run in such a job.
    options.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    return subprocess.Popen([sys.executable, "-c", "import sys; from codedpo_nb.running.runner import main; "
                             "sys.exit(main())", *args], cwd=base, text=True,
                            env={**os.environ, "CODEDPO_ROOT": str(base), "PYTHONPATH": str(records.root())},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_order_skip_refresh_and_cut_off(base):
    notebook(base/"nbs/03_last.ipynb", '#| reads: sum.jsonl\nprofile = "smoke"\nseed = 0',
             START.format("03_last"),
             'run.table(run.read("sum.jsonl"), "last", "The same")')
    assert go(base) == ["02_squares", "01_sum", "03_last"]
    first = results(base)
    assert go(base) == [] and results(base) == first

    # text re-runs nothing, but reaches the executed copy
    edit(base/"nbs/02_squares.ipynb", "> About it.", "> Better words.")
    assert go(base) == []
    assert "Better words" in (base/"outputs/smoke/notebooks/02_squares.ipynb").read_text()
    edit(base/"nbs/02_squares.ipynb", "i*i", "i**2")  # other code, same artefact: what follows is untouched
    assert go(base) == ["02_squares"]
    edit(base/"nbs/02_squares.ipynb", "i**2", "i**3")
    assert go(base) == ["02_squares", "01_sum", "03_last"]

    (base/"profiles/smoke.yaml").write_text("profile: smoke\nn: 5\n")
    assert [row["action"] for row in runner.dry_run("smoke", base)] == ["run", "perhaps", "perhaps"]
    assert go(base, only="01_sum") == []  # its own input is as it was
    assert go(base, start_from="01_sum") == []
    assert go(base, only="02_squares") == ["02_squares"]
    assert go(base) == ["01_sum", "03_last"]


def test_a_stage_gathers_what_others_wrote_and_follows_a_file_that_it_uses(base):
    notebook(base/"nbs/09_all.ipynb", '#| reads: *.jsonl\n#| uses: ledger.yaml missing.yaml\n'
             'profile = "smoke"\nseed = 0', START.format("09_all"),
             'rows = [row for name in run.matching("*.jsonl") for row in run.read(name)]\n'
             'run.finding("rows", f"There are {len(rows)} rows.", headline=True)')
    (base/"ledger.yaml").write_text("one")
    assert go(base)[-1] == "09_all"
    said = "There are 5 rows."
    assert (base/"outputs/smoke/findings/rows.txt").read_text() == said + "\n"
    assert f"<li>{said}</li>" in (base/"outputs/smoke/report.html").read_text() and go(base) == []
    (base/"ledger.yaml").write_text("two")
    assert go(base) == ["09_all"]
    (base/"missing.yaml").write_text("")
    assert "file missing.yaml" in runner.dry_run("smoke", base)[-1]["why"]
    edit(base/"nbs/09_all.ipynb", "rows\\\", f", "all\\\", f")
    assert go(base) == ["09_all"]
    assert [p.name for p in (base/"outputs/smoke/findings").iterdir()] == ["all.txt"], "what is not said goes"


def test_equal_runs_give_equal_bytes_and_the_record_is_complete(base):
    go(base)
    first = results(base)
    assert go(base, force=True) == ["02_squares", "01_sum"]
    assert results(base) == first
    text = first["notebooks/02_squares.ipynb"].decode()
    assert str(
        base) not in text and "papermill" not in text and '"id": "injected"' in text and "squares 4" in text
    report = (base/"outputs/smoke/report.html").read_text()
    assert "The sum" in report and "Time and memory" in report
    rows = (base/"outputs/smoke/timings/stages.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["stage", "02_squares",
                                                   "01_sum"] and float(rows[1].split(",")[2]) > 10


def test_spoiled_outputs_are_made_again(base):
    go(base)
    first = results(base)
    squares = base/"outputs/smoke/artefacts/squares.jsonl"
    for spoil, stage in ((lambda: squares.write_bytes(squares.read_bytes()[:-5]), "02_squares"),
                         (squares.unlink, "02_squares"),
                         ((base/"outputs/smoke/tables/total.csv").unlink, "01_sum")):
        spoil()
        assert go(base) == [stage] and results(base) == first
    squares.unlink()
    for options in (dict(only="01_sum", force=True), dict(start_from="01_sum", force=True)):
        with pytest.raises(ArtefactError, match="squares.jsonl is missing: run `codedpo-run --profile smoke "
                           "--only 02_squares`"):
            go(base, **options)


def test_what_a_stage_no_longer_records_goes(base):
    go(base)
    edit(base/"nbs/01_sum.ipynb", '\\"total\\", \\"The', '\\"whole\\", \\"The')
    assert go(base) == ["01_sum"]
    assert "tables/total.csv" not in results(base) and "tables/whole.csv" in results(base)
    assert "tables/total" not in load_register(base/"outputs/smoke/manifest.json")


def test_failure_is_one_sentence_and_the_next_call_goes_on(base):
    edit(base/"nbs/01_sum.ipynb", "total = sum", "assert seed == 1, 'seed is not one'; total = sum")
    with pytest.raises(StageFailed, match=r"01_sum failed in its cell \[\d\] with AssertionError: seed is "
                       r"not one \(the traceback is in .*01_sum.failed.ipynb\)"):
        go(base)
    failed = base/"outputs/smoke/notebooks/01_sum.failed.ipynb"
    assert "Traceback" in failed.read_text()
    edit(base/"nbs/01_sum.ipynb", "seed == 1", "seed == 0")
    assert go(base) == ["01_sum"] and not failed.exists()
    edit(base/"nbs/01_sum.ipynb", "seed == 0", "seed == 1")
    with pytest.raises(StageFailed): go(base)
    edit(base/"nbs/01_sum.ipynb", "seed == 1", "seed == 0")  # as it was: the result of before is still good
    assert go(base) == [] and not failed.exists()


def test_dead_kernel_is_one_sentence(base):
    edit(base/"nbs/01_sum.ipynb", "total = sum", "import os, signal; os.kill(os.getpid(), signal.SIGKILL); "
         "total = sum")
    with pytest.raises(StageFailed, match="01_sum: its kernel was killed"): go(base)
    assert go(base, only="02_squares") == []


def test_promised_artefact_must_be_written(base):
    edit(base/"nbs/01_sum.ipynb", "#| writes: sum.jsonl", "#| writes: sum.jsonl more.jsonl")
    with pytest.raises(StageFailed, match="declares that it writes more.jsonl but did not"): go(base)


def test_kill_9_in_mid_stage_then_the_same_command(base):
    """The slow loop is killed together with its runner; the second call takes its rows from the journal and
    ends in the same tables."""
    edit(base/"nbs/02_squares.ipynb", "journal.append(i, dict(x=i, y=i*i))",
         "__import__('time').sleep(pause); journal.append(i, dict(x=i, y=i*i))")
    edit(base/"nbs/02_squares.ipynb", "n = 4", "n = 4\\npause = 0.0")
    (base/"profiles/smoke.yaml").write_text("profile: smoke\nn: 14\npause: 0.1\n")
    process = command(base, "--profile", "smoke")
    journal = base/"outputs/smoke/artefacts/journals/02_squares/loop.jsonl"
    until = time.time() + 30
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 6) and time.time() < until:
        time.sleep(.02)
    below = psutil.Process(process.pid).children(recursive=True)
    assert below, "there is a kernel"
    process.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(below, timeout=60)
    assert not [p for p in below if p.is_running()
                and p.status() != psutil.STATUS_ZOMBIE], "no kernel outlives the runner"
    rows = journal.read_bytes()
    assert not (base/"outputs/smoke/tables").exists()

    assert go(base) == ["02_squares", "01_sum"]
    assert journal.read_bytes().startswith(rows[:rows.rindex(b"\n")]), "finished rows were not made again"
    again = results(base)
    go(base, force=True)
    assert results(base) == again


def test_interrupt_ends_the_kernel_and_says_so(base):
    edit(base/"nbs/02_squares.ipynb", "for i in", "import time; time.sleep(60)\\nfor i in")
    for sent in (signal.SIGINT, signal.SIGTERM):
        process = command(base)
        journal, until = base/"outputs/smoke/artefacts/journals/02_squares/loop.jsonl", time.time() + 30
        while not journal.exists() and time.time() < until: time.sleep(.02)
        below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(sent)
        assert process.wait(timeout=300) == 130
        assert "interrupted" in process.stderr.read()
        assert not [p for p in below if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        journal.unlink()


def test_second_run_of_a_profile_is_refused_and_a_dead_one_is_not_in_the_way(base):
    made = make_plan("smoke", base)
    with runner.locked(made):
        with pytest.raises(Locked, match=f"being run by process {os.getpid()}"): go(base)
    (made.artefacts/".run.lock").write_text("999999\n")
    assert go(base, only="02_squares") == ["02_squares"]


def test_full_disk(base):
    """A limit on the size of files stands for a full disk: the same error, wherever the tests run."""
    edit(base/"nbs/01_sum.ipynb", "total = sum", "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, "
         "(0, 0)); total = sum")
    with pytest.raises(DiskFullError, match="01_sum: No space left to write .*sum.jsonl: free some disk "
                       "space.*finished work is intact"):
        go(base)
    assert not list((base/"outputs").rglob("*.tmp"))
    edit(base/"nbs/01_sum.ipynb", "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));", "")
    assert go(base) == ["01_sum"]


@pytest.mark.parametrize("yaml, why", [
    ("profile: smoke\nm: 4", r"smoke.yaml, line 2: no notebook has a parameter 'm'"),
    ("n: four", "n is 'four', but 02_squares wants a whole number such as 4"),
    ("rate: 1e-4", "YAML takes 1.0e-4 as a number"), ("n: true", "wants a whole number"),
    ("seed: 1.5", "wants a whole number"), ("n: 1\nn: 2", "line 2: 'n' is given a second time"),
    ("n: [", "is not YAML"), ("just words", "holds no parameters"),
    ("profile: other", "is called 'smoke', not 'other'"), ("ratte: 1.0", "did you mean 'rate'?"),
    ("seed:", "line 1: seed has no value: write one, or delete the line"), ("n: ~", "n has no value"),
    ("profile: null", "profile has no value"), ("seeds: [0,\n 1,\n ~]", "line 3: seeds has no value"),
    ("n: 017", "octal"), ("n: 0x1F", "hexadecimal"), ("n: 1:30", "base-60"),
    ("n: " + "9" * 5000, "too large"), ("rate: .nan", "no number to compute with"),
    ("rate: -.inf", "no number to compute with"),
    ("n: 2026-01-01", "n is '2026-01-01', but"), ("n: yes", "n is True, but"),
    ("n: '3'", "leave the quotes out"), ("n: [3]", "n is [3], but"), ("n: {a: 3}", "n is {'a': 3}, but"),
    ("n: &a 3", "anchors"), ("n: *a", "anchors"), ("n: !!int 3", "tags"),
    ("n: !!python/object/apply:os.system [x]", "tags"), ("n: 3\n---\nn: 4", "line 2 is not YAML"),
    ("\tn: 3", "spaces instead of tabs"),
    ("- n", "holds no parameters"), ("", "holds no parameters"), ("n: " + "[" * 5000, "nested too deeply"),
    ("? [a]\n: 3", "the name of a parameter is a list"), ('n: "\\U00110000"', "is not YAML"),
    ("n: 3\x00", "line 1 is not YAML"), ("n: 3\n\ufeffm: 3", "line 2"), ("x" * 900 + ": 3", "line 1"),
    ("profile: " + "x" * 900, "…"), ("n: " + "y" * 900, "…'"),
    ("seed: 1\nn: \ud800", "line 2: this is not UTF-8")])
def test_bad_profiles(base, yaml, why, capsys):
    (base/"profiles/smoke.yaml").write_bytes(yaml.encode("utf-8", "surrogatepass"))
    with pytest.raises(BadInput, match=re.escape(why)) as caught: go(base)
    assert not (base/"outputs").exists() and "smoke.yaml" in str(caught.value) and "\n" not in str(
        caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("data, n",
                         [(b"\xef\xbb\xbfn: 3", 3), (b"n: 3\r\nseed: 1\r\n", 3),
                          (b"---\nn: 1_000\n...\n", 1000), (b"{n: 3}", 3), (b"n: +3  # three", 3),
                          (b'"n": 3', 3)])
def test_odd_profiles_that_are_right(base, data, n):
    (base/"profiles/smoke.yaml").write_bytes(data)
    assert make_plan("smoke", base).values["n"] == n


@pytest.mark.parametrize("data, why",
                         [("n: 3".encode("utf-16"), "in UTF-16: save it as UTF-8"),
                          ("seed: 1\nname: é".encode("latin-1"), "line 2: this is not UTF-8"),
                          (b"n: " + b"9" * 2 ** 21, "too many for a profile")])
def test_other_encodings_of_a_profile(base, data, why):
    (base/"profiles/smoke.yaml").write_bytes(data)
    with pytest.raises(BadInput, match=why): make_plan("smoke", base)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "/abs", "''", "by-hand", "-x", "nul", "x" * 101])
def test_a_profile_is_no_way_out_of_the_outputs(base, name):
    (base/"mine.yaml").write_text(f"n: 2\nprofile: {name}\n")
    keep = base/".mine.1.tmp"
    keep.write_text("mine")
    with pytest.raises(BadInput, match="line 2: profile .* is no folder name"):
        runner.run_profile(str(base/"mine.yaml"), base, file=io.StringIO())
    assert keep.exists() and not (base/"outputs").exists()


def test_only_leftovers_of_our_own_go(base):
    go(base)
    ours, theirs = (base/"outputs/smoke/artefacts/.a.jsonl.123.tmp",
                    [base/"outputs/smoke"/n for n in (".notes.tmp", "a.tmp", ".x.12a.tmp")])
    for path in (ours, *theirs): path.write_text("x")
    (base/"outputs/smoke/.folder.1.tmp").mkdir()
    assert go(base) == [] and not ours.exists() and all(p.exists() for p in theirs)


def test_a_lost_or_damaged_register_is_made_again(base):
    go(base)
    first, out = results(base), base/"outputs/smoke"
    for name, ran in (("artefacts/artefacts.json", ["02_squares", "01_sum"]),
                      ("artefacts/state.json", ["02_squares", "01_sum"]), ("manifest.json", ["01_sum"])):
        for text in ("null", "[1]", '{"x": 3}', '{"02_squares": {"depends": {}, "outputs": {"../../x": '
                     '"y"}}, "tables/t": {"files": []}}', "[" * 10 ** 5):
            (out/name).write_text(text)
            with pytest.raises(ArtefactError, match=f"{name.split('/')[-1]} is damaged: delete it and give "
                               "the same command again"):
                go(base)
        (out/name).unlink()
        assert go(base) == ran and results(base) == first


@pytest.mark.parametrize("text",
                         [b"\0\0", bytes(range(128, 227)), b"a,b\n1,2\n",
                          b"stage,seconds,peak_mb\n02_squares,nan,1\n",
                          b"stage,seconds,peak_mb\n02_squares,1\n",
                          b"stage,seconds,peak_mb\n02_squares,-1,inf\n", b""])
def test_spoiled_times_are_no_times(base, text):
    (base/"outputs/smoke/timings").mkdir(parents=True)
    (base/"outputs/smoke/timings/stages.csv").write_bytes(text)
    assert runner.stage_costs(make_plan("smoke", base)) == {}


def test_too_few_open_files_are_one_sentence(base):
    code = ("import resource, sys; from codedpo_nb.running.runner import main; "
            "resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)); sys.exit(main([]))")
    done = subprocess.run([sys.executable, "-c", code], cwd=base, text=True, capture_output=True,
                          env={**os.environ, "CODEDPO_ROOT": str(base), "PYTHONPATH": str(records.root())})
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith(
        "codedpo-run: This process may open 20 files") and "Traceback" not in done.stderr


def test_a_notebook_run_by_hand_leaves_the_results_of_the_runner_alone(base):
    go(base)
    out = base/"outputs/smoke"
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.rglob("*") if p.is_file()}
    names = ("CODEDPO_RECORDED", "CODEDPO_STAGE_KEY", "CODEDPO_PROGRESS_FILE")
    env = ({k: v for k, v in os.environ.items() if k not in names}
           | dict(CODEDPO_ROOT=str(base), PYTHONPATH=str(records.root())))
    def by_hand(stage, code): # as papermill or Jupyter would: cell by cell, in a process of its own
        cells = [c["source"] for c in json.loads((base/f"nbs/{stage}.ipynb").read_text())["cells"]
                 if c["cell_type"] == "code"]
        done = subprocess.run([sys.executable, "-c", "\n".join([cells[0], code, *cells[1:]])], cwd=base/"nbs",
                              env=env, capture_output=True, text=True)
        assert (done.returncode == 0
                and "Run by hand: what this notebook makes goes to outputs/by-hand/smoke"
                in done.stdout), done.stderr
    by_hand("01_sum", "")                       # reads what the runner made
    hand = base/"outputs/by-hand/smoke"
    assert (hand/"artefacts/sum.jsonl").read_text() == '{"total": 14}\n' and not (
        hand/"artefacts/squares.jsonl").exists()
    by_hand("02_squares", "n = 6")
    by_hand("01_sum", "")                       # reads what was made by hand
    assert (hand/"artefacts/sum.jsonl").read_text() == '{"total": 55}\n'
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.rglob("*") if p.is_file()} == before
    assert go(base) == []


def test_bad_names_and_exit_codes(base, capsys, monkeypatch):
    monkeypatch.setenv("CODEDPO_ROOT", str(base))
    for args, code, said in [(["--profile", "smoek"], 2, "did you mean 'smoke'?"),
                             (["--only", "01_sun"], 2, "did you mean '01_sum'?"),
                             (["--from", "9"], 2, "the stages are 02_squares, 01_sum"),
                             (["--profile", "no.yaml"], 2, "There is no profile file no.yaml"),
                             (["--only", "01_sum"], 5, "squares.jsonl is missing")]:
        assert runner.main(args) == code
        err = capsys.readouterr().err
        assert said in err and "Traceback" not in err
    assert runner.main(["--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[:2] == ["02_squares", "run"]


def test_profile_by_path(base, tmp_path):
    (base/"mine.yaml").write_text("n: 2\n")
    assert runner.run_profile(str(base/"mine.yaml"), base, only="02_squares",
                              file=io.StringIO()) == ["02_squares"]
    assert (base/"outputs/mine/artefacts/squares.jsonl").read_text().count("\n") == 2


def test_bad_notebooks(base):
    notebook(base/"nbs/04_more.ipynb", '#| writes: sum.jsonl\nseed = 0')
    with pytest.raises(BadInput, match="01_sum and 04_more both write sum.jsonl"): go(base)
    notebook(base/"nbs/04_more.ipynb", '#| reads: a\n#| writes: a')
    with pytest.raises(BadInput, match="wait for one another"): go(base)
    notebook(base/"nbs/04_more.ipynb", '#| reads: sum.jsonl\nx = len("a")')
    with pytest.raises(BadInput, match="plain values only, so move"): go(base)
    (base/"nbs/04_more.ipynb").write_text("{")
    with pytest.raises(BadInput, match="04_more.ipynb is no notebook"): go(base)


def test_a_module_that_the_notebook_imports_counts(base):
    package = base/"codedpo_nb"
    package.mkdir()
    for name, text in dict(a="from .b import f\n", b='def f(): return 1 # one\n', c="x = 1\n").items():
        (package/f"{name}.py").write_text(text)
    code = ["from codedpo_nb.a import f"]
    first = plan.modules(code, package)
    assert set(first) == {"a", "b"}
    (package/"b.py").write_text('def f():\n    "One."\n    return 1\n')
    assert plan.modules(code, package) == first
    (package/"b.py").write_text("def f(): return 2\n")
    assert plan.modules(code, package) != first


def test_terminal_shows_two_bars_and_a_file_shows_lines(base):
    class Terminal(io.StringIO):
        def isatty(self): return True
    for file in (Terminal(), io.StringIO()):
        display = runner.Display({"01_a": 10., "02_b": 5.}, True, file)
        display.begin("01_a", "forced")
        display.tick(1., dict(desc="sampling", n=0, total=50, t=0.))
        display.tick(2., dict(desc="sampling", n=20, total=50, t=2.))
        display.end("done in 4 s, at most 100 MB")
        display.close()
        text = file.getvalue()
        assert "[1/2] 01_a" in text and "done in 4 s" in text
        assert ("sampling" in text and "20/50" in text) == file.isatty()


def test_a_file_hears_of_a_long_loop_with_the_time_left(monkeypatch):
    file = io.StringIO()
    display = runner.Display({"01_a": 10.}, True, file)
    display.begin("01_a", "forced")
    display.tick(1., dict(desc="sampling", n=0, total=50, t=0.))
    display.said -= 16
    display.tick(17., dict(desc="sampling", n=10, total=50, t=20.))
    display.tick(18., dict(desc="sampling", n=11, total=50, t=22.))
    assert file.getvalue().splitlines()[1:] == ["[1/1] 01_a: sampling 10/50, 80 s left"]


@pytest.fixture
def seeded(base):
    """The same pipeline, with a table that depends on the seed, one whose texts do, and a profile of two
    seeds."""
    edit(base/"nbs/01_sum.ipynb", '[dict(total=total)], \\"total\\"', '[dict(name=\\"all\\", n=4, '
         'total=total + seed)], \\"total\\"')
    notebook(base/"nbs/03_words.ipynb", '#| reads: sum.jsonl\nprofile = "smoke"\nseed = 0',
             START.format("03_words"),
             'run.table([dict(word="abc"[seed])], "words", "A word")',
             'run.table([dict(x=seed)] * (seed + 1), "shape", "Rows")',
             'run.table([dict(s=1. + seed)], "clock", f"Seed {seed}", timing=True)')
    (base/"profiles/many.yaml").write_text("profile: many\nn: 4\nseeds: [0, 2]\n")
    return base


def test_seeds_run_the_chain_once_each_and_pool_the_tables(seeded):
    file = io.StringIO()
    many = lambda **options: runner.run_profile("many", seeded, file=file, **options)
    assert many() == ["02_squares", "01_sum", "03_words"] * 2
    out = seeded/"outputs"
    assert sorted(p.name for p in out.iterdir()) == ["many", "many-seed0", "many-seed2"]
    assert ("Seed 2, run 2 of 2, in outputs/many-seed2" in file.getvalue()
            and "Report of all seeds: outputs/many/report.html" in file.getvalue())
    for seed, total in ((0, 14), (2, 16)):
        assert (out/f"many-seed{seed}/tables/total.csv").read_text() == f"name,n,total\nall,4,{total}\n"
        assert "The sum" in (out/f"many-seed{seed}/report.html").read_text()
        assert (out/f"many-seed{seed}/artefacts/squares.jsonl").exists() and (
            out/f"many-seed{seed}/notebooks/01_sum.ipynb").exists()

    assert (out/"many/tables/total.csv").read_text() == "name,n,total,total min,total max\nall,4,15,14,16\n"
    assert (out/"many/timings/clock.csv").read_text() == "s,s min,s max\n2,1,3\n"
    entries = load_register(out/"many/manifest.json")
    assert set(entries) == {"tables/total", "tables/clock"}, "rows or words of the other tables differ"
    assert "seeds 0, 2" in entries["tables/total"][
        "caption"] and "do not contain the variation between seeds" in entries["tables/total"]["caption"]
    assert "In the words of the run with seed 0" in entries["tables/clock"]["caption"] and entries[
        "tables/total"]["params"]["seed"] == [0, 2]
    report = (out/"many/report.html").read_text()
    assert ('href="../many-seed0/report.html"' in report and 'href="../many-seed2/report.html"' in report
            and "total max" in report)

    first = results(seeded, "many")
    assert many() == [] and results(seeded, "many") == first
    assert many(only="03_words", force=True) == ["03_words"] * 2 and many(start_from="03_words") == []
    (out/"many-seed2/tables/total.csv").unlink()
    assert many() == ["01_sum"] and results(seeded, "many") == first
    edit(seeded/"nbs/01_sum.ipynb", '\\"total\\", \\"The', '\\"whole\\", \\"The')
    assert many() == ["01_sum"] * 2
    assert not (out/"many/tables/total.csv").exists() and (
        out/"many/tables/whole.csv").exists(), "what is no longer pooled goes"


def test_rates_are_pooled_over_runs_and_problems(tmp_path):
    """A table with its problems' numbers: the interval is that of `statistics.pooled`, and wider than the
    runs' own where the runs differ."""
    from codedpo_nb import statistics
    from codedpo_nb.running.records import Run, rng
    draw = rng(3, "rates")
    for crossed in (True, False):
        table = [{f"t{i + 40 * k * (not crossed)}": float(draw.random() < p) for i in range(40)} for k,
                 p in enumerate((.2, .5, .8))]
        for k, row in enumerate(table):
            own = statistics.wilson(int(sum(row.values())), 40)
            single = Run(f"x{crossed}-seed{k}", "06_eval", dict(seed=k), home=tmp_path)
            columns = ("model", "problems", "rate", "rate, from", "rate, to")
            single.table([dict(zip(columns, ("base", 40, *own), strict=True))], "rates", "Rates.",
                         problems={"rate": [row]})
        whole = Run(f"x{crossed}", "", {}, home=tmp_path)
        report.pool(whole, [tmp_path/f"outputs/x{crossed}-seed{k}" for k in range(3)], [0, 1, 2])
        [row] = csv.DictReader((whole.dir/"tables/rates.csv").open())
        expected = statistics.mean_over_runs([[of[t] for t in sorted(of)] for of in table],
                                             rng(0, "pooled", "rate", 0), crossed)
        assert [float(row[c]) for c in ("rate", "rate, from", "rate, to")] == pytest.approx(expected,
            abs=1e-5)
        assert list(row) == ["model", "problems", "rate", "rate min", "rate max", "rate, from",
                             "rate, to"] and row["problems"] == "40"
        assert expected[2] - expected[1] > 1.5 * (
            own[2] - own[1]), "one run's interval forgets that runs differ"
        caption = load_register(whole.dir/"manifest.json")["tables/rates"]["caption"]
        assert "the 95 % intervals of rate are over runs and problems" in caption and report.build(
            whole.dir).exists()


def test_a_rate_nobody_has_is_left_open():
    assert report.pooled_rates([{"a": [{}], "b": [dict(p=1.)]}, {"a": [dict(p=1.)]}]) == {"a": [None],
        "a, from": [None], "a, to": [None]}


def test_one_of_several_seeds_and_a_failure_in_it(seeded):
    assert [row["stage"] for row in runner.dry_run("many", seeded, only="01_sum")] == ["many-seed0/01_sum",
        "many-seed2/01_sum"]
    assert make_plan("many-seed2", seeded).values == dict(profile="many-seed2", n=4, seed=2)
    with pytest.raises(BadInput, match="There is no profile 'many-seed1'"): make_plan("many-seed1", seeded)
    with pytest.raises(BadInput, match="There is no stage '01_sun'"):
        runner.run_profile("many", seeded, only="01_sun", file=io.StringIO())
    assert not (seeded/"outputs").exists()
    with pytest.raises(ArtefactError, match="codedpo-run --profile many-seed0`, which makes it and what it "
                       "needs"):
        runner.run_profile("many", seeded, only="01_sum", file=io.StringIO())


@pytest.mark.parametrize("yaml, why",
                         [("seeds: []", "line 1: seeds is [], but it has to be a list of whole "
                           "numbers such as [0, 1, 2]"), ("seeds: 3", "a list of whole numbers"),
    ("seeds: [0, 1.5]", "a list of whole numbers"), ("seeds: [true]", "a list of whole numbers"),
    ("n: 3\nseeds: [4, 1, 4]", "line 2: seeds has 4 more than once"),
    ("seed: 0\nseeds: [0, 1]", "line 2: both seed and seeds are given")])
def test_bad_seeds(base, yaml, why):
    (base/"profiles/smoke.yaml").write_text(yaml)
    with pytest.raises(BadInput, match=re.escape(why)): go(base)
    assert not (base/"outputs").exists()


# ------------------------------------------------------------------ single values: `--set`

def shell(*args): return runner.main([*args])


@pytest.mark.parametrize("given, why", [
    (["m=4"], "--set m: no notebook has a parameter 'm'"),
    (["ratte=1"], "--set ratte: no notebook has a parameter 'ratte'; did you mean 'rate'?"),
    (["n=four"], "--set n: n is 'four', but 02_squares wants a whole number such as 4"),
    (["n=4.0"], "wants a whole number"), (["n=1e3"], "wants a whole number"),
    (["rate=fast"], "--set rate: rate is 'fast', but 02_squares wants a number"),
    (["rate=.nan"], "no number to compute with"), (["rate=1e999"], "no number to compute with"),
    (["n=017"], "octal"), (["n=[1"], "--set n is not YAML"), (["n=&a 3"], "anchors"), (["n=!!int 3"], "tags"),
    (["n="], "--set n: n is ''"), (["n=~"], "--set n has no value: write it after the ="),
    (["n=# 3"], "--set n has no value"), (["n=true"], "n is True, but"), (["n='3'"], "leave the quotes out"),
    (["n=a: 3"], "n is {'a': 3}, but"), (["n"], "--set n: write `--set name=value`"),
    (["=3"], "write `--set name=value`"), (["n=1", "n=2"], "--set n is given a second time"),
    (["profile=x"], "a profile is chosen by `--profile`"),
    (["seeds=3"], "--set seeds: seeds is 3, but it has to be a list"),
    (["seed=1", "seeds=[1]"], "--set seeds: both seed and seeds are given"),
    (["x" * 900 + "=3"], "--set xxx")])
def test_bad_overrides(base, given, why, capsys, monkeypatch):
    monkeypatch.setenv("CODEDPO_ROOT", str(base))
    assert shell(*(word for text in given for word in ("--set", text))) == 2
    said = capsys.readouterr().err
    assert why in said and said.startswith("codedpo-run: --set") and said.count("\n") == 1 and len(said) < 500
    assert not (base/"outputs").exists()


@pytest.mark.parametrize("text, name, value",
                         [("rate=1e-5", "rate", 1e-5), ("rate=1E+2", "rate", 100.), ("rate=2", "rate", 2.),
                          ("n=12", "n", 12), ("n=1_000", "n", 1000), ("seed=-1", "seed", -1)])
def test_overrides_are_yaml_and_numbers_as_people_write_them(base, text, name, value):
    found = make_plan("smoke", base, [text]).values[name]
    assert found == value and type(found) is type(value)


def test_a_run_with_a_value_set_has_a_folder_of_its_own(base, capsys, monkeypatch):
    go(base)
    before = {p: p.read_bytes() for p in (base/"outputs/smoke").rglob("*") if p.is_file()}
    monkeypatch.setenv("CODEDPO_ROOT", str(base))
    name = "smoke+n=6+rate=1e-05"
    assert shell("--set", "rate=1e-5", "--set", "n=6") == 0
    assert f"With --set n=6 --set rate=1e-5: results go to outputs/{name}" in capsys.readouterr().err
    out = base/"outputs"/name
    assert (out/"tables/total.csv").read_text() == "total\n55\n"
    assert {p: p.read_bytes() for p in (base/"outputs/smoke").rglob("*") if p.is_file()} == before
    page = (out/"report.html").read_text()
    assert ("codedpo-run --profile smoke --set n=6 --set rate=1e-5" in page
            and "Set by hand: <code>n=6</code>, <code>rate=1e-5</code>" in page)
    assert "Set by hand" not in (base/"outputs/smoke/report.html").read_text()
    assert load_register(out/"manifest.json")["tables/total"]["params"] == dict(profile=name, seed=0)

    assert go(base,
              overrides=["rate=0.00001", "n=6"]) == [], "the same values in other words are the same run"
    assert runner.run_profile(name, base, file=io.StringIO()) == [], "the folder's name is a profile's"
    (out/"artefacts/squares.jsonl").unlink()
    with pytest.raises(ArtefactError,
                       match=re.escape(f"run `codedpo-run --profile {name} --only 02_squares`")):
        runner.run_profile(name, base, only="01_sum", force=True, file=io.StringIO())
    assert runner.run_profile(name, base, only="02_squares", file=io.StringIO()) == ["02_squares"]
    assert make_plan(name, base, ["seed=3"]).profile == f"{name}+seed=3"
    (out/"overrides.json").write_text('{"profile": "smoke", "set": ["n=7"]}')
    with pytest.raises(BadInput, match="There is no profile"): make_plan(name, base)
    (out/"overrides.json").write_text("[")
    with pytest.raises(ArtefactError, match="overrides.json is damaged: delete it"): make_plan(name, base)


def test_seeds_and_single_values(seeded):
    file = io.StringIO()
    assert runner.run_profile("many", seeded, only="02_squares", file=file,
                              overrides=["n=3"]) == ["02_squares"] * 2
    out = seeded/"outputs"
    assert sorted(p.name for p in out.iterdir()) == ["many+n=3", "many+n=3-seed0", "many+n=3-seed2"]
    single = make_plan("many+n=3-seed2", seeded)
    assert single.values == dict(profile="many+n=3-seed2", n=3, seed=2)
    assert make_plan("many-seed2", seeded, ["n=3"]) == single
    assert make_plan("many+n=3", seeded).seeds == [0, 2]
    one = make_plan("many", seeded, ["seed=5"])
    assert one.seeds == [] and one.values["seed"] == 5
    assert make_plan("smoke", seeded, ["seeds=[1, 2]"]).seeds == [1, 2]


def test_names_of_overridden_runs_are_folder_names():
    for given in (dict(model="/a/b"), dict(ablate=["size", "ranking"]), dict(x="y" * 200),
                  {f"long_name_{i}": i for i in range(9)}, dict(x=""), dict(x="a\nb"), dict(x=".")):
        name = plan.override_name("laptop", given)
        assert records.is_folder_name(name) and records.is_folder_name(f"{name}-seed-1"), name
        assert plan.override_name("laptop", dict(reversed(given.items()))) == name
        assert plan.override_name("laptop", {**given, "z": 1}) != name


# ------------------------------------------------------------------ what is recorded

def test_the_manifest_has_every_parameter_that_a_stage_declares(base):
    go(base)
    edit(base/"nbs/02_squares.ipynb", "print(", "run.table([dict(n=n)], 'n', 'N'); print(")
    go(base)
    found = {entry["stage"]: entry["params"]
             for entry in load_register(base/"outputs/smoke/manifest.json").values()}
    assert found == {"02_squares": dict(profile="smoke", seed=0, n=4, rate=1.),
                     "01_sum": dict(profile="smoke", seed=0)}


def test_a_parameter_that_a_later_cell_changes_is_found(base):
    edit(base/"nbs/01_sum.ipynb", "run = start", "seed = 1\\nrun = start")
    with pytest.raises(StageFailed, match=r"01_sum records tables/total with other parameters than it was "
                       r"given \(seed\): call `records.start\('01_sum', globals\(\)\)`"):
        go(base)


STAGES = plan.find_stages(ROOT/"nbs")

@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_records_what_its_parameters_cell_declares(stage, monkeypatch, tmp_path):
    starts = [source for source in stage.code if re.search(r"\brecords\.start\(", source)]
    assert len(starts) == 1 and f'run = records.start("{stage.name}", globals())' in starts[0]
    (tmp_path/"nbs").mkdir()
    shutil.copy(stage.path, tmp_path/"nbs")
    monkeypatch.setenv("CODEDPO_ROOT", str(tmp_path))
    assert records.start(stage.name, stage.params | dict(other=1)).params == stage.params
    for name in stage.params:
        with pytest.raises(ValueError, match=f"{stage.name} declares {name}, without a value here"):
            records.start(stage.name, {key: value for key, value in stage.params.items() if key != name})


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_no_other_cell_of_a_stage_sets_its_parameters(stage):
    # set at the top of a cell; functions and comprehensions have names of their own
    class Names(ast.NodeVisitor):
        def visit_Name(self, node): self.found |= {node.id} if isinstance(node.ctx, ast.Store) else set()
        def visit_FunctionDef(self, node): self.found |= {node.name}
        def visit_alias(self, node): self.found |= {node.asname or node.name}
        def visit_Lambda(self, node): pass
        visit_ClassDef = visit_FunctionDef
        visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_Lambda
    cell = records.parameters_cell(stage.path)
    for source in stage.code:
        if source == cell: continue
        names = Names()
        names.found = set()
        names.visit(ast.parse(source))
        assert not names.found & stage.params.keys(), source[:80]


METHODS = {records.Run: "path rng write seal source checked read journal workdir figure table",
           records.Journal: "append get rows", plan.Plan: "passed depends single",
           runner.Display: "say begin tick end close"}

@pytest.mark.parametrize("cls, methods", METHODS.items(), ids=lambda x: getattr(x, "__name__", None))
def test_help_lists_the_methods_and_an_editor_reads_them_in_the_class(cls, methods):
    text, source = pydoc.plain(pydoc.render_doc(cls)), Path(sys.modules[cls.__module__].__file__).read_text()
    body = next(n for n in ast.parse(source).body if isinstance(n, ast.ClassDef)
                and n.name == cls.__name__).body
    written = {node.name: ast.get_docstring(node) for node in body if isinstance(node, ast.FunctionDef)}
    for name in methods.split(): # a long list of arguments is broken before the first from 3.13 on
        assert re.search(rf"^ \|  {name}\((\n \| +)?self", text, re.M) and written[name], name


# ------------------------------------------------------------------ clones, and what is none

def test_the_quick_look_at_the_export_agrees_with_nbdev(tmp_path):
    """`stale` compares cells; here the whole text of every module is that of a real export, with docstrings
    and `__all__`."""
    export = pytest.importorskip("nbdev.export").nb_export
    shutil.copytree(ROOT/"nbs", tmp_path/"nbs", ignore=shutil.ignore_patterns(".*"))
    (tmp_path/"codedpo_nb").mkdir()
    for path in sorted((tmp_path/"nbs").rglob("*.ipynb")):
        export(str(path), lib_path=str(tmp_path/"codedpo_nb"))
    def texts(folder):
        return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*.py")
                if not p.name.startswith("_")}
    made, there = texts(tmp_path/"codedpo_nb"), texts(ROOT/"codedpo_nb")
    assert sorted(name for name in made | there
                  if made.get(name) != there.get(name)) == [], "run `make export`"
    assert runner.stale(tmp_path) == [] == runner.stale(ROOT)
    for old, new in (("def stream(", "def stream_("),
                     ("from pathlib import Path", "from pathlib import PurePath as Path")):
        module = tmp_path/"codedpo_nb/running/records.py"
        module.write_text(made["running/records.py"].replace(old, new))
        assert runner.stale(tmp_path) == ["running/records.py"]
    module.unlink()
    (tmp_path/"codedpo_nb/extra.py").write_text("x = 1\n")
    assert runner.stale(tmp_path) == ["extra.py", "running/records.py"]
    (tmp_path/"nbs/world/tasks.ipynb").write_text("{")
    with pytest.raises(BadInput, match="tasks.ipynb is no notebook that can be read"): runner.stale(tmp_path)


def elsewhere(tmp_path, code, **env):
    """Runs `code` in an empty folder, with the package as it lies in a wheel."""
    site, here = tmp_path/"site", tmp_path/"here"
    if not site.exists():
        shutil.copytree(ROOT/"codedpo_nb", site/"codedpo_nb", ignore=shutil.ignore_patterns("__pycache__"))
    here.mkdir(exist_ok=True)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CODEDPO")}
    return subprocess.run([sys.executable, "-c", code], cwd=here, text=True, capture_output=True,
                          env=clean | dict(PYTHONPATH=str(site)) | env)


def test_a_wheel_without_notebooks_says_what_it_needs(tmp_path):
    code = "import sys; from codedpo_nb.running.runner import main; sys.exit(main(['--profile', 'smoke']))"
    done = elsewhere(tmp_path, code)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("codedpo-run: No clone of codedpo_nb here: `git clone` the repository, "
                                  "change into it and run `make reproduce`, or set CODEDPO_ROOT to a clone")
    done = elsewhere(tmp_path, code, CODEDPO_ROOT=str(tmp_path/"nowhere"))
    assert (done.returncode == 2
            and "which is no folder: set it to the clone of codedpo_nb, or unset it" in done.stderr
            and done.stderr.count("\n") == 1)


def test_a_run_needs_no_nbdev(base, tmp_path):
    code = ("import sys; sys.modules['nbdev'] = sys.modules['fastcore'] = None; from "
            "codedpo_nb.running.runner import main, stale; ")
    done = elsewhere(tmp_path, code + f"assert stale({str(ROOT)!r}) == []; sys.exit(main(['--only', "
                     "'02_squares']))", CODEDPO_ROOT=str(base))
    assert done.returncode == 0, done.stderr


def test_missing_libraries_are_one_sentence(base, tmp_path):
    code = ("import sys, importlib.util as u; real = u.find_spec; u.find_spec = lambda n, *a: None if n == "
            "'papermill' else real(n, *a); ")
    done = elsewhere(tmp_path, code + "from codedpo_nb.running.runner import main; sys.exit(main([]))",
                     CODEDPO_ROOT=str(base))
    assert done.returncode == 2 and done.stderr.startswith("codedpo-run: codedpo-run needs papermill, not "
                                                           "installed here: `make reproduce`"), done.stderr
    done = elsewhere(tmp_path, "import sys; sys.modules['yaml'] = None; from codedpo_nb.running.runner "
                     "import main; sys.exit(main(['--dry-run']))", CODEDPO_ROOT=str(base))
    assert (done.returncode == 2 and "codedpo-run needs yaml, not installed here" in done.stderr
            and done.stderr.count("\n") == 1), done.stderr


def test_a_stage_that_got_another_name_does_not_stand_in_its_own_way(base):
    assert runner.run_profile("smoke", base) == ["02_squares", "01_sum"]
    old = base/"nbs/02_squares.ipynb"
    (base/"nbs/00_powers.ipynb").write_text(old.read_text().replace("02_squares", "00_powers"))
    old.unlink()
    assert runner.run_profile("smoke", base)[0] == "00_powers"
    registers = [json.loads((base/"outputs/smoke"/file).read_text())
                 for file in ("artefacts/artefacts.json", "manifest.json")]
    assert [{entry["stage"] for entry in known.values()} for known in registers] == [{"00_powers", "01_sum"},
        {"01_sum"}]
    assert not (base/"outputs/smoke/notebooks/02_squares.ipynb").exists()
    assert runner.run_profile("smoke", base) == []
