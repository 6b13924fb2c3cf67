"""The planner's counts against real models: weights, adapters and what autograd keeps; and its plan against a
measured peak."""
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
    Starcoder2Config,
)

from codedpo_nb.running import memory
from codedpo_nb.world.model import fast_bf16

SMALL = dict(vocab_size=300, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4)
CONFIGS = [LlamaConfig(**SMALL, num_key_value_heads=4, tie_word_embeddings=True),
           LlamaConfig(**SMALL, num_key_value_heads=2, tie_word_embeddings=False),
           Qwen2Config(**SMALL, num_key_value_heads=2, tie_word_embeddings=True),
           LlamaConfig(**SMALL, num_key_value_heads=2, head_dim=32)]


def build(config): return (Qwen2ForCausalLM if config.model_type == "qwen2" else LlamaForCausalLM)(config)


@pytest.mark.parametrize("config", CONFIGS,
                         ids=lambda c: f"{c.model_type}-{c.num_key_value_heads}-{c.tie_word_embeddings}")
def test_weights_are_those_of_the_model(config):
    model, s = build(config), memory.shape(config)
    assert sum(memory.weights(s).values()) == sum(p.numel() for p in model.parameters())
    blocks = [m for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and name != "lm_head"]
    assert memory.weights(s)["linear"] == sum(m.weight.numel() for m in blocks)
    assert memory.shape(config.to_dict()) == s


@pytest.mark.parametrize("config", [
    PhiConfig(**SMALL, num_key_value_heads=4),
    Starcoder2Config(**SMALL, num_key_value_heads=2, tie_word_embeddings=True)], ids=lambda c: c.model_type)
def test_weights_of_models_without_a_gate(config):
    model, s = AutoModelForCausalLM.from_config(config), memory.shape(config.to_dict())
    assert sum(memory.weights(s).values()) == sum(p.numel() for p in model.parameters())
    assert "gate" not in memory.matrices(s) and sum(memory.remembered(s).values()) > 0


def test_half_needs_less_and_a_card_more_than_a_processor():
    total = lambda *args, **how: sum(memory.plan(memory.QWEN, 1024, 1, *args, **how).values())
    for tuning in ("full", "lora", "qlora"):
        assert total(tuning, gpu=False, half=True) < total(tuning, gpu=False)
        assert memory.plan(memory.QWEN, 1024, 1, tuning, gpu=False)["context"] == 0
    kept, again = (memory.plan(memory.QWEN, 1024, 1, "full", checkpointing=c, gpu=False, half=True)
                   for c in (False, True))
    linear = 2 * memory.weights(memory.shape(memory.QWEN))["linear"]
    assert kept["activations"] - again["activations"] > linear, "the copies in bfloat16"


def test_a_shared_plan_is_a_share_and_one_block_whole():
    whole = memory.plan(memory.QWEN, 1024, 2, "full")
    part = memory.sharded(whole, memory.QWEN, 8)
    assert part["optimizer"] == whole["optimizer"] // 8 and part["last layer"] == whole["last layer"]
    assert part["weights"] == whole["weights"] // 8 + whole["weights"] // 28


def test_adapter_is_that_of_peft():
    from peft import get_peft_model

    from codedpo_nb.training.shared import adapter
    config = CONFIGS[2]
    model = get_peft_model(build(config), adapter("lora", rank=4)["peft_config"])
    assert memory.adapter_weights(memory.shape(config),
                                  4) == sum(p.numel() for p in model.parameters() if p.requires_grad)


def kept(model, tokens):
    "Numbers that autograd keeps for a forward pass through the blocks, each storage once, weights left out."
    found, own = {}, {p.untyped_storage().data_ptr() for p in model.parameters()}
    def note(x):
        if x.untyped_storage().data_ptr() not in own:
            found[x.untyped_storage().data_ptr()] = (x, x.untyped_storage().nbytes() // 4)
        return x
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        model.model(input_ids=tokens, use_cache=False) if hasattr(model, "model") else model(tokens)
    return sum(n for _, n in found.values())


@pytest.mark.parametrize("config", CONFIGS[:3], ids=lambda c: f"{c.model_type}-{c.num_key_value_heads}")
@pytest.mark.parametrize("rank", [0, 4])
def test_remembered_is_what_autograd_keeps(config, rank):
    from peft import get_peft_model

    from codedpo_nb.training.shared import adapter
    def count(layers):
        config.num_hidden_layers = layers
        config.layer_types = ["full_attention"] * layers
        model = build(config).train()
        if rank:
            peft = get_peft_model(model, adapter("lora", rank=rank)["peft_config"])
            peft.enable_input_require_grads()
        return kept(model, torch.arange(2 * 48).view(2, 48))
    block = (count(3) - count(2)) / (2 * 48)   # the difference of two depths leaves out what is kept once
    assert sum(memory.remembered(memory.shape(config), rank).values()) == pytest.approx(block, rel=.02)


def test_four_bits_is_what_bitsandbytes_stores():
    from bitsandbytes.functional import quantize_4bit
    data, state = quantize_4bit(torch.randn(512, 512), quant_type="nf4", compress_statistics=True)
    stored = data.nbytes + state.absmax.nbytes + state.state2.absmax.nbytes
    assert memory.four_bits(512 * 512) == pytest.approx(stored, rel=1e-3)


def test_goal_is_within_7000_megabytes():
    for tuning in ("lora", "qlora"): assert sum(memory.plan(memory.QWEN, 1024, 4, tuning).values()) < 7000e6
    assert sum(memory.plan(memory.QWEN, 1024, 1, "full").values()) > 24e9


def test_more_of_anything_needs_more():
    total = lambda *args, **how: sum(memory.plan(memory.QWEN, *args, **how).values())
    assert total(512) < total(1024) < total(1024, 4) < total(1024, 4, checkpointing=False)
    assert total(1024, 4, "qlora") < total(1024, 4, "lora") < total(1024, 4, "lora", rank=64) < total(1024, 4,
        "full")


def test_parts_are_complete_and_unknown_settings_refused():
    assert set(memory.plan(memory.QWEN, 512)) == set(memory.PARTS)
    with pytest.raises(ValueError, match="tuning = 'half' is unknown: use one of full, lora, qlora"):
        memory.plan(memory.QWEN, 512, tuning="half")
    with pytest.raises(ValueError, match="lacks intermediate_size"):
        memory.plan({k: v for k, v in memory.QWEN.items() if k != "intermediate_size"}, 512)


BENCHMARKS = Path(__file__).parent.parent/"benchmarks"
MEASURES = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the measured peak is read "
                              "from Linux' /proc, which this system lacks")


@MEASURES
@pytest.mark.parametrize("half", [False, True])
def test_plan_is_within_a_tenth_of_a_measured_peak(half, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    found = importlib.import_module("memory").child(dict(hidden=384, layers=4, vocab=2048, tuning="full",
                                                         checkpointing=False, length=64, batch=2, half=half))
    # oneDNN has kernels of its own for bfloat16 only where the processor has units for it
    parts = [part for part in memory.PARTS if part != "context" or fast_bf16()]
    assert sum(found[part] for part in parts) == pytest.approx(found["measured"], rel=.1)


@MEASURES
@pytest.mark.long
def test_a_model_in_a_folder_is_measured_beside_its_plan(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    importlib.import_module("memory").model(256, 4, 8000, tmp_path)
    done = real("--model", tmp_path, "--length", 512, "--steps", 1, "--tunings", "lora", "--threads", 1)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    [row] = found["rows"]
    assert row["training_mb"] - row["libraries_mb"] == pytest.approx(row["used_mb"], abs=.2)
    assert row["error_percent"] == pytest.approx(100 * (row["planned_mb"] / row["used_mb"] - 1), abs=.2)
    assert abs(row["error_percent"]) < 25 and row["fits"] and row["libraries_mb"] > 100


def real(*words):
    "Run benchmarks/memory_real.py."
    command = [sys.executable, BENCHMARKS/"memory_real.py", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=BENCHMARKS.parent)


def test_a_folder_that_is_no_model_is_one_sentence(tmp_path):
    done = real("--model", tmp_path)
    assert done.returncode == 1 and "is no folder of a model" in done.stderr and done.stderr.count("\n") == 1
    (tmp_path/"config.json").write_text("{}")
    assert "lacks num_hidden_layers" in real("--model", tmp_path).stderr


def test_import_is_light():
    code = "import sys; import codedpo_nb.running.memory; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent,
                            capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "matplotlib", "numpy"} & set(loaded)
