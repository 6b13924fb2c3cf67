"""Is the house as it was drawn? Its parts, the arrows between them, and what should not be.

    python benchmarks/house.py [--modules]

A module may use its own part and the floors below it. Stages use no stage, but the seventh, which runs the
others; what `isolation` keeps to itself nobody else uses; and a public name means one thing, wherever it is.
Imports inside of functions count. `--modules` prints the arrows between modules instead of parts. Nothing is
imported: the sources are read.

The last line is one JSON object."""
import argparse
import ast
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "codedpo_nb"
# From the ground up. Who adds a module at the top level of the package gives it a place here.
FLOORS = [
    {"syntax"},
    {"problems", "statistics", "ranking", "duplicates"},
    {"running"},
    {"isolation"},
    {"sandbox"},
    {"pairs", "benchmarks", "world"},
    {"suites", "languages", "leaderboard"},
    {"efficiency_suites", "formats", "audit", "claims"},
    {"training"},
    {"stages"},
    {"harvest", "thirteen"},
    {"arms"},
]
RUNS_OTHERS = "ablation"       # the stage that may use stages
AMBIGUOUS = 5                  # public names with more than one meaning: at most so many


def sources(root: Path = ROOT) -> dict[str, ast.Module]:
    "`{module: its syntax tree}`, without the package's name: `isolation.harness`."
    home = root/PACKAGE
    paths = [path for path in sorted(home.rglob("*.py")) if path.name[0] != "_"]
    dotted = lambda path: ".".join(path.relative_to(home).with_suffix("").parts)
    return {dotted(path): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def stages(root: Path = ROOT) -> dict[str, str]:
    "`{module: notebook}` of the numbered notebooks that export one."
    found = {}
    for path in sorted((root/"nbs").glob("[0-9][0-9]_*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
        named = re.search(r"^#\| *default_exp +(\S+)", text, re.M)
        if named: found[named[1]] = path.stem
    return found


def target(node: ast.ImportFrom, module: str) -> str | None:
    "The module that `from ... import` names, below the package; '' for the package, None for another one."
    if not node.level:
        head, _, rest = (node.module or "").partition(".")
        return rest if head == PACKAGE else None
    parts = [*module.split(".")[:-node.level], *(node.module or "").split(".")]
    return ".".join(part for part in parts if part)


def imports(module: str, tree: ast.Module, known: set) -> list[tuple[str, str, str]]:
    "`[(module, name or '', name here)]` of what a module imports of the package, wherever in its source."
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            inside = [a for a in node.names if a.name.partition(".")[0] == PACKAGE]
            found += [(a.name.partition(".")[2], "", a.asname or a.name) for a in inside]
        elif isinstance(node, ast.ImportFrom) and (base := target(node, module)) is not None:
            for alias in node.names:
                whole, here = f"{base}.{alias.name}".strip("."), alias.asname or alias.name
                found.append((whole, "", here) if whole in known else (base, alias.name, here))
    return found


def public(tree: ast.Module) -> list[str]:
    "`__all__` of a module."
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def defined(tree: ast.Module) -> set:
    "The names that a module has at its top level."
    names = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    set_here = [top for top in tree.body if isinstance(top, (ast.Assign, ast.AnnAssign))]
    nodes = [n for top in set_here for n in ast.walk(top) if isinstance(n, ast.Name)]
    return names | {node.id for node in nodes if isinstance(node.ctx, ast.Store)}


def handed_on(tree: ast.Module) -> set:
    "The public names of a module that it imports, and does not define."
    return {a.asname or a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}


def names_used(tree: ast.Module, module_names: set) -> set[tuple[str, str]]:
    "`{(name of a module, attribute)}` that a source looks up."
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
    return {(node.value.id, node.attr) for node in found if node.value.id in module_names}


def house(root: Path = ROOT) -> tuple[Counter, list[str], dict[str, list[str]]]:
    "Arrows `{(module, module): names}`, violations in words, and ambiguous public names `{name: modules}`."
    trees, numbered = sources(root), stages(root)
    exported = {module: set(public(tree)) for module, tree in trees.items()}
    part = lambda module: "stages" if module in numbered else module.partition(".")[0]
    floors = {name: i for i, names in enumerate(FLOORS) for name in names}
    arrows, wrong = Counter(), [f"{m} has no floor" for m in trees if part(m) not in floors]
    for module, tree in trees.items():
        found = [row for row in imports(module, tree, set(trees)) if row[0] in trees]
        for other, _, _ in found: arrows[module, other] += 1
        for other in sorted({other for other, _, _ in found}):
            mine, theirs = floors.get(part(module), 99), floors.get(part(other), 0)
            if part(module) == part(other) == "stages":
                if module != RUNS_OTHERS: wrong.append(f"stage {module} uses stage {other}")
            elif part(module) != part(other) and theirs >= mine:
                wrong.append(f"{module} uses {other}, which is no floor below it")
        if part(module) == "isolation": continue
        inner = {here: other for other, name, here in found if not name and part(other) == "isolation"}
        used = {(inner[here], name) for here, name in names_used(tree, set(inner))}
        used = {(other, name) for other, name in used if name in defined(trees[other])}
        used |= {(other, name) for other, name, _ in found if name and part(other) == "isolation"}
        hidden = sorted((other, name) for other, name in used if name not in exported[other])
        wrong += [f"{module} uses {other}.{name}, which is not public" for other, name in hidden]
    holders = defaultdict(list)
    for module in trees:
        for name in exported[module] - handed_on(trees[module]): holders[name].append(module)
    return arrows, wrong, {name: modules for name, modules in sorted(holders.items()) if len(modules) > 1}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--modules", action="store_true", help="arrows between modules instead of parts")
    args = parser.parse_args()
    numbered, (arrows, wrong, ambiguous) = stages(), house()
    shown = Counter()
    part = lambda module: "stages" if module in numbered else module.partition(".")[0]
    for (a, b), n in arrows.items():
        ends = (a, b) if args.modules else (part(a), part(b))
        if ends[0] != ends[1]: shown[ends] += n
    below = lambda name: ", ".join(sorted(b for a, b in shown if a == name))
    if args.modules:
        for name in sorted({a for a, _ in shown}): print(f"{name:<24} {below(name)}")
    else:
        for floor in range(len(FLOORS))[::-1]:
            for name in sorted(FLOORS[floor]): print(f"{floor}  {name:<18} {below(name)}")
    print("\nPublic names that mean several things:")
    for name, modules in ambiguous.items(): print(f"  {name}: {', '.join(modules)}")
    print("Violations:", *wrong or ["none"], sep="\n  ")
    names = sum(len(public(tree)) for tree in sources().values())
    print(json.dumps(dict(modules=len(sources()), arrows=len(arrows), floors=len(FLOORS),
                          public=names, ambiguous=len(ambiguous), violations=len(wrong))))


if __name__ == "__main__": main()
