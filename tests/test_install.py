"""What `pip install codedpo_nb` gives: a wheel, alone with its requirements; README's examples run there."""
import ast
import configparser
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools", reason="setuptools builds the wheel")
ROOT = Path(__file__).resolve().parent.parent
META = configparser.ConfigParser(delimiters=["="])
META.read(ROOT/"settings.ini")
META = META["DEFAULT"]
WHEEL = ["setup.py", "settings.ini", "pyproject.toml", "README.md", "LICENSE"]   # and the package
OFFLINE = re.compile("NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|name resolution|unreachable")
# all but the one that trains, which needs an extra and a model
EXAMPLES = [example for example in re.findall(r"^```python\n(.*?)^```",
            (ROOT/"README.md").read_text(encoding="utf-8"), re.M | re.S) if "import DPO" not in example]
LIBRARY = """sandbox ranking pairs efficiency efficiency_suites statistics formats benchmarks suites languages
    leaderboard""".split()


def pip(python, *arguments):
    "Run pip, and skip where it has no network; what else fails is a failure."
    command = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and OFFLINE.search(done.stderr): pytest.skip("no network to install requirements from")
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    "The wheel, built from a copy, so that nothing is left behind in the clone."
    base = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT/"codedpo_nb", base/"source/codedpo_nb", ignore=shutil.ignore_patterns("__pycache__"))
    for name in WHEEL: shutil.copy(ROOT/name, base/"source")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(base)]
    pip(sys.executable, "wheel", *options, str(base/"source"))
    [built] = base.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    "`run(code)` and `run(None, command, ...)`, with the wheel and its requirements, far from the clone."
    home = tmp_path_factory.mktemp("installed")
    venv.create(home/"venv", with_pip=True, symlinks=True)
    python = str(home/"venv/bin/python")
    locked = ["--constraint", str(ROOT/"requirements.lock")]
    pip(python, "install", "--quiet", *locked, *META["requirements"].split())
    pip(python, "install", "--quiet", "--no-deps", str(wheel))
    def run(code, *command):
        if code: command = python, "-I", "-c", code
        else: command = str(home/"venv/bin"/command[0]), *command[1:]
        clean = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
        return subprocess.run(command, cwd=home, capture_output=True, text=True, env=clean)
    return run


def shown(example: str) -> str:
    "A cell as a program that prints its last expression, as a notebook does."
    tree = ast.parse(example)
    lines = [ast.unparse(statement) for statement in tree.body]
    if isinstance(tree.body[-1], ast.Expr): lines[-1] = f"print({lines[-1]})"
    return "\n".join(lines)


def test_the_wheel_has_the_package_and_its_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(n for n in names if n.endswith(".dist-info/METADATA"))).decode()
        commands = archive.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    paths = [p for p in (ROOT/"codedpo_nb").rglob("*") if p.suffix in (".py", ".pyi") or p.name == "py.typed"]
    modules = {path.relative_to(ROOT).as_posix() for path in paths}
    assert modules <= set(names)
    wanted = re.findall(r"^Requires-Dist: ([^;\n]+)$", metadata, re.M)
    assert len(META["requirements"].split()) <= 4 and len(wanted) == len(META["requirements"].split())
    extras = set(re.findall(r"^Provides-Extra: (\S+)", metadata, re.M))
    assert {"train", "notebooks", "data", "all", "test", "dev"} <= extras
    assert f"Requires-Python: >={META['min_python']}" in metadata
    assert "Typing :: Typed" in metadata and META["paper_url"] in metadata
    assert set(META["console_scripts"].split()) <= set(commands.replace(" ", "").split())


def test_the_examples_of_the_readme_run(installed):
    assert len(EXAMPLES) >= 4, "README has lost its library examples"
    done = installed("\n".join(map(shown, EXAMPLES)))
    assert done.returncode == 0, done.stderr
    assert "['pass', 'pass']" in done.stdout and "timeout" in done.stdout


def test_the_library_needs_no_extra(installed):
    code = f"import sys\nfor name in {LIBRARY}: __import__('codedpo_nb.' + name)\nprint(*sys.modules)"
    done = installed(code)
    assert done.returncode == 0, done.stderr
    assert not {"torch", "nbdev", "pandas", "matplotlib", "yaml"} & set(done.stdout.split())


def test_the_doors_open(installed):
    code = "import codedpo_nb\nprint(codedpo_nb.run(['def f(): return 2'], ['assert f() == 2']).verdicts)"
    done = installed(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[['pass']]\n"


@pytest.mark.parametrize("code, name, extra", [
    ("import codedpo_nb.world.model", "torch", "train"),
    ("import codedpo_nb; codedpo_nb.fit_dpo", r"\w+", "train"),
    ("from codedpo_nb.leaderboard import tradeoff; tradeoff([], '', '')", "matplotlib", "notebooks")])
def test_what_needs_an_extra_names_it(installed, code, name, extra):
    done = installed(code)
    said = rf"ModuleNotFoundError: codedpo_nb\.\S+ needs {name}: pip install 'codedpo_nb\[{extra}\]'"
    assert done.returncode == 1 and re.fullmatch(said, done.stderr.strip().splitlines()[-1]), done.stderr


def test_other_packages_are_not_answered_for(installed):
    code = "import codedpo_nb, importlib.util\nprint(importlib.util.find_spec('torch'))\nimport torch"
    done = installed(code)
    assert done.stdout == "None\n" and done.stderr.endswith("ModuleNotFoundError: No module named 'torch'\n")


def test_the_commands_answer(installed):
    doors = installed(None, "python", "-m", "codedpo_nb")
    assert doors.returncode == 0 and "self_validation" in doors.stdout, doors.stderr
    assert "pip install 'codedpo_nb[train]'" in doors.stdout
    assert installed(None, "python", "-m", "codedpo_nb", "parts").stdout.count("\n") > 20
    check = installed(None, "python", "-m", "codedpo_nb.sandbox", "check")
    assert "known programs get their verdicts" in check.stdout, check.stderr


def test_the_runner_says_in_one_sentence_what_it_needs(installed):
    done = installed(None, "codedpo-run", "--profile", "smoke")
    [said] = done.stderr.strip().splitlines()
    assert done.returncode and "clone" in said
