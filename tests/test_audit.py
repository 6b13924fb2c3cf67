"""The published figures are those that were printed, and the audit finds what is there and nothing else."""
import ast
import csv
import json
import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codedpo_nb import audit, leaderboard
from codedpo_nb.statistics import least_gain

ROOT = Path(__file__).parent.parent
TABLES = [f"Table {i}" for i in range(1, 18) if i != 3]


@given(st.integers(1, 1200), st.data(), st.integers(1, 2))
def test_every_rate_of_whole_numbers_is_found_however_it_was_printed(n, data, digits):
    k = data.draw(st.integers(0, n))
    cut = math.floor(10**digits * 100 * k / n + 1e-9) / 10**digits
    for printed in (round(100 * k / n, digits), cut): assert k in audit.solved(printed, n, digits)


@given(st.integers(1, 500), st.integers(0, 10000))
def test_a_number_that_is_found_is_printed_so(n, hundredths):
    printed = hundredths / 100
    for k in audit.solved(printed, n): assert -.005 - 1e-6 < 100 * k / n - printed < .01 + 1e-6


@pytest.mark.parametrize("n, digits", [(164, 2), (378, 2), (399, 2), (48, 1), (1000, 1), (3, 2)])
def test_chance_is_the_share_of_percentages_that_some_rate_is_printed_as(n, digits):
    rates = [Fraction(100 * 10**digits * k, n) for k in range(n + 1)]
    half = Fraction(1, 2)
    printed = {p for x in rates for p in (math.floor(x), math.floor(x + half), math.ceil(x - half))}
    assert audit.chance(n, digits) == pytest.approx(len(printed) / (100 * 10**digits + 1))


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_there_and_whole(table):
    rows = audit.paper_rows(table)
    assert rows and all(row.keys() == rows[0].keys() for row in rows)
    assert len({(row["model"], row["training"]) for row in rows}) == len(rows)
    for row in rows:
        assert all(0 <= row[c] <= 100 for c in audit.FOUR if c in row)


def test_an_unknown_table_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="'Table 3' is unknown: choose Table 1, 2, 4, 9 or Table 5"):
        audit.paper_rows("Table 3")


def test_what_two_tables_share_is_the_same():
    "Rows that the paper prints twice; the one cell that differs is in the audit."
    base = {r["model"]: r for r in audit.paper_rows("Table 2") if r["training"] == "CodeDPO"}
    for table in ("Table 6", "Table 7", "Table 10", "Table 11", "Table 12"):
        for row in audit.paper_rows(table):
            if row["training"] == "CodeDPO": assert all(base[row["model"]][c] == row[c] for c in audit.FOUR)
    times = {r["training"]: r for r in audit.paper_rows("Table 14")}
    for benchmark, row in times.items():
        assert row["before"] / row["after"] == pytest.approx(row["speed-up"], abs=.006)
        read = leaderboard.PAPER_SPEED["Phi-2-2.7B", benchmark][0]
        assert read == pytest.approx(row["speed-up"], abs=.02), "read by eye from Figure 3"


def test_figures_are_those_that_the_ablations_show():
    "Stage 07 holds HumanEval columns of the same tables; read from its source, for it imports torch."
    tree = ast.parse((ROOT/"codedpo_nb/ablation.py").read_text())
    named = {n.targets[0].id: n.value for n in tree.body if isinstance(n, ast.Assign)
             and isinstance(n.targets[0], ast.Name)}
    report = ast.literal_eval(named["REPORT"])
    ours = audit.figures()["regimes"]["DeepSeekCoder-1.3B"]["HumanEval"]
    assert {run: tuple(values) for run, values in ours.items()} == report
    theirs = {k.arg: ast.literal_eval(k.value) for k in named["PAPER"].keywords}["size"][2]
    rows = {r["training"]: tuple(r[c] for c in audit.FOUR) for r in audit.paper_rows("Table 7")}
    names = {"base": "base", "100%": "CodeDPO"}
    for name, values in theirs.items():
        assert rows[names.get(name, f"CodeDPO, {name} of the data")] == values


def test_figures_are_those_of_the_reference():
    "Against a folder of published figures in other files, where there is one beside the clone."
    folders = [p/"shared/reference" for p in ROOT.parents]
    found = [p for p in folders if (p/"third_report.csv").is_file()]
    if not found: pytest.skip("no folder shared/reference with the published figures above this clone")
    with open(found[0]/"third_report.csv", newline="") as file:
        theirs = sorted((r["model"].lower(), float(r["avg_time_ns"]), float(r["pass_at_1"]))
                        for r in csv.DictReader(file))
    names = {"DeepSeekCoder-1.3B": "deepseek-coder-1.3b", "StarCoder-1B": "starcoder-1b"}
    ours = sorted((names[m], *values) for m, of in audit.figures()["regimes"].items()
                  for runs in of.values() for values in runs.values())
    assert ours == theirs
    tables = json.loads((found[0]/"codedpo_tables.json").read_text())
    for row in audit.paper_rows("Table 2"):
        values = tables["T2"][row["model"]][row["training"]]
        assert values == [row[c] for c in audit.FOUR]


def test_known_findings():
    "Counted by hand, on paper."
    told = audit.measured(audit.audit())
    assert told["ds1000-slight-drops"][0] == pytest.approx(44.4 - 33.3)
    assert told["best-of-table2"][0] == pytest.approx(100 * 27 / 32)
    assert told["own-baseline-gain"][0] == pytest.approx(60.36 - 60.4)
    assert told["program-is-equation"][0] == pytest.approx(2.6875 - 2)
    assert told["dpo-over-sft"][0] == pytest.approx(100 * (98 - 92) / 164)


@pytest.mark.parametrize("finding", audit.audit(), ids=lambda f: f.title)
def test_findings_read_their_numbers(finding):
    assert finding.rows and finding.reading.endswith(".") and "None" not in finding.reading
    assert finding.title in finding._repr_markdown_() and finding.reading in finding._repr_markdown_()
    for low_first in finding.measured.values():
        estimate, low, high, seen = low_first
        assert low <= estimate <= high and (seen is None or seen > 0)


def test_one_claim_is_measured_once():
    finding = audit.Finding("twice", [{}], "It is.", {"a": audit.counted(1)})
    with pytest.raises(ValueError, match="twice measures a, as another finding does"):
        audit.measured([finding, finding])


def test_the_least_gain_is_the_first_whose_best_case_is_significant():
    assert [audit.best_case(k) < .05 for k in range(4, 8)] == [False, False, True, True]
    assert least_gain() == 6 and audit.best_case(0) == 1


def test_rows_without_a_fit_are_not_compared():
    assert audit.apart((), (378,)) == audit.apart((399,), ()) == audit.apart((378, 399), (399,)) == 0
    row = {"MBPP": 66.87, "MBPP+": 55.76, "HumanEval": 55.49, "HumanEval+": 49.22}
    assert audit.mbpp_tasks(row) == {"MBPP": (), "MBPP+": (), "tasks": ()}


@pytest.mark.parametrize("after, before, n", [(80, 70, 100), (100, 0, 20), (50, 50, 164), (0, 0, 10)])
def test_unpaired_interval_holds_the_difference_and_turns_with_it(after, before, n):
    gap, low, high = audit.unpaired(after, before, n)
    back = audit.unpaired(before, after, n)
    assert low <= gap <= high and gap == pytest.approx(after - before)
    assert back == pytest.approx((-gap, -high, -low))


def test_published_figures_are_in_the_package():
    "The wheel takes them along, and each part says where it is from."
    assert '"published.json"' in (ROOT/"setup.py").read_text()
    data = json.loads((ROOT/"codedpo_nb/published.json").read_text())
    assert data.keys() - {"sources"} == data["sources"].keys()
