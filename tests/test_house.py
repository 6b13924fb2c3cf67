"""The house is in order: metadata agree, notebooks are clean and exported, nothing heavy is imported, no machine's paths are in it."""
import ast, configparser, importlib.util, json, re, shutil, subprocess, sys, tomllib
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
HEAVY = {"dpo", "sft", "ablation", "world.model", "world.sampling", "training.multitask", "training.shared"}
LIGHT = [".".join(path.relative_to(ROOT/"codedpo_nb").with_suffix("").parts) for path in sorted((ROOT/"codedpo_nb").rglob("*.py")) if not path.name.startswith("_")]
LIGHT = [module for module in LIGHT if module not in HEAVY]
name = lambda path: path.stem


def cells(path, kind=None):
    return [dict(cell, source="".join(cell["source"])) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if kind in (None, cell["cell_type"])]


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode: pytest.skip("not a git clone")
    return [ROOT/file for file in listed.stdout.split("\0") if file and (ROOT/file).is_file()]


def test_settings_pyproject_and_version_agree():
    project = tomllib.loads((ROOT/"pyproject.toml").read_text())
    tool = project["tool"]["nbdev"]
    assert META["version"] == codedpo_nb.__version__
    assert project["project"]["name"] == META["lib_name"] and project["project"]["requires-python"] == ">=" + META["min_python"]
    for key in ("lib_path", "nbs_path", "tst_flags"): assert tool[key] == META[key]
    assert tool["allowed_cell_metadata_keys"] == META["allowed_cell_metadata_keys"].split()
    assert tool["update_pyproject"] is False and META["update_pyproject"] == "False"
    assert re.search(rf'^version: {META["version"]}$', (ROOT/"CITATION.cff").read_text(), re.M)


def test_lock_is_exact_and_complete():
    lines = [line for line in (ROOT/"requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", line) for line in lines), "name==version, no local parts, no addresses"
    locked = {line.split("==")[0] for line in lines}
    wanted = {re.split(r"[<>=]", word)[0].lower().replace("_", "-") for word in (META["requirements"] + " " + META["dev_requirements"]).split()}
    assert wanted | {"setuptools"} <= locked and "torch==2.13.0" in lines


def test_package_is_what_the_notebooks_export():
    assert runner.stale(ROOT) == [], "run `make export`"


def test_stale_sees_an_edit(tmp_path):
    for folder in ("nbs", "codedpo_nb"): shutil.copytree(ROOT/folder, tmp_path/folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    module = tmp_path/"codedpo_nb/running/records.py"
    module.write_text(module.read_text().replace("def root()", "def root_()"))
    assert runner.stale(tmp_path) == ["running/records.py"]
    with pytest.raises(plan.BadInput, match="codedpo_nb/running/records.py differ.* run `nbdev-export`"): runner.check_export(tmp_path)


def test_readme_is_what_the_index_says():
    assert (ROOT/"README.md").read_text(encoding="utf-8") == report.notebook_markdown(ROOT/"nbs/index.ipynb"), "run `make readme`"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_notebook_is_clean(path):
    nb = json.loads(path.read_text(encoding="utf-8"))
    assert nb["metadata"]["kernelspec"]["name"] == "python3" and set(nb["metadata"]) <= {"kernelspec"}
    for cell in nb["cells"]:
        assert set(cell["metadata"]) <= {"tags"} and not cell.get("outputs") and cell.get("execution_count") is None, "run `make export`"
    ids = [cell["id"] for cell in nb["cells"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_notebook_begins_with_title_and_subtitle(path):
    first = cells(path)[0]
    assert first["cell_type"] == "markdown" and re.match(r"# [^\n]+\n\n?> \S", first["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_exports_are_plain_python_and_imports_stand_alone(path):
    for cell in cells(path, "code"):
        assert not re.search(r"^\s*[%!]", cell["source"], re.M), "no magics: an exported one breaks the module, a plain one breaks papermill's reader"
        kinds = {isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.parse(cell["source"]).body}
        assert len(kinds) < 2 or not re.search(r"^#\| *export", cell["source"], re.M), f"imports in a cell of their own: {cell['source'][:80]}"


@pytest.mark.parametrize("path", STAGES, ids=name)
def test_stage_has_one_parameters_cell_and_records_only_under_the_runner(path):
    tagged = [cell["source"] for cell in cells(path, "code") if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1
    stage = plan.read_stage(path)
    assert stage.params["profile"] == "smoke" and stage.params["seed"] == 0
    for cell in cells(path, "code"):
        if re.search(r"\brun\.(write|seal|table|figure|read|checked|journal)\(", cell["source"]) and not re.search(r"^#\| *export", cell["source"], re.M):
            assert re.search(r"^#\| *slow", cell["source"], re.M), f"a cell that touches artefacts is `#| slow`: {cell['source'][:80]}"


def test_numbered_notebooks_are_stages():
    assert {path for path in NOTEBOOKS if re.match(r"0[1-9]_", path.name)} <= set(STAGES)


@pytest.mark.parametrize("path", sorted((ROOT/"profiles").glob("*.yaml")), ids=name)
def test_profile_is_known_to_the_notebooks(path):
    assert plan.make_plan(path.stem, ROOT).profile == path.stem


@pytest.mark.parametrize("module", LIGHT)
def test_import_is_light(module):
    code = f"import sys, time; begun = time.process_time(); import codedpo_nb.{module}; print(time.process_time() - begun, *sorted(sys.modules))"
    seconds, *loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "trl", "matplotlib", "datasets"} & set(loaded)
    assert float(seconds) < .3 * 2, "twice the bar, for slow machines"


def test_no_path_of_a_machine_is_in_the_repository():
    private = re.compile(r"(?<![\w.])/(root|home/\w+|Users/\w+|work|tmp/(?!codedpo)\w+)/[\w.]")
    for path in tracked():
        if path.suffix in (".png", ".svg", ".html") or path.relative_to(ROOT).parts[0] == "tests": continue
        found = private.search(path.read_text(encoding="utf-8", errors="replace"))
        assert not found, f"{path.relative_to(ROOT)} holds {found.group()}"


def test_committed_outputs_are_small_and_hold_no_checkpoints():
    files = [path for path in tracked() if path.relative_to(ROOT).parts[0] == "outputs"]
    assert sum(path.stat().st_size for path in files) < 10 * 2**20
    assert not [path for path in files if "artefacts" in path.parts or path.suffix in (".safetensors", ".bin", ".pt")]
    assert {path.relative_to(ROOT).parts[1] for path in files} <= {"laptop"}


# ------------------------------------------------------------------ the drawing and the code

spec = importlib.util.spec_from_file_location("house", ROOT/"benchmarks/house.py")
house = importlib.util.module_from_spec(spec)
spec.loader.exec_module(house)


def test_foundations_import_no_stage_and_stages_no_other():
    assert [sentence for sentence in house.look()["wrong"] if " imports the stage " in sentence] == []


def test_nobody_uses_what_is_private_to_isolation():
    assert [sentence for sentence in house.look()["wrong"] if " private " in sentence] == []


def test_the_house_has_floors_and_names_mean_one_thing():
    assert house.look()["wrong"] == []


def test_the_house_sees_what_breaks_its_rules():
    tree = house.ast.parse("from .isolation import server\nfrom .isolation.border import _x\nserver.weary()")
    taken = house.imports("sandbox", tree, {"isolation.server", "isolation.border"})
    assert taken == {("isolation.server", None), ("isolation.border", "_x")}
    assert house.used(tree, taken) == {("isolation.server", "weary")}
    assert house.floors(dict(a={"b"}, b={"c"}, c=set())) == (dict(a=2, b=1, c=0), None)
    assert house.floors(dict(a={"b"}, b={"a"}))[1] == "a -> b -> a"
