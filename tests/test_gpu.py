"""benchmarks/gpu.py to its end on a minute model, and what it makes of a machine without room."""
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from codedpo_nb.running import costs, memory

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT/"benchmarks/gpu.py"


@pytest.fixture(scope="module")
def gpu():
    "The script as a module."
    spec = importlib.util.spec_from_file_location("gpu", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def script(*words):
    return subprocess.run([sys.executable, SCRIPT, *words], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.long
def test_tiny_runs_to_its_end_and_says_all(tmp_path):
    done = script("--tiny", "--out", str(tmp_path/"found.json"))
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == json.loads((tmp_path/"found.json").read_text())
    rows = {(row["what"], row.get("tuning") or row["engine"]): row for row in found["rows"]}
    assert set(rows) == {(kind, tuning) for kind in ("sft", "dpo") for tuning in ("lora", "full")} | {
        ("sample", "transformers"), ("sample", "vllm")}
    for key, row in rows.items():
        if key != ("sample", "vllm"): assert row["tokens_per_s"] > 0 and "reason" not in row, row
    assert found["tiny"] and found["rates"] == [], "figures of a minute model are no rates"


def test_what_does_not_fit_is_one_line(gpu):
    said, how = [], gpu.settings(False, 1, 8 * 10**9, None)
    shape = gpu.SHAPES["qwen-coder-1.5b"]
    gpu.measure_training("sft", "qwen-coder-1.5b", "nowhere", shape, "full", how, said.append)
    assert len(said) == 1 and said[0]["reason"].startswith("does not fit: ")
    assert "\n" not in gpu.line(said[0]) and "8.0 are free" in gpu.line(said[0])


def test_what_fails_is_one_line(gpu, tmp_path):
    said, how = [], gpu.settings(True, 1, None, None)
    gpu.measure_training("sft", "minute", tmp_path/"none", gpu.TINY["minute"], "lora", how, said.append)
    gpu.measure_sampling("transformers", "minute", tmp_path/"none", how, said.append)
    assert len(said) == 2 and all(row["reason"] and "\n" not in gpu.line(row) for row in said)


def test_room_decides_batch_and_checkpointing(gpu):
    shape = gpu.SHAPES["qwen-coder-1.5b"]
    large, small = (list(gpu.fitting(shape, "sft", "lora", 1024, room, True)[0]) for room in (80e9, 8e9))
    assert large[0] == gpu.CHOICES[0] and small and small[0][0] < large[0][0]
    assert all(checkpointing for _, checkpointing in small)
    assert (1, True) not in gpu.fitting(shape, "dpo", "lora", 1024, 80e9, True)[0], "a pair is two sequences"


@pytest.mark.parametrize("name,billions", [("qwen-coder-0.5b", .494), ("deepseek-coder-1.3b", 1.346),
                                           ("qwen-coder-1.5b", 1.544)])
def test_shapes_have_the_published_sizes(gpu, name, billions):
    n = sum(memory.weights(memory.shape(gpu.SHAPES[name])).values())
    assert n / 1e9 == pytest.approx(billions, rel=.002)


def test_operations_of_a_step_are_those_that_pytorch_counts(gpu):
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoConfig, AutoModelForCausalLM
    shape, length = gpu.TINY["minute"], 32
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**shape), attn_implementation="eager")
    ids = torch.randint(3, 400, (1, length))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids).loss.backward()
    s = memory.shape(shape)
    whole = 3 * 2 * 2 * s["layers"] * s["q"] * length   # attention without the causal half
    ours = length * (gpu.step_operations(shape, "full", length) + whole / 2)
    assert ours == pytest.approx(counter.get_total_flops(), rel=.02)


def test_measured_rates_are_entries_of_the_table(gpu):
    of = dict(model="qwen-coder-1.5b", length=1024, sequences=8)
    rows = [dict(of, what="sft", tuning="lora", tokens_per_s=9.),
            dict(of, what="dpo", tuning="lora", tokens_per_s=9.),
            dict(of, what="sample", engine="vllm", tokens_per_s=99.),
            dict(of, what="sft", tuning="full", reason="out of memory")]
    made = [costs.Rate(**rate) for rate in gpu.as_rates(rows, gpu.SHAPES, "A100-80GB")]
    assert [(rate.kind, rate.tuning, rate.per_second)
            for rate in made] == [("train", "lora", 9.), ("sample", "", 99.)]


def test_without_a_gpu_it_says_so_and_a_missing_folder_too(tmp_path):
    import torch
    if not torch.cuda.is_available():
        done = script()
        assert done.returncode == 1 and done.stderr.startswith("There is no GPU that PyTorch can use")
    done = script("--tiny", "--out", str(tmp_path/"no/found.json"))
    assert done.returncode == 1 and "there is no folder" in done.stderr
