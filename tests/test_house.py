"""The house is in order: parts and arrows as drawn, metadata in agreement, clean notebooks, light imports."""
import ast
import configparser
import importlib
import importlib.util
import inspect
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import codedpo_nb
from codedpo_nb.running import plan, report, runner

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT/"nbs").rglob("*.ipynb"))
STAGES = [stage.path for stage in plan.find_stages(ROOT/"nbs")]
META = configparser.ConfigParser(delimiters=["="])
META.read(ROOT/"settings.ini")
META = META["DEFAULT"]
TORCH = {"arms", "dpo", "sft", "ablation", "world.model", "world.sampling", "training.multitask",
         "training.shared"}
name = lambda path: path.stem


def script(path):
    "A script of the repository as a module."
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


house = script(ROOT/"benchmarks/house.py")
MODULES = sorted(house.sources(ROOT))
LIGHT = [module for module in MODULES if module not in TORCH]
SECONDS = "import sys, time; b = time.process_time(); import {}; print(time.process_time() - b, *sys.modules)"


def importing(module):
    "`(CPU seconds, modules loaded)` of an import in a fresh interpreter."
    command = [sys.executable, "-c", SECONDS.format(module)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, *loaded = done.stdout.split()
    return float(seconds), loaded


def cells(path, kind=None):
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [dict(cell, source="".join(cell["source"])) for cell in found if kind in (None, cell["cell_type"])]


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode: pytest.skip("not a git clone")
    return [ROOT/file for file in listed.stdout.split("\0") if file and (ROOT/file).is_file()]


def test_parts_and_arrows_are_as_drawn():
    _, wrong, ambiguous = house.house(ROOT)
    assert wrong == []
    assert len(ambiguous) <= house.AMBIGUOUS, ambiguous


BAD_HOUSE = {
    "isolation/cell.py": "__all__ = ['ask']\ndef ask(): pass\ndef helper(): pass",
    "statistics.py": "__all__ = ['mean']\ndef mean():\n    from codedpo_nb import sft",
    "sft.py": "from .isolation import cell\nfrom .isolation.cell import ask\ncell.helper()\nask()",
    "dpo.py": "from .sft import fit\n__all__ = ['mean']\ndef mean(): pass",
    "attic.py": ""}
FOUND = ["attic has no floor", "sft uses isolation.cell.helper, which is not public",
         "stage dpo uses stage sft", "statistics uses sft, which is no floor below it"]

def test_what_is_not_as_drawn_is_found(tmp_path):
    for file, text in BAD_HOUSE.items():
        (tmp_path/"codedpo_nb"/file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/"codedpo_nb"/file).write_text(text)
    (tmp_path/"nbs").mkdir()
    for number, stage in enumerate(("sft", "dpo")):
        cell = dict(cell_type="code", source=f"#| default_exp {stage}")
        (tmp_path/f"nbs/0{number}_{stage}.ipynb").write_text(json.dumps(dict(cells=[cell])))
    arrows, wrong, ambiguous = house.house(tmp_path)
    assert sorted(wrong) == FOUND and arrows["dpo", "sft"] == 1
    assert ambiguous == {"mean": ["dpo", "statistics"]}


def test_doors_are_there_and_lead_to_modules():
    names = dir(codedpo_nb)
    assert set(codedpo_nb.DOORS) <= set(names) and not set(codedpo_nb.DOORS) & set(MODULES)
    assert {"sandbox", "isolation", "ranking", "training"} <= set(names)
    assert set(codedpo_nb.DOORS.values()) <= set(MODULES)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"): print(codedpo_nb.nothing)


@pytest.mark.parametrize("door", codedpo_nb.DOORS)
def test_door_is_explained_and_typed(door):
    thing = getattr(codedpo_nb, door)
    assert codedpo_nb.DOORS[door] == thing.__module__.removeprefix("codedpo_nb.")
    assert (thing.__doc__ or "").strip(), "a door has a docstring"
    if inspect.isclass(thing): return
    sign = inspect.signature(thing)
    named = [p for p in sign.parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    assert [p.name for p in named if p.annotation is p.empty] == [], "a door's arguments have types"
    assert sign.return_annotation is not sign.empty, "a door's result has a type"


def test_editors_see_the_doors():
    tree = ast.parse((ROOT/"codedpo_nb/__init__.pyi").read_text())
    froms = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert {alias.name: node.module for node in froms for alias in node.names} == codedpo_nb.DOORS
    assert sorted(house.public(tree)) == sorted(codedpo_nb.DOORS)


def test_the_package_itself_is_imported_in_no_time():
    seconds, loaded = importing("codedpo_nb")
    assert seconds < .1 and [m for m in loaded if m.startswith("codedpo_nb.")] == ["codedpo_nb._extras"]


def test_settings_pyproject_and_version_agree():
    project = tomllib.loads((ROOT/"pyproject.toml").read_text())
    tool = project["tool"]["nbdev"]
    assert META["version"] == codedpo_nb.__version__
    assert project["project"]["name"] == META["lib_name"]
    assert project["project"]["requires-python"] == ">=" + META["min_python"]
    for key in ("lib_path", "nbs_path", "tst_flags"): assert tool[key] == META[key]
    assert tool["allowed_cell_metadata_keys"] == META["allowed_cell_metadata_keys"].split()
    assert tool["update_pyproject"] is False and META["update_pyproject"] == "False"
    assert re.search(rf'^version: {META["version"]}$', (ROOT/"CITATION.cff").read_text(), re.M)


def test_lock_is_exact_and_complete():
    lines = [line for line in (ROOT/"requirements.lock").read_text().splitlines() if not line.startswith("#")]
    form = r"""[a-z0-9-]+==[\w.]+( ; python_version (>=|<|==) "3\.\d+")?"""
    assert all(re.fullmatch(form, line) for line in lines), "name==version, no local parts, no addresses"
    assert lines == sorted(lines, key=lambda line: re.split("==", line)[0])
    locked = {line.split("==")[0]: line.partition(" ; ")[2] for line in lines}
    requirements = " ".join(words for key, words in META.items() if key.endswith("requirements")).split()
    wanted = {re.split(r"[<>=]", word)[0].lower().replace("_", "-") for word in requirements}
    assert wanted | {"setuptools"} <= set(locked) and "torch==2.13.0" in lines
    assert not [word for word in wanted if locked[word]], "what the package itself names is needed everywhere"


def test_package_is_what_the_notebooks_export():
    assert runner.stale(ROOT) == [], "run `make export`"


def test_stale_sees_an_edit(tmp_path):
    hidden = shutil.ignore_patterns(".*", "__pycache__")
    for folder in ("nbs", "codedpo_nb"): shutil.copytree(ROOT/folder, tmp_path/folder, ignore=hidden)
    module = tmp_path/"codedpo_nb/running/records.py"
    module.write_text(module.read_text().replace("def root()", "def root_()"))
    assert runner.stale(tmp_path) == ["running/records.py"]
    said = "codedpo_nb/running/records.py differ.* run `nbdev-export`"
    with pytest.raises(plan.BadInput, match=said): runner.check_export(tmp_path)


def test_readme_is_what_the_index_says():
    text = (ROOT/"README.md").read_text(encoding="utf-8")
    made = report.notebook_markdown(ROOT/"nbs/index.ipynb")
    run = ["git", "status", "--porcelain", "outputs/laptop/manifest.json"]
    if subprocess.run(run, cwd=ROOT, capture_output=True).stdout: # a run of one's own has other sentences
        text, made = (re.sub(r"## What came out\n.*?(?=\n## )", "", t, flags=re.S) for t in (text, made))
    assert text == made, "run `make readme`"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_notebook_is_clean(path):
    nb = json.loads(path.read_text(encoding="utf-8"))
    assert nb["metadata"]["kernelspec"]["name"] == "python3" and set(nb["metadata"]) <= {"kernelspec"}
    for cell in nb["cells"]:
        assert set(cell["metadata"]) <= {"tags"}
        assert not cell.get("outputs") and cell.get("execution_count") is None, "run `make export`"
    ids = [cell["id"] for cell in nb["cells"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_notebook_begins_with_title_and_subtitle(path):
    first = cells(path)[0]
    assert first["cell_type"] == "markdown" and re.match(r"# [^\n]+\n\n?> \S", first["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_exports_are_plain_python_and_imports_stand_alone(path):
    for cell in cells(path, "code"):
        source = cell["source"]
        assert not re.search(r"^\s*[%!]", source, re.M), "no magics: they break modules, or papermill"
        kinds = {isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.parse(source).body}
        exported = re.search(r"^#\| *export", source, re.M)
        assert len(kinds) < 2 or not exported, f"imports in a cell of their own: {source[:80]}"


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.parent.name != "nbs"], ids=name)
def test_imports_find_the_way_back(path):
    for cell in cells(path, "code"):
        exported = re.search(r"^#\| *export", cell["source"], re.M)
        assert not (exported and re.search(r"^from codedpo_nb import", cell["source"], re.M)), \
            "nbdev-update makes `from codedpo_nb.folder import` of it: import names of the module"


@pytest.mark.parametrize("path", STAGES, ids=name)
def test_stage_has_one_parameters_cell_and_records_only_under_the_runner(path):
    tagged = [cell for cell in cells(path, "code") if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1
    stage = plan.read_stage(path)
    assert stage.params["profile"] == "smoke" and stage.params["seed"] == 0
    records = re.compile(r"\brun\.(write|seal|table|figure|read|checked|journal)\(")
    for source in (cell["source"] for cell in cells(path, "code")):
        if records.search(source) and not re.search(r"^#\| *export", source, re.M):
            assert re.search(r"^#\| *slow", source, re.M), f"a cell of artefacts is `#| slow`: {source[:80]}"


def test_numbered_notebooks_are_stages():
    assert {path for path in NOTEBOOKS if re.match(r"0[1-9]_", path.name)} <= set(STAGES)


@pytest.mark.parametrize("path", sorted((ROOT/"profiles").glob("*.yaml")), ids=name)
def test_profile_is_known_to_the_notebooks(path):
    assert plan.make_plan(path.stem, ROOT).profile == path.stem


@pytest.mark.parametrize("module", LIGHT)
def test_import_is_light(module):
    seconds, loaded = importing(f"codedpo_nb.{module}")
    assert not {"torch", "transformers", "trl", "matplotlib", "datasets"} & set(loaded)
    assert seconds < .3 * 2, "twice the bar, for slow machines"


def test_no_path_of_a_machine_is_in_the_repository():
    private = re.compile(r"(?<![\w.])/(root|home/\w+|Users/\w+|work|tmp/(?!codedpo)\w+)/[\w.]")
    for path in tracked():
        if path.suffix in (".png", ".svg", ".html") or path.relative_to(ROOT).parts[0] == "tests": continue
        found = private.search(path.read_text(encoding="utf-8", errors="replace"))
        assert not found, f"{path.relative_to(ROOT)} holds {found.group()}"


def test_committed_outputs_are_small_and_hold_no_checkpoints():
    files = [path for path in tracked() if path.relative_to(ROOT).parts[0] == "outputs"]
    def size(profile): return sum(p.stat().st_size for p in files if p.relative_to(ROOT).parts[1] == profile)
    assert size("laptop") < 10 * 2**20 and size("real") < 12 * 2**20
    heavy = (".safetensors", ".bin", ".pt")
    assert not [path for path in files if "artefacts" in path.parts or path.suffix in heavy]
    assert {path.relative_to(ROOT).parts[1] for path in files} <= {"laptop", "real"}
