"The doors, for editors and type checkers; tests/test_house.py keeps them in agreement with `DOORS`."
from .benchmarks import load
from .dpo import fit_dpo
from .efficiency import compare_speed
from .formats import score_file
from .pairs import correctness_pairs, pick_pair
from .problems.record import pass_at_k
from .ranking import relative, score_all, self_validation
from .sandbox import Limits, Pool, clock, cost, evaluate, memory, run
from .sft import fit_sft
from .statistics import bootstrap, clustered, difference, wilson

__all__ = [
    "Limits", "Pool", "bootstrap", "clock", "clustered", "compare_speed", "correctness_pairs", "cost",
    "difference", "evaluate", "fit_dpo", "fit_sft", "load", "memory", "pass_at_k", "pick_pair", "relative",
    "run", "score_all", "score_file", "self_validation", "wilson",
]
__version__: str
DOORS: dict[str, str]
