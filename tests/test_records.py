"""What a notebook cell cannot show of the records: crashes, full disks, many processes."""
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from codedpo_nb.running import records
from codedpo_nb.running.records import ArtefactError, Run


@pytest.fixture
def run(tmp_path):
    (tmp_path/"nbs").mkdir()
    return Run("smoke", "02_selfverify", dict(seed=0, k=15), home=tmp_path)


def child(code, **env):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, **env},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_stream_is_63_bits_and_stable():
    values = {records.stream(seed, "a", i) for seed in range(5) for i in range(200)}
    assert len(values) == 1000 and all(0 <= v < 2**63 for v in values)
    code = "from codedpo_nb.running.records import stream; print(stream(3, 'x', 1))"
    assert len({child(code, PYTHONHASHSEED=str(h)).communicate()[0] for h in (0, 1)}) == 1


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_rows_come_back_and_bytes_are_equal(run, name):
    rows = [dict(k=i, text="ü\n\u2028", xs=[1, 2.5, None], nested=dict(a=True)) for i in range(50)]
    first = run.write(name, rows).read_bytes()
    assert run.read(name) == rows
    assert run.write(name, iter(rows)).read_bytes() == first
    assert records.load_register(run.artefacts/"artefacts.json")[name]["rows"] == 50


def test_datasets_opens_what_write_wrote(run, tmp_path):
    datasets = pytest.importorskip("datasets")
    path = run.write("pairs.jsonl", [dict(prompt="p", chosen="a", rejected="b")]*3)
    loaded = datasets.load_dataset("json", data_files=str(path), split="train",
                                   cache_dir=str(tmp_path/"cache"))
    assert loaded.column_names == ["prompt", "chosen", "rejected"] and len(loaded) == 3


def test_bad_artefacts_are_one_sentence_with_the_way_out(run, tmp_path):
    nb = dict(
        cells=[dict(cell_type="code", metadata={}, source=["#| writes: base tests.jsonl\n", "seed = 0"])])
    (tmp_path/"nbs/01_seed.ipynb").write_text(json.dumps(nb))
    with pytest.raises(ArtefactError, match=r"tests.jsonl is missing: run `codedpo-run --profile smoke`, "
                       r"which makes it and what it needs$"):
        run.read("tests.jsonl")
    path = run.write("solutions.jsonl", [dict(a=1), dict(a=2)])
    for spoil in (path.read_bytes()[:-3], path.read_bytes().replace(b"2", b"3"), b""):
        path.write_bytes(spoil)
        with pytest.raises(ArtefactError, match=r"solutions.jsonl is damaged .* --only 02_selfverify`"):
            run.read("solutions.jsonl")
    run.path("stray.jsonl").write_text("{}\n")
    with pytest.raises(ArtefactError, match="never recorded"): run.read("stray.jsonl")
    (run.artefacts/"artefacts.json").write_text("{")
    with pytest.raises(ArtefactError, match="artefacts.json is damaged: delete it"):
        run.read("solutions.jsonl")


def test_full_disk_leaves_the_old_file_and_no_rubbish(run):
    path = run.write("rows.jsonl", [dict(a=1)])
    code = f"""
        import resource, sys
        from codedpo_nb.running.records import *
        run = Run("smoke", "02_selfverify", {{}}, home={str(run.home)!r})
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)) # as a full disk would, at 20 kB
        rows = [dict(a="x"*1000)]*100
        for attempt in (lambda: run.write("rows.jsonl", rows), lambda: run.journal("loop").append(1, "y"*30_000)):
            try: attempt()
            except DiskFullError as error: print(error)
    """  # noqa: E501
    out, err = child(code).communicate()
    assert (out.count("No space left to write") == 2 and "rows.jsonl" in out and "loop.jsonl" in out
            and "finished work is intact" in out), err
    assert path.read_text() == '{"a": 1}\n' and run.read("rows.jsonl") == [dict(a=1)]
    assert not list(run.dir.rglob("*.tmp"))
    assert len(run.journal("loop")) == 0


def test_journal_survives_kill(run):
    code = f"""
        import time
        from codedpo_nb.running.records import Run
        journal = Run("smoke", "02_selfverify", {{}}, home={str(run.home)!r}).journal("loop", key=1)
        for i in range(10**6): journal.append(("task", i), dict(y=i*i)); print(i, flush=True)
    """
    process = child(code)
    while process.stdout.readline().strip() != "40": pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    journal = run.journal("loop", key=1)
    assert len(journal) >= 41 and journal.get(("task", 40)) == dict(y=1600) and ("task", 40) in journal
    assert journal.rows() == [dict(y=i*i) for i in range(len(journal))]


def test_journal_drops_a_torn_tail_and_another_key(run, monkeypatch):
    journal = run.journal("loop", key=dict(t=1))
    for i in range(3): journal.append(i, i)
    whole = journal.path.read_bytes()
    for torn in (whole[:-1], whole[:-4], whole + b'{"k": 9', whole + b"\0\0\0\n"):
        journal.path.write_bytes(torn)
        again = run.journal("loop", key=dict(t=1))
        assert again.rows() == list(range(3 if torn.startswith(whole) else 2))
    assert len(run.journal("loop", key=dict(t=2))) == 0
    run.journal("loop", key=dict(t=2)).append(1, 1)
    monkeypatch.setenv("CODEDPO_STAGE_KEY", "another")
    assert len(run.journal("loop", key=dict(t=2))) == 0


def test_registers_take_many_writers(run):
    code = """
        from codedpo_nb.running.records import Run
        run = Run("smoke", "02_selfverify", {}, home=%r)
        for i in range(20): run.write(f"%s-{i}.jsonl", [dict(i=i)])
    """
    for process in [child(code % (str(run.home), name)) for name in "ab"]:
        assert process.wait() == 0, process.stderr.read()
    assert len(records.load_register(run.artefacts/"artefacts.json")) == 40


def test_figures_are_the_same_bytes_in_two_processes(run):
    code = """
        import matplotlib; matplotlib.use("Agg")
        import matplotlib.pyplot as plt
        from codedpo_nb.running.records import Run, style
        style()
        fig, ax = plt.subplots()
        ax.bar([1, 2], [3, 4], hatch="/", label="x")
        ax.fill_between([0, 1], [0, 1]); ax.legend(); ax.set_title("ünï")
        Run("smoke", "02_selfverify", {}, home=%r).figure(fig, "bars", "Bars & <more>")
    """
    made = []
    for hash_seed in "01":
        process = child(code % str(run.home), PYTHONHASHSEED=hash_seed)
        assert process.wait() == 0, process.stderr.read()
        made.append({p.name: p.read_bytes() for p in (run.dir/"figures").iterdir()}
                    | {"m": (run.dir/"manifest.json").read_bytes()})
    assert made[0] == made[1] and set(made[0]) == {"bars.svg", "bars.png", "m"}
    assert b"<dc:date>" not in made[0]["bars.svg"]
    image = plt.imread(run.dir/"figures/bars.png")
    assert image[..., -1].min() == 1 and (image[0, 0, :3] == 1).all(), "the ground is opaque white"


def test_manifest_has_the_facts_and_no_clock(run):
    frame = pd.DataFrame([dict(a=1, b=.1 + .2, c=None)])
    run.table(frame, "one", "First", headline=True)
    run.table(frame, "times", "Times", timing=True)
    run.table(frame, "one", "First again")
    manifest = records.load_register(run.dir/"manifest.json")
    assert list(manifest) == ["tables/one", "tables/times"]
    entry = manifest["tables/one"]
    assert entry["caption"] == "First again" and entry["notebook"] == "nbs/02_selfverify.ipynb" and entry[
        "params"] == dict(seed=0, k=15)
    assert entry["versions"]["numpy"] and entry["files"] == ["tables/one.csv",
                                                             "tables/one.md"] and entry["order"] == 0
    assert "digests" in entry and "digests" not in manifest[
        "tables/times"], "measured time must not make two manifests differ"
    assert (run.dir/"timings/times.csv").read_text() == "a,b,c\n1,0.3,\n"


def test_tables_render_and_escape():
    table = records.tabulate([dict(name="a|b\nc", x=1.0), dict(name="d", x=1234567.0)], "Caption")
    assert table.markdown() == "| name | x |\n| --- | ---: |\n| a\\|b c | 1 |\n| d | 1234567 |\n"
    assert table._repr_markdown_().startswith("**Caption**") and "1234567" in table.csv()


def test_progress_reports_to_the_runner_at_most_twice_a_second(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("CODEDPO_PROGRESS_FILE", str(tmp_path/"p.jsonl"))
    assert sum(records.progress(range(20_000), desc="loop")) == sum(range(20_000))
    lines = [json.loads(line) for line in (tmp_path/"p.jsonl").read_text().splitlines()]
    assert 2 <= len(lines) < 10 and lines[0]["n"] == 0 and lines[-1]["n"] == lines[-1]["total"] == 20_000
    assert capfd.readouterr().err == "", "under the runner the loop draws no bar of its own"


def test_bad_profile_name_is_refused():
    with pytest.raises(ValueError, match="no folder name"):
        records.start("01_seed", dict(profile="../elsewhere", seed=0, n_seeds=1, n_tasks=1))


# ------------------------------------------------------------------ files that people lose

def test_links_stay_links_and_what_is_no_file_is_refused(tmp_path):
    (tmp_path/"deep").mkdir()
    real, link, second, loose, loop = (
        tmp_path/n for n in ("deep/real.txt", "link", "second", "loose", "loop"))
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to("deep/real.txt")
    second.symlink_to(link)
    loose.symlink_to("deep/not yet.txt")
    loop.symlink_to("loop")
    for n, path in enumerate((real, link, second)):
        records.write_text(path, f"new {n}")
        assert (real.read_text() == f"new {n}" and link.is_symlink() and second.is_symlink()
                and real.stat().st_mode & 0o777 == 0o640)
    records.write_text(loose, "made")
    assert loose.is_symlink() and (tmp_path/"deep/not yet.txt").read_text() == "made"
    os.mkfifo(tmp_path/"pipe")
    for path, why in ((tmp_path/"deep", "is a folder"), (tmp_path/"pipe", "is a pipe"),
                      ("/dev/null", "is a device"), ("/dev/full", "is a device"),
                      (loop, "leads back to itself"),
                      (real/"below.txt", "lies below a file"), (tmp_path/"a\0b", "NUL character"),
                      (tmp_path/("x" * 300), "too long")):
        for use in (lambda path: records.write_text(path, "x"), records.destination, records.Journal):
            with pytest.raises(OSError, match=why) as caught: use(path)
            assert "\n" not in str(caught.value)
    assert not [p for p in tmp_path.rglob("*")
                if p.name.endswith(".tmp")] and stat.S_ISFIFO((tmp_path/"pipe").stat().st_mode)


def test_a_destination_is_not_what_is_read_nor_what_is_not_ours(tmp_path):
    real, hard, link = (tmp_path/n for n in ("answers.jsonl", "hard", "link"))
    real.write_text("{}\n")
    os.link(real, hard)
    link.symlink_to(real)
    for path in (real, hard, link, tmp_path/"."/"answers.jsonl", os.path.relpath(real)):
        with pytest.raises(records.PathError, match="would be lost: name another file"):
            records.destination(path, [real])
    with pytest.raises(records.PathError, match="would be lost"):
        records.destination(tmp_path/"new", [tmp_path/"x"/".."/"new"])
    with pytest.raises(records.PathError, match="is there and is no result of codedpo_nb"):
        records.destination(real, ours=lambda name, head: False)
    with pytest.raises(records.PathError, match="name of the result is empty"): records.destination("")
    real.chmod(0o444)
    with pytest.raises(records.PathError, match="is read-only"): records.destination(real)
    assert records.destination(tmp_path/"missing"/"folder"/"r.json") == (
        tmp_path/"missing/folder/r.json").resolve() and (tmp_path/"missing/folder").is_dir()
    assert real.read_text() == "{}\n" and not list((tmp_path/"missing").rglob("*.*"))


@pytest.mark.parametrize("text",
                         [b"three years of work\n", b'{"task_id": "HumanEval/0", "completion": "x"}\n',
                          b'{"key": "0123456789abcdef"}\n', b"[]", b"\0" * 100, b"{\n", b"{",
                          b'{"k": 1, "row": 2}\n',
                                  '{"journal": "codedpo_nb"}'.encode("utf-16")])
def test_a_journal_never_empties_what_is_no_journal(run, tmp_path, text):
    path = tmp_path/"mine"
    path.write_bytes(text)
    with pytest.raises(records.PathError, match="mine is there and is no journal of codedpo_nb: name another "
                       "file, or delete it"):
        records.Journal(path)
    journal = run.path("journals/02_selfverify/loop.jsonl")
    journal.write_bytes(text)
    with pytest.raises(records.PathError, match="no journal"): run.journal("loop")
    assert path.read_bytes() == journal.read_bytes() == text


def test_a_named_journal_of_other_work_is_refused_and_an_empty_file_is_taken(run, tmp_path):
    loop = run.journal("loop", key=1)
    loop.append(1, 1)
    kept = loop.path.read_bytes()
    with pytest.raises(records.PathError, match="is the journal of other work: name another file"):
        records.Journal(loop.path)
    assert loop.path.read_bytes() == kept
    (tmp_path/"empty").touch()
    (tmp_path/"link").symlink_to("empty")
    records.Journal(tmp_path/"link").append("a", dict(x=1))
    assert records.Journal(tmp_path/"empty").get("a") == dict(x=1) and (tmp_path/"link").is_symlink()
    # the disk was full at the first line
    (tmp_path/"empty").write_bytes((tmp_path/"empty").read_bytes()[:20])
    assert len(records.Journal(tmp_path/"empty")) == 0


DAMAGE = {"intact": (lambda b: b, 10), "torn": (lambda b: b[:-7], 9),
          "garbled": (lambda b: b.replace(b'"k": 3', b'"k": 3x'), 9),
          "no row": (lambda b: b.replace(b'"row": {"x": 9}', b'"raw": 1'), 9),
          "number": (lambda b: b + b"7\n", 10), "list": (lambda b: b + b"[]\n", 10),
          "null": (lambda b: b + b"null\n", 10), "key": (lambda b: b + b'{"k": {}, "row": 1}\n', 10),
          "key in a list": (lambda b: b + b'{"k": [1, {}], "row": 1}\n', 10),
          "latin-1": (lambda b: b + b"\xe9\n", 10), "deep": (lambda b: b + b"[" * 10 ** 5 + b"\n", 10),
          "digits": (lambda b: b + b'{"k": 1, "row": ' + b"9" * 5000 + b"}\n", 10),
          "NUL at the end": (lambda b: b + b"\0" * 4096, 10),
          "NUL between": (lambda b: b.replace(b'{"k": 5', b"\0" * 99 + b'{"k": 5'), 10),
          "CRLF": (lambda b: b.replace(b"\n", b"\r\n"), 10), "BOM": (lambda b: b"\xef\xbb\xbf" + b, 10),
          "empty lines": (lambda b: b.replace(b"\n", b"\n\n"), 10)}

@pytest.mark.parametrize("spoil, rows", DAMAGE.values(), ids=DAMAGE)
def test_damage_in_a_journal_costs_its_own_line_and_is_named(run, spoil, rows, capsys):
    journal = run.journal("loop")
    for i in range(10): journal.append(i, dict(x=i))
    whole = journal.path.read_bytes()
    journal.path.write_bytes(spoil(whole))
    again = run.journal("loop")
    said = capsys.readouterr().err
    assert len(again) == rows and all(row == dict(x=k) for k, row in again.seen.items())
    silent = spoil(whole) == whole or rows == 10 and b"\0" in spoil(whole) or spoil(whole).startswith(
        b"\xef") or b"\r" in spoil(whole) or not spoil(whole).endswith(b"\n")
    assert ("loop.jsonl line " in said
            and "is damaged" in said) != silent and said.count("\n") == (not silent)
    for i in range(11): again.append(i, dict(x=i)) if i not in again else None
    assert len(run.journal("loop")) == 11


def test_two_journals_on_one_file_lose_nothing(tmp_path):
    one, two = records.Journal(tmp_path/"j"), records.Journal(tmp_path/"j")
    for i in range(20): (one if i % 2 else two).append(i, i)
    assert sorted(records.Journal(tmp_path/"j").rows()) == list(range(20))


@pytest.mark.parametrize("name",
                         ["..", "../x.jsonl", "../../..", "a/../../x.jsonl", "/etc/passwd", "", ".", "a//b",
                          "a/", "x\0.jsonl", None, 3])
def test_names_of_artefacts_stay_inside(run, name):
    for use in (run.path, run.read, run.checked, run.seal):
        with pytest.raises(ArtefactError, match="is no name of an artefact: name a file below") as caught:
            use(name)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert not run.artefacts.exists() or not list(run.artefacts.rglob("*.jsonl"))


@pytest.mark.parametrize("name",
                         ["..", ".", "", "a/b", "/abs", "a\0", "a\n", ".hidden", "-x", "x.", "CON", "nul",
                          "com1.txt", "by-hand", "x" * 101, " a", None, 3, ["a"]])
def test_names_of_profiles_are_names(tmp_path, name, monkeypatch):
    with pytest.raises(ValueError, match="is no folder name"): Run(name, "s", {}, home=tmp_path)
    cells = [dict(cell_type="code", metadata=dict(tags=["parameters"]), source="profile = 'smoke'\nseed = 0")]
    (tmp_path/"nbs").mkdir()
    (tmp_path/"nbs/s.ipynb").write_text(json.dumps(dict(cells=cells)))
    monkeypatch.setenv("CODEDPO_ROOT", str(tmp_path))
    with pytest.raises(ValueError, match="is no folder name"): records.start("s", dict(profile=name, seed=0))


@pytest.mark.parametrize("text",
                         [b"", b"null", b"[]", b"3", b'"x"', b"\xe9", b"[" * 10 ** 5,
                          b'{"a": ' + b"9" * 5000 + b"}", b'{"a.jsonl": "x"}', b'{"a.jsonl": null}',
                          b'{"a.jsonl": {}}',
                                  b'{"a.jsonl": {"digest": "x"}}',
                                  b'{"a.jsonl": {"digest": 3, "stage": "s"}}',
                                  b'{"../x": {"digest": "x", "stage": "s"}}', b"{}{}", "{}".encode("utf-16")])
def test_every_damaged_register_is_one_sentence(run, text):
    run.write("a.jsonl", [dict(x=1)])
    (run.artefacts/"artefacts.json").write_bytes(text)
    for use in (lambda: run.read("a.jsonl"), lambda: run.write("b.jsonl", [dict(x=1)])):
        with pytest.raises(ArtefactError, match="artefacts.json is damaged: delete it and give the same "
                           "command again") as caught:
            use()
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert (run.artefacts/"artefacts.json").read_bytes() == text, "what is damaged is not overwritten"


def test_rows_that_are_not_those_that_were_written(run):
    path = run.write("a.jsonl", [dict(x=i) for i in range(9)])
    for spoil in (b'{"x": 1}\n3\n', b'{"x": 1}\n\n', b"[" * 10 ** 5, b"\xff\n",
                  b'{"x": ' + b"9" * 5000 + b"}\n", b'{"x": 1}\n'):
        path.write_bytes(spoil)
        run.seal("a.jsonl", 9)
        with pytest.raises(ArtefactError, match=r"a.jsonl (cannot be read \(line \d is no row\)|has 1 rows, "
                           r"and had 9).*--only 02_selfverify"):
            run.read("a.jsonl")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ArtefactError, match="is damaged"): run.read("a.jsonl")


# ------------------------------------------------------------------ artefacts as data sets

EXACT = dict(a=.1 + .2, b=2 ** 53 + 1, c=2 ** 63 - 1, d=5e-324, e=-0., f=1e300, g=np.float32(.1),
             h=np.int64(2 ** 60 + 1), i=np.float64(1 / 3), j=np.bool_(True), k=[np.int8(1)])

@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_numbers_come_back_exactly(run, name):
    run.write(name, [EXACT, EXACT | dict(a=1.5)])
    back = run.read(name)
    assert back == [EXACT, EXACT | dict(a=1.5)] and [type(v) for v in back[0].values()] == [float, int, int,
        float, float, float, float, int, float, bool, list]


@pytest.mark.parametrize("rows, why",
                         [([dict(x=float("nan"))], "use None for a missing number"),
                          ([dict(x=np.float64("inf"))], "use None"), ([dict(x="\ud800")], "half a character"),
                                       ([dict(x=10 ** 5000)], "give numbers")])
def test_what_would_not_come_back_is_refused_with_its_row(run, rows, why):
    with pytest.raises(ValueError, match=f"Row 2 of a.jsonl cannot be written .*{why}"):
        run.write("a.jsonl", [dict(x=1)] + rows)
    assert not (run.artefacts/"a.jsonl").exists()


def test_parquet_that_would_lose_a_value_is_refused(run):
    for rows in ([dict(x=1), dict(x=1, y=2)], [dict(x=2 ** 70)], [dict(x=1), dict(x="a")],
                 [dict(x=2 ** 53 + 1), dict(x=.5)]):
        with pytest.raises(ValueError, match="a.parquet .*write .jsonl"): run.write("a.parquet", rows)


def test_an_artefact_without_rows_has_its_columns(run):
    pytest.importorskip("datasets")
    like = dict(prompt=[dict(role="user", content="")], n=0, x=0.)
    path = run.write("pairs.jsonl", [], like=like)
    empty = records.dataset(path)
    assert run.read("pairs.jsonl") == [] and path.read_bytes() == b"" and len(
        empty) == 0 and empty.column_names == list(like)
    full = records.dataset(run.write("more.jsonl", [like | dict(n=2 ** 53 + 1, x=.1 + .2)], like=like))
    assert full.features == empty.features and full[0]["n"] == 2 ** 53 + 1 and full[0]["x"] == .1 + .2


# ------------------------------------------------------------------ by hand

def test_a_run_by_hand_reads_through_its_layer_and_writes_into_it(run, monkeypatch, capsys):
    run.write("a.jsonl", [dict(x=1)])
    run.journal("loop").append(1, 1)
    before = {p: p.read_bytes() for p in run.dir.rglob("*") if p.is_file()}
    monkeypatch.setenv("CODEDPO_ROOT", str(run.home))
    monkeypatch.delenv("CODEDPO_RECORDED", raising=False)
    def declares(**params): # what the notebook of the stage says
        source = "\n".join(f"{name} = {value!r}" for name, value in params.items())
        cell = dict(cell_type="code", metadata=dict(tags=["parameters"]), source=source)
        (run.home/"nbs/02_selfverify.ipynb").write_text(json.dumps(dict(cells=[cell])))
    declares(profile="smoke", seed=0, n=3)
    shares = [.5]
    hand = records.start("02_selfverify", dict(profile="smoke", seed=1, n=shares, run=None))
    shares.append(1.)
    assert hand.params == dict(profile="smoke", seed=1, n=[.5]) and hand.seed == 1
    assert "goes to outputs/by-hand/smoke" in capsys.readouterr().out and hand.read("a.jsonl") == [
        dict(x=1)] and hand.checked("a.jsonl") == run.artefacts/"a.jsonl"
    assert len(hand.journal("loop")) == 0
    hand.workdir("w")
    hand.write("a.jsonl", [dict(x=2)])
    hand.table([dict(a=1)], "t", "T")
    assert hand.read("a.jsonl") == [dict(x=2)] and run.read("a.jsonl") == [dict(x=1)]
    assert {p: p.read_bytes() for p in run.dir.rglob("*") if p.is_file()} == before
    assert sorted(p.name for p in (run.home/"outputs").iterdir()) == ["by-hand", "smoke"]
    with pytest.raises(ArtefactError, match="outputs/smoke/artefacts/b.jsonl is missing"):
        hand.read("b.jsonl")
    monkeypatch.setenv("CODEDPO_RECORDED", str(run.home/"recorded.jsonl"))
    assert records.start("02_selfverify", dict(profile="smoke", seed=0, n=3)).dir == run.dir
    for bad, values, why in [(dict(profile="smoke", seed=0, n=3), dict(profile="smoke", seed=0),
                              "declares n, without a value here: run its parameters cell"),
                             (dict(profile="smoke"), dict(profile="smoke"), "declares no seed: write `seed = "
                              "0` into its parameters cell"),
                             (dict(seed=0), dict(seed=0), 'declares no profile: write `profile = "smoke"`')]:
        declares(**bad)
        with pytest.raises(ValueError, match=why): records.start("02_selfverify", values)
    with pytest.raises(ValueError, match="There is no notebook nbs/03_x.ipynb, which would declare the "
                       "parameters"):
        records.start("03_x", dict(profile="smoke"))


# ------------------------------------------------------------------ the root

def test_the_root_is_that_of_this_project(tmp_path, monkeypatch):
    monkeypatch.delenv("CODEDPO_ROOT", raising=False)
    ours = records.root()
    other = tmp_path/"other/nbs/deep"
    other.mkdir(parents=True)
    for text in ("[DEFAULT]\nlib_name = their_project\n", "[DEFAULT]\nlib_name = codedpo_nb2\n# lib_name = "
                 "codedpo_nb\n", ""):
        (tmp_path/"other/settings.ini").write_text(text)
        monkeypatch.chdir(other)
        assert records.root() == ours, ("a foreign project with notebooks is passed over, for the clone of "
                                        "the package")
    (tmp_path/"other/settings.ini").write_text("[DEFAULT]\nlib_name=codedpo_nb\n")
    assert records.root() == tmp_path/"other"
    monkeypatch.setitem(vars(records), "__file__", str(tmp_path/"site/codedpo_nb/running/records.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="No clone of codedpo_nb here: `git clone` the repository, "
                       "change into it and run `make reproduce`"):
        records.root()
    assert records.shown(tmp_path/"x") == str(tmp_path/"x")
    monkeypatch.setenv("CODEDPO_ROOT", str(tmp_path/"gone"))
    with pytest.raises(FileNotFoundError, match="gone', which is no folder: set it to the clone of "
                       "codedpo_nb, or unset it"):
        records.root()
