"""The planner's counts against real models: weights, adapters and what autograd keeps; and its plan against a
measured peak."""
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from codedpo_nb.running import memory

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


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the measured peak is read from "
                    "Linux' /proc, which this system lacks")
def test_plan_is_within_a_tenth_of_a_measured_peak():
    sys.path.insert(0, str(Path(__file__).parent.parent/"benchmarks"))
    import importlib
    found = importlib.import_module("memory").child(dict(hidden=384, layers=4, vocab=2048, tuning="full",
                                                         checkpointing=False, length=64, batch=2))
    assert sum(found[part] for part in memory.PARTS) == pytest.approx(found["measured"], rel=.1)


def test_import_is_light():
    code = "import sys; import codedpo_nb.running.memory; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent,
                            capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "matplotlib", "numpy"} & set(loaded)
