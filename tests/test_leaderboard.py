"""Medals, differences and figures; the published tables are made again from their figures, to the character
(skipped without the folder `shared`)."""
import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from codedpo_nb import leaderboard as L

DATA = Path(os.environ.get("CODEDPO_DATA") or Path(__file__).resolve().parents[2]/"shared"/"data")
REFERENCE, SEEDS = DATA.parent/"reference", DATA.parent/"seeds"
COLUMNS = [L.column("avg_time_ns", "平均时间 (avg_time)", "{:.2f}", low=True, ratio="加速比 (Speedup)"),
           L.column("pass_at_1", "Pass@1")]
HEAD, BASELINE = "模型 (Model)", "deepseek1.3b-original-data-25-sft"


def reference(name):
    if not (REFERENCE/name).exists():
        pytest.skip(f"{name} is not here: the published figures lie in a folder `reference` beside "
                    "CODEDPO_DATA, and are not compared")
    return (REFERENCE/name).read_text(encoding="utf-8")


def report(benchmark):
    "The rows of the seventeen runs, and the document that prints them."
    rows = [r | dict(avg_time_ns=float(r["avg_time_ns"]), pass_at_1=float(r["pass_at_1"]))
            for r in csv.DictReader(reference("third_report.csv").splitlines())]
    document = next(SEEDS.glob("000*"), None)
    if document is None:
        pytest.skip("the report is not here: it lies in a folder `seeds` beside CODEDPO_DATA, and its tables "
                    "are not compared")
    section = re.split(r"^## ", document.read_text(encoding="utf-8"),
                       flags=re.M)[2 if benchmark == "humaneval" else 3]
    return [r for r in rows if (r["model"], r["benchmark"]) == ("deepseek-coder-1.3b", benchmark)], section


def short(name):
    return name.replace("deepseek1.3b-original-data-", "").replace("25-sft-dpo-", "sft-").replace("dpo-", "")


def test_import_is_light():
    code = ("import sys, codedpo_nb.leaderboard; sys.exit(any(m in sys.modules for m in ('torch', 'pandas', "
            "'matplotlib', 'numpy')))")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def tables(section): return [t.rstrip("\n") for t in re.findall(r"(?:^\|.*\n)+", section, re.M)]


def number(cell): return float(re.sub(r"<[^>]*>", "", cell).strip(" x"))


def unrounded(rows, against):
    """The rows with digits beyond the printed ones. The document subtracted before it rounded, so that its
    differences are not always those of its
    printed values; here are values that round to what it prints and whose differences do as well, if there
    are any."""
    gaps = {cells[1].strip(): cells for cells in (line.split("|") for line in against.split("\n")[2:])}
    out = [dict(r) for r in rows]
    for field, place, unit in (("avg_time_ns", 2, .01), ("pass_at_1", 4, .0001)):
        base = next(r for r in out if r["run"] == BASELINE)
        room = [r[field] - number(gaps[r["run"]][place]) - base[field] for r in rows if r["run"] != BASELINE]
        low, high = max([-unit / 2] + [x - unit for x in room]), min([unit / 2] + [x + unit for x in room])
        assert low < high, "the document contradicts itself"
        base[field] += (low + high) / 2
        for r in out:
            if r is base: continue
            wanted = base[field] + number(gaps[r["run"]][place])
            r[field] = min(max(wanted, r[field] - unit * .499), r[field] + unit * .499)
    return out


@pytest.mark.parametrize("benchmark", ["humaneval", "mbpp"])
def test_published_tables_come_out_to_the_character(benchmark):
    rows, section = report(benchmark)
    assert len(rows) == 17
    board, against = tables(section)
    assert L.markdown(L.leaderboard(rows, "run", COLUMNS, HEAD), rule="| :--- |  :--- | :--- |") == board
    exact = unrounded(rows, against)
    assert L.markdown(L.leaderboard(exact, "run", COLUMNS, HEAD), rule="| :--- |  :--- | :--- |") == board
    assert L.markdown(L.comparison(exact, BASELINE, "run", COLUMNS, HEAD)) == against


@pytest.mark.parametrize("benchmark", ["humaneval", "mbpp"])
def test_from_printed_values_only_last_digits_of_differences_can_be_off(benchmark):
    rows, section = report(benchmark)
    ours, theirs = (
        line.split("\n")
         for line in (L.markdown(L.comparison(rows, BASELINE, "run", COLUMNS, HEAD)), tables(section)[1]))
    assert ours[:2] == theirs[:2]
    for one, other in zip(ours[2:], theirs[2:], strict=True):
        assert re.sub(r"[+-][\d.]+", "", one) == re.sub(r"[+-][\d.]+", "",
                                                        other), "names, colours and speed-ups"
        for a, b, unit in zip(one.split("|")[2:5:2], other.split("|")[2:5:2], (.01, .0001), strict=False):
            assert abs(number(a) - number(b)) < 1.01 * unit


@pytest.mark.parametrize("benchmark", ["humaneval", "mbpp"])
def test_published_winners_come_out(benchmark):
    rows, section = report(benchmark)
    four = ["deepseek1.3b-original-data-" + x
            for x in ("25-sft-dpo-codedpo", "25-sft-dpo-all", "dpo-codedpo", "dpo-all")]
    listed = re.findall(r"^`([\w-]+)`", section.split("优于基准的有")[1].split("###")[0], re.M)
    assert sorted(short(n) for n in L.beating(rows, four, "run", COLUMNS)) == sorted(listed)


def test_a_committed_case_with_ties_gaps_and_no_difference():
    rows = [dict(m="a", t=200., p=.5), dict(m="b", t=100., p=.25), dict(m="c", t=100., p=.5),
            dict(m="d", t=400., p=None), dict(m="e", t=199.999, p=.5)]
    columns = [L.column("t", "time", "{:.1f}", low=True, ratio="x"), L.column("p", "p", "{:.2f}")]
    board = L.leaderboard(rows, "m", columns, worst="({})")
    assert [r["time"] for r in board] == ["200.0", "🥇100.0", "🥇100.0", "(400.0)", "🥉200.0"]
    assert [r["p"] for r in board] == ["🥇0.50", "(0.25)", "🥇0.50", "", "🥇0.50"]
    against = L.comparison([r for r in rows if r["m"] != "d"], "a", "m", columns, colors=("+{}", "-{}"))
    assert against == [dict(model="b", time="+-100.0", x="+2.00x", p="--0.25"),
                       dict(model="c", time="+-100.0", x="+2.00x", p="+0.00"),
                       dict(model="e", time="-0.0", x="1.00x", p="+0.00")]


def test_published_figures_of_the_paper_are_those_of_the_reference():
    paper = json.loads(reference("codedpo_tables.json"))
    numbers = lambda rows: [[v for k, v in r.items() if k not in ("model", "training")] for r in rows]
    assert numbers(L.published("Table 1")) == [v for k, v in paper["T1"].items() if k != "cols"]
    assert {(r["model"], r["training"]): v for r,
            v in zip(L.published("Table 2"), numbers(L.published("Table 2")), strict=False)} == {(m, t): v
        for m, each in paper["T2"].items() for t, v in each.items()}
    assert numbers(L.published("Table 9")) == [v for k,
                                               each in paper["T9_DS1000"].items() if k != "cols"
                                               for v in each]
    assert numbers(L.published("Table 4")) == [v for k,
                                               each in paper["T4_LCB"].items() if k != "cols" for v in each]
    names = {"Phi-2": "Phi-2-2.7B", "DSC-1.3B": "DeepSeekCoder-1.3B", "DSC-6.7B": "DeepSeekCoder-6.7B"}
    for i, what in enumerate(("speedup", "opt%")):
        for short_name, name in names.items():
            for benchmark in ("HE", "MBPP"):
                full = dict(HE="HumanEval+", MBPP="MBPP+")[benchmark]
                assert L.PAPER_SPEED[name,
                                     full][i] == paper["Fig3_read_by_eye_medians"][f"{benchmark}+ {what}"][
                    short_name]


def test_grouped_figure_from_a_table_of_models_and_benchmarks():
    import matplotlib
    matplotlib.use("Agg")
    wide = list(csv.DictReader(reference("deepseek_r1.csv").splitlines()))
    models = [k for k in wide[0] if k not in ("benchmark", "metric", "source")]
    rows = [dict(benchmark=r["benchmark"], model=m, value=float(r[m]), source="paper") for r in wide
            for m in models]
    assert L.conflicts(rows) == []
    rows += [dict(benchmark="AIME 2024", model="OpenAI-o1-mini", value=v, source="article")
             for v in (72.6, 39.2)]
    assert L.conflicts(rows) == [dict(benchmark="AIME 2024", model="OpenAI-o1-mini",
                                      values="63.6 (paper); 72.6 (article); 39.2 (article)")]
    ax = L.grouped(rows).axes[0]
    assert sorted(round(p.get_height(), 1) for p in ax.patches if p.get_height() > 0) == sorted(r["value"]
        for r in rows if r["source"] == "paper")
    assert sorted(float(line.get_ydata()[0]) for line in ax.lines if len(line.get_xdata())) == [39.2, 72.6]


def test_figure_skips_what_is_missing_and_has_whiskers():
    import matplotlib
    matplotlib.use("Agg")
    rows = [dict(benchmark="b", model="m", value=50., low=40., high=65., source="here"),
            dict(benchmark="b", model="n", value=None, source="here"),
            dict(benchmark="c", model="n", value=10., source="here")]
    ax = L.grouped(rows).axes[0]
    assert [p.get_height() for p in ax.patches if p.get_height() > 0] == [50, 10]
    assert [40., 65.] in [c.get_segments()[0][:, 1].tolist() for c in ax.collections]


@pytest.mark.parametrize("call, said",
                         [(lambda: L.published("Table 7"), "choose one of Table 1"),
                          (lambda: L.comparison([dict(m="a")], "b", "m", []), "baseline = 'b' is not among")])
def test_unknown_names_are_refused(call, said):
    with pytest.raises(ValueError, match=said): call()
