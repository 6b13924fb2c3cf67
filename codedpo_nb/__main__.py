"""`python -m codedpo_nb`: doors and commands, one line each; `python -m codedpo_nb parts`: all modules."""
import ast
import sys
from importlib import import_module
from pathlib import Path

from . import DOORS, __version__
from . import __doc__ as about

COMMANDS = {
    "codedpo pairs --help": "preference pairs from your own prompts and model",
    "codedpo-run --profile smoke": "run the stages of a profile; `--dry-run` tells what would run, and why",
    "python -m codedpo_nb.sandbox check": "what the sandbox enforces on this machine",
    "python -m codedpo_nb.formats --help": "score what another tool generated; check and pack a submission",
    "python -m codedpo_nb.thirteen --help": "a model's answers to HumanEvalPack in six languages and to MBPP",
    "python -m codedpo_nb parts": "all modules, part by part",
}
HOME = Path(__file__).parent


def first_line(text: str | None) -> str: return (text or "").strip().partition("\n")[0]


def door_line(name: str) -> str:
    "What a door does, in the first line of its docstring; where its module needs an extra, that."
    try: return first_line(getattr(import_module("." + DOORS[name], __package__), name).__doc__)
    except ModuleNotFoundError as error: return str(error)


def parts() -> list[tuple[str, str]]:
    "`[(module, first line of its docstring)]`, of all modules; nothing is imported."
    paths = [path for path in HOME.rglob("*.py") if not path.name.startswith("_")]
    names = {".".join(path.relative_to(HOME).with_suffix("").parts): path for path in paths}
    about = lambda name: ast.get_docstring(ast.parse(names[name].read_text(encoding="utf-8")))
    ordered = sorted(names, key=lambda name: (name.count("."), name))
    return [(name, first_line(about(name))) for name in ordered]


def table(rows) -> str:
    "Rows of two texts, the second ones below each other."
    width = max(len(first) for first, _ in rows)
    return "\n".join(f"  {first:<{width}}  {second}" for first, second in rows)


def main(arguments: list[str]) -> int:
    "Print what is asked for; the exit code."
    if arguments == ["parts"]: print(table(parts()))
    elif arguments: print(f"python -m {__package__} knows `parts` and nothing else", file=sys.stderr)
    else:
        print(f"{__package__} {__version__}: {first_line(about).partition(';')[0]}\n")
        print(f"from {__package__} import ...\n" + table([(name, door_line(name)) for name in DOORS]))
        print("\nCommands\n" + table(COMMANDS.items()))
    return 2 if arguments not in ([], ["parts"]) else 0


if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
