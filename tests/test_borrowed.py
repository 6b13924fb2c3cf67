"""Parts of other libraries that they do not promise: each is where it was, and does what is relied upon; else
a sentence says what to do."""
import inspect
from importlib.metadata import version

import pytest

from codedpo_nb.training.shared import BORROWED, EXPECTED, borrowed

REMEDY = "bound the version in settings.ini below this one, or mend the use"


def source(path):
    return inspect.getsource(borrowed(path) if path in BORROWED else __import__(path, fromlist=["x"]))


@pytest.mark.parametrize("path", BORROWED)
def test_part_is_where_it_was(path):
    package = path.partition(".")[0]
    try: borrowed(path)
    except ImportError as gone:
        pytest.fail(f"{package} {version(package)} has moved {path} ({BORROWED[path]}): {REMEDY}\n{gone}")


def test_a_part_that_has_gone_is_missed_in_words(monkeypatch):
    import trl.trainer.utils
    monkeypatch.delattr(trl.trainer.utils, "FusedCausalLMOutput")
    with pytest.raises(ImportError, match=r"FusedCausalLMOutput is not in trl \S+ \(what a model answers "
                       r".*\): install a version within the bounds"):
        borrowed("trl.trainer.utils.FusedCausalLMOutput")


def test_trl_asks_for_a_fused_head_and_reads_these_fields():
    fields = {"log_probs", "entropy", "mean_logits", "is_top1", "label_mask"}
    there = set(inspect.signature(borrowed("trl.trainer.utils.FusedCausalLMOutput")).parameters)
    assert fields <= there, f"TRL's output has lost {fields - there}, which `plain_head` fills: {REMEDY}"
    for trainer in ("sft", "dpo", "kto"):
        assert "fused_lm_head" in source(f"trl.trainer.{trainer}_trainer"), (f"TRL's {trainer} trainer no "
            f"longer calls the model with `fused_lm_head`: {REMEDY}")


@pytest.mark.parametrize("trainer, columns",
                         [("dpo", ["ref_chosen_logps", "ref_rejected_logps"]), ("kto", ["ref_logps"])])
def test_references_are_cached_beside_the_data_under_a_name_of_data_and_model(trainer, columns):
    kind = "DPOTrainer" if trainer == "dpo" else "KTOTrainer"
    text = source(f"trl.trainer.{trainer}_trainer.{kind}._precompute_ref_logps")
    for part, use in (("dataset._fingerprint", "`how` in DPO's data keeps objectives apart"),
                      ("_get_cache_file_path", "`dataset_of` lets several processes find it"),
                      *((c, "the batch carries it") for c in columns)):
        assert part in text, f"TRL caches references in another way: {part} is missed ({use}): {REMEDY}"


def test_dpos_collator_reads_these_columns_and_masks_completions():
    text = source("trl.trainer.dpo_trainer.DataCollatorForPreference.torch_call")
    for part in ("prompt_ids", "chosen_ids", "rejected_ids", "completion_mask"):
        assert part in text, (f"TRL's batch of pairs no longer has {part}, which `WithoutShared` uses: "
                              f"{REMEDY}")


def test_trl_names_columns_and_metrics_as_the_weighted_trainer_does():
    text = source("trl.trainer.sft_trainer")
    for part, use in (("_signature_columns", "the column `task` reaches the collator"),
                      ('self._metrics = {"train"', "losses and weights of tasks are logged")):
        assert part in text, f"TRL's SFT trainer has no {part} ({use}): {REMEDY}"


def test_messages_that_are_silenced_are_still_said_like_this():
    import transformers.modeling_utils
    import transformers.trainer
    import transformers.trainer_utils
    import trl.trainer.sft_trainer
    said = "".join(map(inspect.getsource,
                       (transformers.trainer, transformers.trainer_utils, transformers.modeling_utils,
                        trl.trainer.sft_trainer)))
    for text in EXPECTED:
        beginning = text.partition(":")[0]
        assert beginning in said, (f"No library says {beginning!r} any more, so `EXPECTED` silences nothing: "
                                   "take it out, and look at what is said instead")


def test_four_bit_layers_ask_whether_they_may_be_rearranged():
    import bitsandbytes as bnb
    layer = bnb.nn.Linear4bit(64, 64)
    assert hasattr(layer, "support_avx512bf16_for_cpu"), ("Four-bit layers have no "
                                                          "support_avx512bf16_for_cpu, so `exact` "
                                                          f"cannot keep their weights as they are: {REMEDY}")
