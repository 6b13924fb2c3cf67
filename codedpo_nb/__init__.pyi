"The doors, for editors and type checkers; tests/test_house.py keeps them in agreement with `DOORS`."
from .benchmarks import load
from .dpo import fit_dpo
from .efficiency import compare_speed
from .formats import score_file
from .harvest import best_of_n, make_pairs, read_prompts
from .pairs import correctness_pairs, pick_pair
from .problems.record import pass_at_k
from .ranking import relative, score_all, self_validation
from .sandbox import Limits, Pool, clock, cost, evaluate, memory, run
from .sft import fit_sft
from .statistics import bootstrap, clustered, difference, wilson
from .world.engines import open_engine
from .world.sampling import sample

__all__ = [
    "Limits", "Pool", "best_of_n", "bootstrap", "clock", "clustered", "compare_speed",
    "correctness_pairs", "cost", "difference", "evaluate", "fit_dpo", "fit_sft", "load", "make_pairs",
    "memory", "open_engine", "pass_at_k", "pick_pair", "read_prompts", "relative", "run", "sample",
    "score_all", "score_file", "self_validation", "wilson",
]
__version__: str
DOORS: dict[str, str]
