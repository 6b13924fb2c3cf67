"""What a notebook cell cannot show of the records: crashes, full disks, many processes."""
import json, os, signal, subprocess, sys, textwrap

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from codedpo_nb import records
from codedpo_nb.records import ArtefactError, DiskFullError, Run


@pytest.fixture
def run(tmp_path):
    (tmp_path/"nbs").mkdir()
    return Run("smoke", "02_selfverify", dict(seed=0, k=15), home=tmp_path)


def child(code, **env):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_stream_is_63_bits_and_stable():
    values = {records.stream(seed, "a", i) for seed in range(5) for i in range(200)}
    assert len(values) == 1000 and all(0 <= v < 2**63 for v in values)
    code = "from codedpo_nb.records import stream; print(stream(3, 'x', 1))"
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
    loaded = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path/"cache"))
    assert loaded.column_names == ["prompt", "chosen", "rejected"] and len(loaded) == 3


def test_bad_artefacts_are_one_sentence_with_the_way_out(run, tmp_path):
    nb = dict(cells=[dict(cell_type="code", metadata={}, source=["#| writes: base tests.jsonl\n", "seed = 0"])])
    (tmp_path/"nbs/01_seed.ipynb").write_text(json.dumps(nb))
    with pytest.raises(ArtefactError, match=r"tests.jsonl is missing: run `codedpo-run --profile smoke`, which makes it and what it needs$"):
        run.read("tests.jsonl")
    path = run.write("solutions.jsonl", [dict(a=1), dict(a=2)])
    for spoil in (path.read_bytes()[:-3], path.read_bytes().replace(b"2", b"3"), b""):
        path.write_bytes(spoil)
        with pytest.raises(ArtefactError, match=r"solutions.jsonl is damaged .* --only 02_selfverify`"): run.read("solutions.jsonl")
    run.path("stray.jsonl").write_text("{}\n")
    with pytest.raises(ArtefactError, match="never recorded"): run.read("stray.jsonl")
    (run.artefacts/"artefacts.json").write_text("{")
    with pytest.raises(ArtefactError, match="artefacts.json is damaged: delete it"): run.read("solutions.jsonl")


def test_full_disk_leaves_the_old_file_and_no_rubbish(run):
    path = run.write("rows.jsonl", [dict(a=1)])
    code = f"""
        import resource, sys
        from codedpo_nb.records import *
        run = Run("smoke", "02_selfverify", {{}}, home={str(run.home)!r})
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)) # as a full disk would, at 20 kB
        for attempt in (lambda: run.write("rows.jsonl", [dict(a="x"*1000)]*100), lambda: run.journal("loop").append(1, "y"*30_000)):
            try: attempt()
            except DiskFullError as error: print(error)
    """
    out, err = child(code).communicate()
    assert out.count("No space left to write") == 2 and "rows.jsonl" in out and "loop.jsonl" in out and "finished work is intact" in out, err
    assert path.read_text() == '{"a": 1}\n' and run.read("rows.jsonl") == [dict(a=1)]
    assert not list(run.dir.rglob("*.tmp"))
    assert len(run.journal("loop")) == 0


def test_journal_survives_kill(run):
    code = f"""
        import time
        from codedpo_nb.records import Run
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
        from codedpo_nb.records import Run
        run = Run("smoke", "02_selfverify", {}, home=%r)
        for i in range(20): run.write(f"%s-{i}.jsonl", [dict(i=i)])
    """
    for process in [child(code % (str(run.home), name)) for name in "ab"]: assert process.wait() == 0, process.stderr.read()
    assert len(records.load_register(run.artefacts/"artefacts.json")) == 40


def test_figures_are_the_same_bytes_in_two_processes(run):
    code = """
        import matplotlib; matplotlib.use("Agg")
        import matplotlib.pyplot as plt
        from codedpo_nb.records import Run, style
        style()
        fig, ax = plt.subplots()
        ax.bar([1, 2], [3, 4], hatch="/", label="x"); ax.fill_between([0, 1], [0, 1]); ax.legend(); ax.set_title("ünï")
        Run("smoke", "02_selfverify", {}, home=%r).figure(fig, "bars", "Bars & <more>")
    """
    made = []
    for hash_seed in "01":
        process = child(code % str(run.home), PYTHONHASHSEED=hash_seed)
        assert process.wait() == 0, process.stderr.read()
        made.append({p.name: p.read_bytes() for p in (run.dir/"figures").iterdir()} | {"m": (run.dir/"manifest.json").read_bytes()})
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
    assert entry["caption"] == "First again" and entry["notebook"] == "nbs/02_selfverify.ipynb" and entry["params"] == dict(seed=0, k=15)
    assert entry["versions"]["numpy"] and entry["files"] == ["tables/one.csv", "tables/one.md"] and entry["order"] == 0
    assert "digests" in entry and "digests" not in manifest["tables/times"], "measured time must not make two manifests differ"
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
    with pytest.raises(ValueError, match="no folder name"): records.start("01_seed", "../elsewhere")
