"""The ledger is whole, a broken one is refused with its line, and verdicts follow one rule, at edges too."""
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codedpo_nb import claims
from codedpo_nb.audit import audit, measured
from codedpo_nb.claims import CONTRADICTED, HOLDS, SMALLER, UNRESOLVED, UNTESTED, Claim, verdict

ROOT = Path(__file__).parent.parent
LEDGER = claims.load_ledger(ROOT/"claims.yaml")
ABOVE = Claim("more", "codedpo", ("Table 1",), "More.", "m", 0., "points", published=10., refuted_by="r",
              scales=("scale model",))
BELOW = replace(ABOVE, id="less", side="below", threshold=2., published=None)
PUBLISHED = {(name, "published figures"): values for name, values in measured(audit()).items()}


@pytest.mark.parametrize("low, estimate, high, word", [
    (1, 12, 20, HOLDS), (1, 5, 9.999, SMALLER), (1, 5, 10, HOLDS), (10, 10, 10, HOLDS),
    (0, 5, 10, UNRESOLVED), (1e-12, 5, 10, HOLDS), (-5, 0, 5, UNRESOLVED), (-5, -1, 0, UNRESOLVED),
    (-5, -1, -1e-12, CONTRADICTED), (0, 0, 0, UNRESOLVED), (3, 3, 3, SMALLER), (-1, -1, -1, CONTRADICTED),
    (1, 5, math.inf, HOLDS), (-math.inf, 0, math.inf, UNRESOLVED)])
def test_verdict_of_a_claim_above(low, estimate, high, word):
    assert verdict(ABOVE, estimate, low, high, seen=3).word == word


@pytest.mark.parametrize("low, estimate, high, word", [
    (-1, 1, 1.9, HOLDS), (-1, 1, 2, UNRESOLVED), (2, 3, 4, UNRESOLVED), (2.1, 3, 4, CONTRADICTED)])
def test_verdict_of_a_claim_below(low, estimate, high, word):
    assert verdict(BELOW, estimate, low, high, seen=3).word == word


def test_published_effect_of_a_claim_below():
    memory = replace(BELOW, threshold=8000., published=7000., unit="MB")
    words = [verdict(memory, v, v, v).word for v in (6900, 7000, 7001, 8001)]
    assert words == [HOLDS, HOLDS, SMALLER, CONTRADICTED]


def test_not_resolved_comes_with_what_could_have_been_seen():
    assert str(verdict(ABOVE, 1, -2, 4, seen=4.25)) == \
        "not resolved: An effect of 4.25 points could have been seen."
    for seen in (None, 0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="more is not resolved: say with `seen`"):
            verdict(ABOVE, 1, -2, 4, seen)


def test_what_was_not_measured_is_not_tested():
    assert verdict(ABOVE, None) == claims.Verdict(UNTESTED)
    assert str(verdict(replace(ABOVE, not_tested="Too large."), None)) == "not tested here: Too large."
    with pytest.raises(ValueError, match="more is not tested, says the ledger"):
        verdict(replace(ABOVE, not_tested="Too large."), 1, 0, 2)


@pytest.mark.parametrize("values", [(1, None, 2), (1, 0, None), (1, 2, 3), (3, 1, 2), (math.nan, 0, 1),
                                    (1, math.nan, 2)])
def test_no_verdict_without_an_interval(values):
    with pytest.raises(ValueError, match="give low <= estimate <= high"): verdict(ABOVE, *values, seen=1)


numbers = st.floats(-100, 100)

@given(numbers, st.tuples(numbers, numbers, numbers), st.floats(.1, 50))
def test_exactly_one_word_and_its_mirror(threshold, values, effect):
    low, estimate, high = sorted(values)
    claim = replace(ABOVE, threshold=threshold, published=threshold + effect)
    word = verdict(claim, estimate, low, high, seen=1).word
    assert (word == CONTRADICTED) == (high < threshold) and (word == UNRESOLVED) == (low <= threshold <= high)
    assert (word in (HOLDS, SMALLER)) == (low > threshold)
    mirror = replace(claim, side="below", threshold=-threshold, published=-threshold - effect)
    assert verdict(mirror, -estimate, -high, -low, seen=1).word == word


def test_ledger_is_whole():
    assert len(LEDGER) > 80, "it was loaded, so nothing is wrong with it"
    assert {p for c in LEDGER.values() if c.document == "codedpo" for p in c.places} >= set(claims.PLACES)


@pytest.mark.parametrize("claim", LEDGER.values(), ids=lambda c: c.id)
def test_claims_are_sentences_that_can_be_decided(claim):
    assert claim.claim.endswith(".") and "\n" not in claim.claim
    if claim.not_tested:
        assert claim.not_tested.endswith(".") and claim.threshold is None and not claim.scales
        return
    assert claim.measure.endswith(".") and claim.refuted_by.endswith(".") and claim.unit and claim.scales
    step = max(1., abs(claim.threshold)) * (1 if claim.side == "above" else -1)
    far = claim.threshold + 2 * step if claim.published is None else claim.published + step
    near = claim.threshold - step
    assert verdict(claim, far, far, far).word == HOLDS
    assert verdict(claim, near, near, near).word == CONTRADICTED


def test_published_figures_decide_what_was_announced_for_them():
    announced = {(name, "published figures") for name, c in LEDGER.items() if "published figures" in c.scales}
    assert announced == PUBLISHED.keys()
    rows = claims.decided(LEDGER, PUBLISHED)
    assert len(rows) == len(LEDGER), "one scale so far, so one row a claim"
    words = {r["id"]: r["verdict"] for r in rows}
    assert words["best-of-table2"] == words["mbpp-same-tasks"] == CONTRADICTED
    assert words["dpo-over-base-everywhere"] == words["random-pairs"] == HOLDS
    assert words["dpo-over-sft"] == UNRESOLVED and words["best-model-83"] == UNTESTED
    assert sum(sum(v for k, v in row.items() if k != "scale") for row in claims.tally(rows)) == len(rows)


def test_several_scales_make_several_rows():
    told = {("dpo-over-base", "published figures"): (12.8, 2, 23, None),
            ("dpo-over-base", "scale model"): (1, .5, 2, None)}
    rows = {r["scale"]: r["verdict"] for r in claims.decided(LEDGER, told) if r["id"] == "dpo-over-base"}
    assert rows == {"scale model": SMALLER, "published figures": HOLDS}


def test_nothing_is_decided_that_was_not_announced():
    with pytest.raises(ValueError, match="'moon' is no claim of the ledger"):
        claims.decided(LEDGER, {("moon", "scale model"): (1, 0, 2, None)})
    with pytest.raises(ValueError, match="best-of-table2 is not announced for 'scale model': the ledger"):
        claims.decided(LEDGER, {("best-of-table2", "scale model"): (1, 0, 2, None)})
    with pytest.raises(ValueError, match="the ledger names no scale"):
        claims.decided(LEDGER, {("best-model-83", "scale model"): (1, 0, 2, None)})


def test_the_whole_ledger_has_a_verdict_and_a_sentence_for_every_claim_at_every_scale():
    found = [row for (name, scale), values in PUBLISHED.items()
             for row in claims.measurement(name, scale, *values)]
    found += claims.measurement("stage-sft", "scale model", 22.3, 15.7, 28.7, n=300, seeds=3)
    rows = claims.whole_ledger(LEDGER, found, {"real models": "They have not run."})
    wanted = [(c.id, scale) for c in LEDGER.values() for scale in c.scales or ("",)]
    assert [(r["id"], r["scale"]) for r in rows] == wanted
    assert all(r["verdict"] in claims.VERDICTS and r["reading"].endswith(".") for r in rows)
    by = {(r["id"], r["scale"]): r for r in rows}
    assert by["stage-sft", "scale model"]["reading"] == \
        "22.3 points [15.7, 28.7]: above 0 points; the paper has 25.6."
    assert by["stage-sft", "real models"]["reading"] == "They have not run."
    assert by["best-model-83", ""]["reading"] == LEDGER["best-model-83"].not_tested
    one_scale = claims.decided(LEDGER, PUBLISHED)
    for row in one_scale:
        if row["scale"]: assert by[row["id"], row["scale"]]["verdict"] == row["verdict"]


def test_measured_rows_are_whole_or_refused():
    assert claims.measurement("stage-sft", "scale model", 1, math.nan, 2) == []
    row, = claims.measurement("stage-sft", "scale model", 1.0001, 1.1, 2)
    assert row["low"] == row["estimate"], "an interval holds its estimate, whatever was rounded"
    for change, why in ((dict(claim="moon"), "no claim"), (dict(scale="moon"), "not announced"),
                        (dict(low=None), "without estimate and interval")):
        with pytest.raises(ValueError, match=why): claims.whole_ledger(LEDGER, [row | change], {})
    with pytest.raises(ValueError, match="tell the two rows apart"):
        claims.whole_ledger(LEDGER, [row] * 2, {})
    two = claims.whole_ledger(LEDGER, [row, row | dict(note="another model")], {})
    assert [r["note"] for r in two if r["here"] is not None] == ["", "another model"]


@given(st.floats(-50, 50), st.floats(.01, 40))
def test_what_could_have_been_seen_is_in_the_interval_of_most_studies(middle, half):
    seen = claims.seen_by(middle - half, middle + half)
    assert half < seen < 1.5 * half, "four studies of five, not every second"


GOOD = """documents: {codedpo: {title: the paper}}
claims:
- id: one
  source: codedpo, PLACES
  claim: It helps.
  measure: After minus before.
  threshold: {value: 0, unit: points, side: above, published: 3}
  refuted_by: An interval below 0.
  scales: [scale model]
""".replace("PLACES", ", ".join(claims.PLACES))
BAD = {
    "unit: points, ": ("unit: 3, ", "line 3: one has a threshold without a unit"),
    "value: 0, ": ("value: much, ", "one has a threshold whose value is no number"),
    "value: 0, unit": ("value: yes, unit", "one has a threshold whose value is no number"),
    "side: above": ("side: right", "one has a threshold without a side: write above or below"),
    "published: 3": ("published: -3", "one has a published effect on the wrong side"),
    "published: 3}": ("paper: 3}", "one has 'paper' in its threshold"),
    "[scale model]": ("[scale model, scale model]", "one names a scale twice"),
    "[scale": ("[small scale", "one has the scale 'small scale model': choose from scale model"),
    "  measure: After minus before.\n": ("", "one has no measure: add it, or say with not_tested why"),
    "  refuted_by": ("  refuted", "one has 'refuted', which is not a field"),
    "source: codedpo": ("source: moon", "one has the source 'moon': begin it with one of codedpo"),
    "Figure 4": ("Figure 9", "Figure 4 of the paper has no claim: add one"),
    "id: one": ("id: One claim", "'One claim' is no id: use small letters"),
    "the paper}}": ("the paper}, b4: {title: b}}", "the document b4 has no claim: add one"),
    "claims:": ("rows:", "is no ledger: give it documents and a list of claims"),
    "- id: one": ("- id: one: two", "is not YAML"),
    "claim: It helps.": ("not_tested: Why.", "one has threshold and not_tested: keep one of the two"),
}


@pytest.mark.parametrize("old, new, said", [(k, *v) for k, v in BAD.items()], ids=lambda v: v[:30])
def test_a_broken_ledger_is_refused(tmp_path, old, new, said):
    path = tmp_path/"claims.yaml"
    path.write_text(GOOD)
    assert claims.check_ledger(path) == [] and list(claims.load_ledger(path)) == ["one"]
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(claims.LedgerError) as error:
        claims.load_ledger(path)
    try: flaws = claims.check_ledger(path)
    except claims.LedgerError as first: flaws = [str(first)]
    assert any(said in flaw for flaw in flaws) and all("claims.yaml" in flaw for flaw in flaws)
    assert str(error.value).startswith(flaws[0])


def test_an_id_is_given_once(tmp_path):
    path = tmp_path/"claims.yaml"
    path.write_text(GOOD + GOOD.partition("claims:\n")[2])
    [flaw] = claims.check_ledger(path)
    assert "line 10: one is also the id of" in flaw and "line 3" in flaw


def test_a_ledger_that_is_not_there_is_said_in_a_sentence(tmp_path):
    with pytest.raises(claims.LedgerError, match="claims.yaml"): claims.load_ledger(tmp_path/"claims.yaml")


def test_ids_are_found_in_the_order_of_the_file():
    assert re.findall(r"^- id: (.*)$", (ROOT/"claims.yaml").read_text(), re.M) == list(LEDGER)
