"The profile `real` from functions to tables: a script speaks for the generator, a tiny model learns."
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codedpo_nb import benchmarks, harvest, seed
from codedpo_nb.problems.record import BenchmarkError, truth_program
from codedpo_nb.running import records
from codedpo_nb.running.plan import make_plan
from codedpo_nb.world import instruct
from codedpo_nb.world.corpus import corpus
from codedpo_nb.world.engines import Engine, Recorded, SampledAnswer
from codedpo_nb.world.model import fresh_model, save_model, train_tokenizer
from codedpo_nb.world.tasks import task_space

ROOT = Path(__file__).parent.parent
DATA = os.environ.get("CODEDPO_DATA") or str(ROOT.parent/"shared/data")
SIZES = dict(n_functions=4, n_prompts=10, n_solutions=4, n_tests=4, n_problems=3, n_exam=2, part=4,
             exam_samples=1, train_steps=2, train_batch=2, held_samples=1, held_share=.5, longest=40,
             longest_tests=60)
CHATML = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


SYLLABLES = [a + b for a in "bdfgklmnprst" for b in "aeiou"]


class Script(Engine):
    "Says what a generator might: concepts, tasks, solutions and tests that are often right."
    shares = True

    def __init__(self):
        known = benchmarks.load("humaneval+", DATA)[:SIZES["n_problems"]]
        self.truth = {p["entry_point"]: truth_program(p) for p in known}

    def ask(self, texts, n, temperature, longest, seed):
        def one(text, k):
            return SampledAnswer(self.say(text, random.Random(f"{text} {seed} {k}")), False, 20, 30)
        return [[one(text, k) for k in range(n)] for text in texts]

    def say(self, text, r):
        if text.endswith("Concepts:"): return f" {r.choice(SYLLABLES) * 2}, sorting, sets\n\n"
        number = r.randrange(10 ** 6)
        if text.endswith("Header:"):
            return (f" def total_{number}(xs: list[int]) -> int\nExercise: Return the sum of all values of "
                    f"`xs` and of {number}; {' '.join(r.choice(SYLLABLES) for _ in range(24))}.\n\n")
        name = re.findall(r"function (?:named )?`(\w+)`", text)[-1]
        add = int(name.split("_")[-1]) if name.startswith("total_") else None
        if "Do not write" in text:
            lines = [f"assert {name}([{i}, {r.randrange(9)}]) is not None" for i in range(5)]
            if add is not None:
                lines = [f"assert {name}([{i}]) == {add + i + (r.random() < .2)}" for i in range(5)]
            return "```python\n" + "\n".join(lines) + "\n```"
        right = f"def {name}(xs):\n    return sum(xs) + {add}" if add is not None else self.truth[name]
        wrong = f"def {name}(*xs):\n    # {r.randrange(3)}\n    return {r.randrange(3)}"
        return f"```python\n{right if r.random() < .6 else wrong}\n```"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    "A clone with a tiny model in it and what the script said on its tapes."
    try: problems = [p for name in ("humaneval+", "mbpp+") for p in benchmarks.load(name, DATA)]
    except BenchmarkError as error: pytest.skip(str(error))
    base = tmp_path_factory.mktemp("clone")
    for name in ("nbs", "codedpo_nb"):
        shutil.copytree(ROOT/name, base/name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("profiles", "settings.ini"):
        (shutil.copytree if (ROOT/name).is_dir() else shutil.copy)(ROOT/name, base/name)
    docs = list(corpus(task_space(0)["train"], 60, 0))
    tokenizer = train_tokenizer([d["prompt"] + "\n" + d["answer"] + "```" for d in docs], 512)
    tokenizer.chat_template = CHATML
    save_model(fresh_model(tokenizer, 32, 1), tokenizer, base/"models/tiny")
    plan = make_plan("real", base, SETTINGS)
    record(plan, problems)
    return base


SETTINGS = [f"{k}={v}" for k, v in SIZES.items()] + [
    "generator=models/tiny", "learner=models/tiny", "learner_seeds=[0]", "generator_seeds=[]",
    "learner_sft_lrs=[0.001]", "learner_dpo_lrs=[0.001]"]


def record(plan, problems):
    "The tapes of the stages that ask the generator, as its engine would have made them."
    values, tapes, script = plan.values, plan.dir/"recordings", Script()
    def tape(name): return Recorded(tapes/f"{name}.jsonl.gz", script)
    found, _ = seed.mine(seed.stdlib_files())
    order = records.rng(values["seed"], "functions").permutation(len(found))
    functions = [found[i] for i in sorted(order[:values["n_functions"]])]
    drafts = instruct.invent_tasks(functions, tape("tasks"), 1, values["author_temperature"], 0,
                                   problems=problems)
    tasks = [t for t in drafts if "loss" not in t]
    asked = harvest.sift_prompts(tasks[:values["n_prompts"]])[0]
    exam = [dict(task_id=p["task_id"], prompt=p["prompt"].strip(), name=p["entry_point"])
            for p in problems[:values["n_problems"]]]
    for name, rows in (("answers", asked), ("humaneval", exam)):
        for i in range(0, len(rows), values["part"]):
            harvest.verify_prompts(
                rows[i:i + values["part"]], tape(f"{name}-solutions"), values["n_solutions"],
                values["n_tests"], values["temperature"], values["longest"], 0, batch=120,
                tester=tape(f"{name}-tests"), longest_tests=values["longest_tests"])


def go(base):
    words = [w for s in SETTINGS for w in ("--set", s)]
    code = ("import sys; from codedpo_nb.running.runner import main; "
            f"sys.exit(main(['--profile', 'real', *{words}]))")
    where = dict(CODEDPO_ROOT=str(base), PYTHONPATH=str(base), CODEDPO_DATA=DATA)
    return subprocess.run([sys.executable, "-c", code], cwd=base, capture_output=True, text=True,
                          env=os.environ | where)


@pytest.mark.long
def test_from_functions_to_tables(base):
    done = go(base)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    folder = make_plan("real", base, SETTINGS).dir
    made = {p.stem for p in (folder/"tables").glob("*.csv")}
    assert {"real_tasks_funnel", "real_fates", "real_samples", "real_rankings", "real_table5", "real_table15",
            "real_settings", "real_greedy", "real_sampled", "real_gaps", "real_table10"} <= made
    assert (folder/"report.html").exists()
    tapes = {p: p.read_bytes() for p in (folder/"recordings").rglob("*") if p.is_file()}
    assert len([p for p in tapes if "answers/" in str(p)]) > 10
    said = subprocess.run([sys.executable, ROOT/"benchmarks/real.py", "--folder", folder, "--tables"],
                          capture_output=True, text=True, check=True).stdout
    found = json.loads(said.splitlines()[-1])
    assert len(found["stages"]) == 5 and found["fewest_steps"] > 0 and found["replies"]["tasks.jsonl"] > 0
    assert found["greedy"] and "| learner |" in said
    # nothing is left but the tapes, and no model: the same tables again
    tables = {p.name: p.read_bytes() for p in (folder/"tables").glob("*.csv")}
    for name in ("artefacts", "tables"): shutil.rmtree(folder/name)
    (base/"models/tiny/model.safetensors").unlink()
    done = go(base)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert {p.name: p.read_bytes() for p in (folder/"tables").glob("*.csv")} == tables
    assert {p: p.read_bytes() for p in tapes} == tapes
