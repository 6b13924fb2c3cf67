"""The house as it is built: parts, floors, arrows between them, and what breaks its rules.

    python benchmarks/house.py [--names]

Read from the source of `codedpo_nb/`, without importing it. Rules: no circle among the modules; a part uses
only what lies on floors below it; what is no stage imports no stage, and a stage imports none but the last,
which runs the others; of `isolation/` others use only what is public there; a public name means one thing
(five may mean several). `--names` lists the public names of every module. The exit code is 1 if a rule is
broken."""
import argparse
import ast
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT/"codedpo_nb"
LAST = {"ablation", "claims"}   # stages that run other stages
AMBIGUOUS = 5   # public names that may mean several things


def modules():
    "Syntax trees of the modules by their dotted names below the package."
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name.startswith("_"): continue
        found[".".join(path.relative_to(PACKAGE).with_suffix("").parts)] = ast.parse(path.read_text())
    return found


def stages():
    "Modules that numbered notebooks export to."
    return {path.stem.split("_", 1)[1] for path in (ROOT/"nbs").glob("[0-9]*.ipynb")}


def imports(name, tree, known):
    "What a module takes from others of the package: `{(module, name of it or None)}`."
    found, here = set(), ["codedpo_nb", *name.split(".")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(a.name.partition(".")[2], None) for a in node.names if a.name.startswith("codedpo_nb.")}
        elif isinstance(node, ast.ImportFrom):
            base = here[:-node.level] if node.level else []
            parts = [*base, *filter(None, [node.module])]
            if parts[:1] != ["codedpo_nb"] or not parts: continue
            for alias in node.names:
                inner = ".".join([*parts[1:], alias.name])
                found.add((inner, None) if inner in known else (".".join(parts[1:]), alias.name))
    return {(m, n) for m, n in found if m in known and m != name}


def used(tree, imported):
    "Names of modules that are used as attributes of them: `{(module, name)}`."
    short = {m.rpartition(".")[2]: m for m, n in imported if n is None}
    return {(short[n.value.id], n.attr) for n in ast.walk(tree)
            if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id in short}


def public(tree):
    "The names in `__all__` that the module itself binds."
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return [e.value for e in node.value.elts]
    return []


def bound(tree):
    "All names that a module binds at its top."
    names = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    targets = [t for n in tree.body if isinstance(n, ast.Assign) for t in n.targets]
    return names | {t.id for target in targets for t in ast.walk(target) if isinstance(t, ast.Name)}


def handed_on(tree):
    "Names that a module has imported and only hands on."
    return {a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}


def part_of(name, numbered):
    "The folder of a module; of those without one, whether it is a stage."
    if name in numbered: return "stages"
    return name.partition(".")[0] + "/" if "." in name else name


def floors(arrows):
    "Floor of each module: one above the highest that it uses; and a circle, if there is one."
    level, path = {}, []
    def visit(name):
        if name in path: raise ValueError(" -> ".join([*path[path.index(name):], name]))
        if name not in level:
            path.append(name)
            level[name] = 1 + max((visit(other) for other in sorted(arrows[name])), default=-1)
            path.pop()
        return level[name]
    try:
        for name in sorted(arrows): visit(name)
    except ValueError as circle: return level, str(circle)
    return level, None


def look():
    "Everything about the house, and a list of sentences about what breaks its rules."
    trees, numbered = modules(), stages()
    taken = {name: imports(name, tree, trees) for name, tree in trees.items()}
    arrows = {name: {m for m, _ in found} for name, found in taken.items()}
    level, circle = floors(arrows)
    wrong = [f"a circle: {circle}"] if circle else []
    for name, others in arrows.items():
        for other in others & numbered:
            if name not in numbered: wrong.append(f"{name} is no stage and imports the stage {other}")
            elif name not in LAST: wrong.append(f"the stage {name} imports the stage {other}")
    for name, tree in trees.items():
        if name.startswith("isolation."): continue
        for module, what in {x for x in taken[name] if x[1]} | used(tree, taken[name]):
            if not module.startswith("isolation.") or what not in bound(trees[module]): continue
            if what not in public(trees[module]):
                wrong.append(f"{name} uses {what}, which is private to {module}")
    parts = {name: part_of(name, numbered) for name in trees}
    between = defaultdict(set)
    for name, others in arrows.items(): between[parts[name]] |= {parts[o] for o in others} - {parts[name]}
    by_part, circle = floors(between | {p: between[p] for p in parts.values()})
    if circle: wrong.append(f"a circle of parts: {circle}")
    meant = defaultdict(list)
    for name, tree in trees.items():
        for word in set(public(tree)) - handed_on(tree): meant[word].append(name)
    ambiguous = {word: names for word, names in sorted(meant.items()) if len(names) > 1}
    if len(ambiguous) > AMBIGUOUS: wrong.append(f"{len(ambiguous)} public names mean several things")
    return dict(trees=trees, arrows=arrows, level=level, parts=parts, between=between, by_part=by_part,
                ambiguous=ambiguous, wrong=wrong, names=sum(len(public(t)) for t in trees.values()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--names", action="store_true", help="list the public names of every module")
    args, house = parser.parse_args(), look()
    for floor in range(max(house["by_part"].values()), -1, -1):
        for part in sorted(p for p, f in house["by_part"].items() if f == floor):
            rooms = sorted(n.rpartition(".")[2] for n, p in house["parts"].items() if p == part)
            below = ", ".join(sorted(house["between"][part])) or "nothing of the house"
            print(f"{floor}  {part:20} uses {below}" + (f"\n{'':23}rooms: {', '.join(rooms)}" if rooms != [part] else ""))
    if args.names:
        for name, tree in house["trees"].items(): print(f"\n{name}: {', '.join(public(tree))}")
    print(f"\n{len(house['trees'])} modules, {sum(map(len, house['arrows'].values()))} arrows, "
          f"{1 + max(house['level'].values())} floors, {house['names']} public names")
    for word, names in house["ambiguous"].items(): print(f"means several things: {word} in {', '.join(names)}")
    for sentence in house["wrong"]: print(f"violation: {sentence}")
    print(f"violations: {len(house['wrong'])}")
    return bool(house["wrong"])


if __name__ == "__main__": sys.exit(main())
