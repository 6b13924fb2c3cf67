"""The report says first what came out, then shows each table and figure of the paper beside ours or says why
not; it is whole in itself, in a real browser as well, and its Markdown twin says the same."""
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from codedpo_nb import verdicts
from codedpo_nb.claims import VERDICTS, load_ledger, measurement, tally, whole_ledger
from codedpo_nb.running import page, report
from codedpo_nb.running.records import Run, style

ROOT = Path(__file__).parent.parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: `apt-get install chromium`")
PLACES = [item.place for item in page.PAPER]
LEDGER = load_ledger(ROOT/"claims.yaml")
ROWS = whole_ledger(LEDGER, measurement("stage-sft", "scale model", 22.3, 15.7, 28.7, n=300, seeds=3)
                    + measurement("sft-then-dpo", "scale model", -.8, -3.8, 2.2, n=300, seeds=3), {})


def recorded(base, real=False):
    "A run with a little of everything, in outputs/laptop below `base`, and perhaps one of real models."
    run = Run("laptop", "06_eval", dict(profile="laptop", seed=0), home=base)
    run.table([{"model": m, "training": t, "HumanEval": x} for m, t, x in (
        ("scale model, here", "base", 75.), ("Phi-2-2.7B", "base", 48.78))], "eval_table2",
        "The paper's Table 2, with <the scale model> in the same form.")
    run.table([{f"column {i} of a wide table": "long words " * 3 for i in range(18)}] * 3, "wide", "Wide.")
    run.table([dict(problem=f"p{i}", text="x" * 300) for i in range(200)], "long", "Data only.")
    style()
    fig, ax = plt.subplots()
    ax.plot([0, 1], [1, 0])
    run.figure(fig, "logps", "Log-probabilities (the paper's Figure 1).")
    run.finding("gain", "The scale model gains 1 point.", ["eval_table2"])
    last = Run("laptop", "08_claims", dict(profile="laptop", seed=0), home=base)
    for place in [f"Table {i}" for i in range(1, 18)]:
        last.table(verdicts.printed(place), f"printed_{place.lower().replace(' ', '_')}", "As printed.",
                   places=[place])
    last.table([r for r in tally(ROWS) if r["scale"] != "none"], "verdict_tally", "Verdicts.", headline=True)
    last.table([verdicts.short(r) for r in ROWS if r["here"] is not None], "verdicts", "Verdicts.")
    last.table(verdicts.untested(ROWS), "untested", "Not tested.")
    last.figure(verdicts.effects(verdicts.beside_paper(ROWS)), "verdict_effects", "Effects.")
    for name in verdicts.ASKED_FIRST:
        last.finding(f"first_{name}", verdicts.in_words(LEDGER[name], ROWS), headline=True)
    last.finding("first_ledger", verdicts.of_all(ROWS), headline=True)
    if real:
        other = Run("real", "r3_rankings", dict(profile="real", seed=0), home=base)
        other.table([dict(ranker="CodeT", here=.5)], "real_table5", "Beside the paper's Table 5.")
    return run.dir


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = recorded(tmp_path_factory.mktemp("report"))
    report.build(found)
    return found


def sections(text):
    "What the page shows beside each place of the paper."
    parts = re.split(r'<section class="item" id="([\w-]+)">', text.partition('<h2 id="ledger">')[0])
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_table_and_figure_of_the_paper_has_its_place_in_order(folder):
    text, twin = (folder/"report.html").read_text(), (folder/"report.md").read_text()
    found = sections(text)
    assert list(found) == [p.lower().replace(" ", "-") for p in PLACES] and len(found) == 21
    assert re.findall(r"^### ((?:Table|Figure) \d+):", twin, re.M) == PLACES
    for place, part in found.items():
        shown = "<figure" in part or "<li>" in part
        assert shown, f"{place} shows nothing, and does not say why"
        if place.startswith("table"): assert "The paper prints" in part
        if place not in ("figure-1", "table-2", "figure-2", "figure-4"):
            why = re.search(r"<li>Scale model: \w.*\.</li>", part)
            assert why, f"{place} does not say why ours is not there"


def test_the_first_screen_says_what_came_out(folder):
    text = html.unescape((folder/"report.html").read_text())
    first, _, rest = text.partition("<nav><b>The paper:</b>")
    said = re.findall(r"<li>(.+?)</li>", first)
    assert len(said) == 5 and said[0] == verdicts.in_words(LEDGER["stage-sft"], ROWS)
    assert "holds, but smaller than the paper's" not in said[0] and "22.3 points [15.7, 28.7]" in said[0]
    assert said[4] == verdicts.of_all(ROWS) and "none of them is a score on HumanEval" in first
    bars = {(v, int(k)) for v, k in re.findall(r'title="([^"]+): (\d+)"', first)}
    counted = {(v, row[v]) for row in tally(ROWS) for v in VERDICTS if row[v] and row["scale"] != "none"}
    assert bars == counted and first.count("<img") == 1 and "<img" in rest


def test_a_toys_numbers_do_not_stand_among_those_of_the_papers_models(folder):
    part = sections((folder/"report.html").read_text())["table-2"]
    paper, ours = re.split(r'<b class="whose">Scale model', part)
    assert "48.78" in paper and "scale model, here" not in paper
    assert "75" in ours and "48.78" not in ours and ">in place of HumanEval<" in ours
    assert "The scale model gains 1 point." in ours and "&lt;the scale model&gt;" in ours


def test_what_is_only_data_is_behind_a_fold(folder):
    text = (folder/"report.html").read_text()
    open_part = re.sub(r"<details.*?</details>", "", text, flags=re.S)
    assert "Data only." in text and "Data only." not in open_part and "As printed." in open_part


def test_real_models_stand_beside_the_scale_model(tmp_path):
    found = recorded(tmp_path, real=True)
    part = sections(report.build(found).read_text())["table-5"]
    assert 'class="whose">Real models<' in part and "is not beside this one" not in part
    assert "Real models: their run measures nothing" in sections((found/"report.html").read_text())["table-7"]
    assert "(profile real) is not beside" not in (found/"report.md").read_text()


class Page(HTMLParser):
    "Addresses that a page would ask for, and what is not closed in order."
    def __init__(self):
        super().__init__()
        self.asked, self.open, self.wrong = [], [], []

    def handle_starttag(self, tag, attrs):
        at = dict(attrs)
        self.asked += [at[k] for k in ("src", "href") if k in at and (tag, k) != ("a", "href")]
        if tag not in ("meta", "link", "img", "br", "hr", "input"): self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag: self.wrong.append((tag, self.getpos()))


def test_page_is_whole_in_itself_and_well_formed(folder):
    text = (folder/"report.html").read_text()
    seen = Page()
    seen.feed(text)
    assert seen.wrong == [] and seen.open == []
    assert seen.asked and all(address.startswith("data:") for address in seen.asked)
    assert "<script" not in text and "@import" not in text and "url(" not in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids)), "an id is there once"
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids), "no link within the page leads nowhere"


def test_links_of_the_twin_lead_to_files(folder):
    links = re.findall(r"\]\(([^)]+)\)", (folder/"report.md").read_text())
    assert links and [link for link in links if not (folder/link).exists()] == []


def test_a_run_without_the_last_stage_says_so(tmp_path):
    run = Run("smoke", "02_x", dict(profile="smoke", seed=0), home=tmp_path)
    run.table([dict(ranker="CodeT")], "ranking_table5", "Beside the paper's Table 5.")
    text = report.build(run.dir).read_text()
    assert "The ledger of claims has not been filled: stage 08 does it." in text
    assert "its numbers claim nothing" in text and text.count("stage 08 records it") == 17 + 2


def committed(tmp_path):
    "The report of the results that are kept in the repository."
    shutil.copytree(ROOT/"outputs/laptop", tmp_path/"outputs/laptop")
    (tmp_path/"nbs").symlink_to(ROOT/"nbs")
    return report.build(tmp_path/"outputs/laptop")


def test_the_committed_run_makes_a_page_of_less_than_three_megabytes(tmp_path):
    path = committed(tmp_path)
    assert path.stat().st_size < 3 * 2**20 and (path.parent/"report.md").stat().st_size < 2**18
    assert len(sections(path.read_text())) == 21


def browser(path, tmp_path, width, *more, dark=False):
    """What Chromium says of a page: `(its DOM, console messages, addresses that the page asked for)`.

    It asks for others itself, which get no answer here; what a page asks for has Blink's mark in the log."""
    log = tmp_path/"net.json"
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
               "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND",
               "--enable-logging=stderr", "--virtual-time-budget=4000",
               f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--window-size={width},900",
               f"--user-data-dir={tmp_path/'me'}", f"--log-net-log={log}", *more, "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    asked = re.findall(r'"traffic_annotation":101845102,[^{}]*?"url":"([^"]*)"', log.read_text())
    return done.stdout, said, [address for address in asked if not address.startswith(("file:", "data:"))]


MEASURE = """<script>
const figures = [...document.querySelectorAll('figure')]
const wide = figures.filter(f => f.getBoundingClientRect().right > innerWidth + 1)
const ground = getComputedStyle(document.body).backgroundColor, ink = getComputedStyle(document.body).color
const scrolled = document.documentElement.scrollWidth - document.documentElement.clientWidth
parent.postMessage([innerWidth, scrolled, wide.length, ground, ink].join('|'), '*')
</script></body>"""
# A window cannot be as narrow as a phone, a frame can.
FRAME = """<script>addEventListener('message', e => document.title = e.data)</script>
<title></title><iframe src="measured.html" style="border: 0; width: {}px; height: 900px"></iframe>"""

@needs_browser
@pytest.mark.long
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_in_a_browser(folder, tmp_path, width, dark):
    path = folder/"report.html"
    dom, said, asked = browser(path, tmp_path, width, dark=dark)
    assert "Does CodeDPO hold?" in dom and said == [] and asked == []
    text = path.read_text().replace("</body>", MEASURE)
    (tmp_path/"measured.html").write_text(text.replace("<details", "<details open")) # nor what is folded
    (tmp_path/"frame.html").write_text(FRAME.format(width))
    dom, said, _ = browser(tmp_path/"frame.html", tmp_path, 1700, dark=dark)
    title = html.unescape(re.search(r"<title>(.*?)</title>", dom)[1]).split("|")
    inner, scrolled, wide = map(int, title[:3])
    assert said == [] and inner == width, "what was measured is the page of this width"
    assert scrolled <= 0 and wide == 0, "nothing is wider than the screen"
    brightness = [sum(map(int, re.findall(r"\d+", color)[:3])) for color in title[3:]]
    assert (brightness[0] < brightness[1]) == dark, "ground and ink follow the reader's screen"


@needs_browser
@pytest.mark.long
def test_a_browser_would_notice(tmp_path):
    (tmp_path/"bad.html").write_text("<script>console.error('no'); missing()</script>"
                                     "<img src='http://127.0.0.1:9/x.png'>")
    _, said, asked = browser(tmp_path/"bad.html", tmp_path, 400)
    assert len(said) >= 2 and any("127.0.0.1:9/x.png" in address for address in asked)


def test_readme_says_what_the_run_found(tmp_path):
    folder = recorded(tmp_path)
    (tmp_path/"nbs").mkdir()
    shutil.copy(ROOT/"nbs/index.ipynb", tmp_path/"nbs")
    text = report.notebook_markdown(tmp_path/"nbs/index.ipynb")
    assert f"- {verdicts.of_all(ROWS)}\n" in text and "<!-- findings" not in text
    shutil.rmtree(folder)
    assert "## What came out" not in report.notebook_markdown(tmp_path/"nbs/index.ipynb")
    assert json.loads((ROOT/"nbs/index.ipynb").read_text())["cells"]
