"""CodeDPO (arXiv:2410.05605) as runnable notebooks; `python -m codedpo_nb` lists what there is.

The doors below and all modules are attributes, imported when they are asked for; `__init__.pyi` tells editors
the same. Written by hand, and small: the sandbox's interpreters import it, too (with -S, without the end)."""
import sys

__version__ = "0.1.0"

DOORS = {name: module for module, names in {
    "sandbox": "run evaluate cost memory clock Limits Pool",
    "ranking": "self_validation relative score_all",
    "pairs": "pick_pair correctness_pairs",
    "efficiency": "compare_speed",
    "statistics": "wilson bootstrap clustered difference",
    "benchmarks": "load",
    "problems.record": "pass_at_k",
    "formats": "score_file",
    "sft": "fit_sft",
    "dpo": "fit_dpo",
    "harvest": "best_of_n make_pairs read_prompts",
    "world.engines": "open_engine",
    "world.sampling": "sample",
}.items() for name in names.split()}


def __getattr__(name):
    from importlib import import_module
    if name in DOORS: return getattr(import_module("." + DOORS[name], __name__), name)
    if not name.startswith("_"):
        try: return import_module("." + name, __name__)
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}": raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    from pkgutil import iter_modules
    modules = [found.name for found in iter_modules(__path__)]
    return sorted({"__version__", *DOORS, *(name for name in modules if name[0] != "_")})


if not sys.flags.no_site:
    from . import _extras as _extras
