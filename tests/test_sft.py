"""Fine-tuning on minute models: what is learnt, what is refused, what is kept, and what a kill in the middle
changes (nothing)."""
import random
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

from codedpo_nb import sft
from codedpo_nb.running.records import digest
from codedpo_nb.training import shared
from codedpo_nb.world.corpus import code_document
from codedpo_nb.world.model import fresh_model, load_model, newest_checkpoint, save_model, train_tokenizer
from codedpo_nb.world.tasks import task_space

torch.set_num_threads(1)
HOW = dict(lr=3e-3, epochs=4, batch=8)


def message(role, text): return [dict(role=role, content=text)]
def arguments(folder, n, batch):
    return shared.trainer_arguments(folder, n, shared.Settings(lr=1e-3, epochs=1, batch=batch, longest=512))


@pytest.fixture(scope="session")
def rows():
    r = random.Random(0)
    docs = [code_document(t, r, .6, 0.) for t in task_space(0)["train"][:60]]
    return [dict(task_id=d["task_id"], prompt=message("user", d["prompt"]),
                 completion=message("assistant", d["answer"])) for d in docs]


@pytest.fixture(scope="session")
def tiny(rows, tmp_path_factory):
    tok = train_tokenizer([r["prompt"][0]["content"] + r["completion"][0]["content"] for r in rows], 450)
    folder = tmp_path_factory.mktemp("tiny")/"model"
    save_model(fresh_model(tok, 32, 1), tok, folder)
    return folder


@pytest.fixture(scope="module")
def done(rows, tiny, tmp_path_factory):
    "An uninterrupted run: its log and its folder."
    folder = tmp_path_factory.mktemp("done")/"model"
    return sft.fit_sft(rows, tiny, folder, **HOW, watch=dict(some=rows[:5])), folder


def test_only_answer_and_end_token_are_learnt(rows, tiny, tmp_path):
    tok = shared.training_tokenizer(tiny)
    trainer = sft.sft_trainer(rows, rows[:2], tiny, tok, arguments(tmp_path, len(rows), 8))
    learnt = [tok.decode(labels[labels >= 0]) for batch in trainer.get_train_dataloader()
              for labels in batch["labels"]]
    assert sorted(learnt) == sorted(r["completion"][0]["content"] + "<|im_end|>" for r in rows)


def test_log_probability_is_the_sum_over_the_answers_tokens(rows, tiny):
    model, tok = load_model(tiny)
    row = rows[3]
    prompt = tok.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
    ask, said = (tok(text, add_special_tokens=False).input_ids
                 for text in (prompt, row["completion"][0]["content"] + "<|im_end|>"))
    with torch.no_grad(): logp = model(torch.tensor([ask + said])).logits[0].log_softmax(-1)
    expected = sum(logp[len(ask) + i - 1, t].item() for i, t in enumerate(said))
    assert shared.log_probabilities(model, shared.training_tokenizer(tiny),
                                    rows)[3] == pytest.approx(expected, abs=1e-3)


def test_best_code_looks_at_scores_and_never_at_the_truth():
    row = dict(task_id="t", solutions=list("abcd"), matrix=[[0, 0], [1, 0], [1, 0], [0, 1]],
               code_scores=[9, 2, 2, 1], right=[0, 0, 0, 1])
    assert sft.best_code(row, {}) == (1, "top-ranked"), ("a solution that passes nothing is no candidate; "
                                                         "the first of equals is taken")
    assert sft.best_code(row, {"t": 3}) == (3, "fastest")
    del row["right"]
    assert sft.best_code(row, {}) == (1, "top-ranked")


def test_split_is_by_task_and_the_same_for_any_subset():
    rows = [dict(task_id=f"t{i % 300}", i=i) for i in range(900)]
    train, valid = shared.split_by_task(rows, .2, 5)
    held = {r["task_id"] for r in valid}
    assert not held & {r["task_id"] for r in train} and 40 < len(held) < 80 and len(train) + len(valid) == 900
    assert shared.split_by_task(rows[:200], .2, 5)[1] == [r for r in rows[:200] if r["task_id"] in held]
    assert {r["task_id"] for r in shared.split_by_task(rows, .2, 6)[1]} != held
    assert len(shared.split_by_task(rows[:4], 1e-9, 5)[1]) == 1


@pytest.mark.parametrize("spoil, says", [
    (lambda rows: [], "The SFT data is empty"),
    (lambda rows: rows[:2] + [{k: v for k, v in rows[2].items() if k != "completion"}],
     r"lacks the column 'completion' in row 3 \("),
    (lambda rows: [rows[0] | dict(prompt="text")] + rows[1:],
     r"'prompt' is not a list of messages .* in row 1 \("),
    (lambda rows: rows + [rows[0] | dict(completion=message("assistant", ""))] * 5,
     r"in row 61 \(.*\), row 62 \(.*\), row 63 \(.*\) and 2 more"),
    (lambda rows: rows[:9] + [rows[9] | dict(prompt=message("user", "word " * 999))],
     r"the prompt alone has more than 1024 tokens in row 10 \("),
])
def test_broken_data_is_refused_before_training(rows, tiny, tmp_path, spoil, says):
    with pytest.raises(ValueError, match=says) as caught:
        sft.fit_sft(spoil(rows), tiny, tmp_path/"model", **HOW)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_weights_of_the_lowest_validation_loss_are_saved(rows, tiny, done):
    log, folder = done
    losses = {row["step"]: row["eval_loss"] for row in log if "eval_loss" in row}
    best = shared.kept_step(log)
    assert losses[best] == min(v for s,
                               v in losses.items() if s) < losses[0] and max(losses) == max(r["step"]
        for r in log)
    model, tok = load_model(folder)
    watched = next(row["watched"]["some"] for row in log if "watched" in row and row["step"] == best)
    assert shared.log_probabilities(model, shared.training_tokenizer(folder),
                                    rows[:5]) == pytest.approx(watched, abs=1e-3)


def test_last_weights_can_be_kept(rows, tiny, done, tmp_path):
    log = sft.fit_sft(rows, tiny, tmp_path/"model", **HOW, watch=dict(some=rows[:5]), keep="last")
    strip = lambda log: [{k: v for k, v in row.items() if k != "kept"} for row in log]
    assert strip(log) == strip(done[0]) and shared.kept_step(log) == max(r["step"] for r in log)
    last = [row["watched"]["some"] for row in log if "watched" in row][-1]
    assert shared.log_probabilities(load_model(tmp_path/"model")[0], shared.training_tokenizer(tiny),
                                    rows[:5]) == pytest.approx(last, abs=1e-3)
    with pytest.raises(ValueError, match="keep = 'first' is unknown"):
        sft.fit_sft(rows, tiny, tmp_path/"x", keep="first")


def test_saved_model_is_an_ordinary_one(rows, tiny, done):
    tok = AutoTokenizer.from_pretrained(done[1])
    assert tok.chat_template == AutoTokenizer.from_pretrained(tiny).chat_template
    model = AutoModelForCausalLM.from_pretrained(done[1])
    out = model.generate(**tok("def", return_tensors="pt", return_token_type_ids=False), max_new_tokens=3,
                         do_sample=False)
    assert out.shape[1] > 1 and model.config.use_cache


def test_log_begins_before_the_first_step_and_holds_no_clock(done):
    log = done[0]
    assert log[0]["step"] == 0 and "eval_loss" in log[0] and [r["step"] for r in log
                                                              if "watched" in r] == [r["step"] for r in log
        if "eval_loss" in r]
    assert not [k for row in log for k in row if k.endswith(("runtime", "per_second", "flos", "num_tokens"))]


KILL = """
    import json, os, signal, sys, torch
    sys.path.insert(0, "tests")
    from transformers import TrainerCallback
    from codedpo_nb import sft
    torch.set_num_threads(1)
    class Kill(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == {step}: os.kill(os.getpid(), signal.SIGKILL)
    rows = json.load(open({rows!r}))
    sft.fit_sft(rows, {tiny!r}, {folder!r}, **{how!r}, watch=dict(some=rows[:5]), work={work!r}, callbacks=[Kill()])
"""  # noqa: E501


def test_killed_and_resumed_equals_uninterrupted(rows, tiny, done, tmp_path):
    import json
    (tmp_path/"rows.json").write_text(json.dumps(rows))
    script = KILL.format(step=17, rows=str(tmp_path/"rows.json"), tiny=str(tiny),
                         folder=str(tmp_path/"model"), how=HOW, work=str(tmp_path/"work"))
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=Path(__file__).parent.parent,
                            capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    found = sorted((tmp_path/"work").glob("checkpoint-*"))
    assert found and not (tmp_path/"model").exists()
    # as if cut short
    shutil.copytree(found[-1], tmp_path/"work"/"checkpoint-99",
                    ignore=shutil.ignore_patterns("trainer_state.json"))
    log = sft.fit_sft(rows, tiny, tmp_path/"model", **HOW, watch=dict(some=rows[:5]), work=tmp_path/"work")
    assert log == done[0] and digest(tmp_path/"model") == digest(done[1])


def test_other_settings_start_anew(rows, tiny, tmp_path):
    work = shared.workspace(tmp_path/"work", lr=1)
    (work/"checkpoint-5").mkdir()
    assert (shared.workspace(tmp_path/"work", lr=1)/"checkpoint-5").exists()
    assert not (shared.workspace(tmp_path/"work", lr=2)/"checkpoint-5").exists()
    assert shared.model_identity(tiny) == digest(tiny) and shared.model_identity("hub/name") == "hub/name"


def test_training_is_quiet(rows, tiny, tmp_path, capfd):
    capfd.readouterr()
    sft.fit_sft(rows[:12], tiny, tmp_path/"model", epochs=1)
    assert capfd.readouterr() == ("", "") and [p.name for p in tmp_path.iterdir()] == ["model"]


def test_only_confirmed_pairs_are_watched():
    pair = dict(task_id="t", prompt="p", chosen="c", rejected="r", chosen_index=0, rejected_index=1)
    kinds = ["correctness", "efficiency"]
    for right, expected in (([1, 0], ["correct", "wrong"]), ([1, 1], ["fast", "slow"]), ([0, 1], []),
                            ([0, 0], [])):
        groups = shared.watched([pair | dict(kind=k) for k in kinds], [dict(task_id="t", right=right)])
        assert [g for g, found in groups.items() if found] == expected


def test_damaged_checkpoint_is_one_sentence_with_the_remedy(rows, tiny, tmp_path):
    how = HOW | dict(epochs=1, work=tmp_path/"work")
    sft.fit_sft(rows, tiny, tmp_path/"model", **how)
    newest = Path(newest_checkpoint(tmp_path/"work"))
    (newest/"optimizer.pt").write_bytes(b"torn")
    with pytest.raises(shared.ArtefactError, match=f"{newest.name} is damaged .*: delete this folder and "
                       "give the same command again"):
        sft.fit_sft(rows, tiny, tmp_path/"model", **how)
    shutil.rmtree(newest)
    sft.fit_sft(rows, tiny, tmp_path/"model", **how)


def test_full_disk_is_one_sentence_with_the_remedy(rows, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(shared, "save_model",
                        lambda *args: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(shared.DiskFullError, match="No space left for the checkpoints in .*work: free some "
                       "disk space"):
        sft.fit_sft(rows, tiny, tmp_path/"model", **HOW | dict(epochs=1), work=tmp_path/"work")


@pytest.mark.parametrize("tuning", ["full", "lora", "qlora"])
def test_every_tuning_trains_resumes_saves_and_generates(tuning, rows, tiny, tmp_path):
    rows, how = rows[:32], dict(lr=3e-3, epochs=2, batch=8, tuning=tuning, rank=4)
    log = sft.fit_sft(rows, tiny, tmp_path/"whole", **how)
    losses = [row["loss"] for row in log if "loss" in row]
    assert losses[-1] < losses[0]
    class Stop(TrainerCallback):
        def on_save(self, *args, **kwargs): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        sft.fit_sft(rows, tiny, tmp_path/"halves", **how, work=tmp_path/"work", callbacks=[Stop()])
    assert sft.fit_sft(rows, tiny, tmp_path/"halves", **how,
                       work=tmp_path/"work") == log, "stopped and resumed gives the identical curve"
    assert digest(tmp_path/"halves") == digest(tmp_path/"whole")

    base, model, tok = (*(AutoModelForCausalLM.from_pretrained(p) for p in (tiny, tmp_path/"whole")),
                        AutoTokenizer.from_pretrained(tmp_path/"whole"))
    assert {"model.safetensors", "config.json", "generation_config.json", "tokenizer.json",
            "chat_template.jinja"} <= {p.name for p in (tmp_path/"whole").iterdir()}
    assert (tmp_path/"whole"/"adapter").exists() == (tuning != "full") and not hasattr(model.config,
        "quantization_config")
    assert {k for k, p in model.named_parameters() if not torch.equal(p, base.get_parameter(k))} == {
        k for k,
        p in base.named_parameters() if tuning == "full"
        or "_proj" in k}, "an adapter leaves embeddings and gains as they were"
    said = shared.log_probabilities(model, shared.training_tokenizer(tiny), rows)
    assert sum(said) > sum(shared.log_probabilities(base, shared.training_tokenizer(tiny), rows))
    ask = tok.apply_chat_template(rows[0]["prompt"], add_generation_prompt=True, return_tensors="pt",
                                  return_dict=True)
    out = model.generate(**ask, max_new_tokens=4, do_sample=False)
    assert ask["input_ids"].shape[1] < out.shape[1] <= ask["input_ids"].shape[1] + 4


@pytest.mark.parametrize("change, says", [
    (dict(lr=0), "lr = 0 is no learning rate: give a number above 0"),
    (dict(lr=float("nan")), "lr = nan is no learning rate"),
    (dict(epochs=0), "epochs = 0 is not a whole number from 1: give one"),
    (dict(batch=True), "batch = True is not a whole number from 1"),
    (dict(longest=1.5), "longest = 1.5 is not a whole number from 1"),
    (dict(rank=0), "rank = 0 is not a whole number from 1"),
    (dict(seed=-1), "seed = -1 is not a whole number from 0"),
    (dict(alpha=0), "alpha = 0 is not a number above 0"),
    (dict(share=2), "share = 2 of the prompts cannot be held out: give a share from 0 to 1"),
    (dict(min_lr=1), "min_lr = 1 is not between 0 and the peak"),
    (dict(patience=0), "patience = 0 is not a whole number from 1"),
    (dict(weighting="case9"), "weighting = 'case9' is unknown"),
    (dict(weighting="case3", packing=True), "packing = True mixes tasks"),
    (dict(keep="first"), "keep = 'first' is unknown: use 'best' or 'last'")])
def test_wrong_settings_are_refused_where_they_are_given(change, says):
    with pytest.raises(ValueError, match=says) as caught: sft.SFTSettings(**change)
    assert "\n" not in str(caught.value)


def test_a_setting_by_name_goes_before_the_settings(rows, tiny, tmp_path):
    whole = sft.fit_sft(rows[:12], tiny, tmp_path/"a", sft.SFTSettings(lr=1e-3, epochs=1, batch=4))
    named = sft.fit_sft(rows[:12], tiny, tmp_path/"b", sft.SFTSettings(lr=1e-3, batch=4), epochs=1)
    assert whole == named and digest(tmp_path/"a") == digest(tmp_path/"b")
    with pytest.raises(TypeError, match="epoch"): sft.fit_sft(rows, tiny, tmp_path/"c", epoch=1)


def test_unknown_tuning_is_refused_before_anything_is_written(rows, tiny, tmp_path):
    with pytest.raises(ValueError, match="tuning = 'dora' is unknown: use one of full, lora, qlora"):
        sft.fit_sft(rows, tiny, tmp_path/"model", **HOW, tuning="dora")
    assert not list(tmp_path.iterdir())


def test_merged_adapter_says_what_model_and_adapter_say_together(rows, tiny, tmp_path):
    from peft import AutoPeftModelForCausalLM
    sft.fit_sft(rows, tiny, tmp_path/"model", **HOW | dict(epochs=1), tuning="lora", rank=2)
    both = AutoPeftModelForCausalLM.from_pretrained(tmp_path/"model"/"adapter")
    tok = shared.training_tokenizer(tiny)
    assert shared.log_probabilities(load_model(tmp_path/"model")[0], tok,
                                    rows[:5]) == pytest.approx(shared.log_probabilities(both, tok, rows[:5]),
                                                               abs=1e-3)


def test_batch_that_processes_cannot_share_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ValueError, match="batch = 8 cannot be shared by 3 processes"): shared.hardware(8)
    assert shared.hardware(9)["per_device_train_batch_size"] == 3 and shared.hardware(9)[
        "ddp_backend"] == "gloo"


@pytest.mark.parametrize("spoil, says", [
    (lambda r: r | dict(prompt=message("assistant", "x")),
     "'prompt' does not end with a message of the user in row 2"),
    (lambda r: r | dict(completion=message("user", "x")), "'completion' does not end with a message of the "
     "assistant in row 2"),
    (lambda r: r | dict(completion=message("assistant", " \n")), "'completion' is not a list of messages "
     "with role and content in row 2"),
    (lambda r: r | dict(completion=message("assistant", "word " * 999)),
     "prompt and completion have more than 1024 tokens in row 2"),
    (lambda r: r | dict(prompt=message("user", "word " * 999)),
     "the prompt alone has more than 1024 tokens in row 2"),
])
def test_rows_with_wrong_roles_or_lengths_are_named(rows, tiny, spoil, says):
    with pytest.raises(ValueError, match=says):
        shared.check_rows([rows[0], spoil(rows[1]), rows[2]], ["prompt", "completion"],
                          shared.training_tokenizer(tiny), 1024)


def test_kept_logits_give_what_the_tiles_give(rows, tiny, tmp_path, monkeypatch):
    logs = []
    for small in (10**9, 0):
        monkeypatch.setattr(shared, "KEPT_VOCABULARY", small)
        logs.append(sft.fit_sft(rows[:24], tiny, tmp_path/f"{small}", **HOW | dict(epochs=1)))
    for a, b in zip(*logs, strict=True): assert a == pytest.approx(b, rel=1e-3, abs=1e-4)
    assert {"entropy", "mean_token_accuracy"} <= set(logs[0][1])


def test_packing_learns_the_same_from_fewer_sequences(rows, tiny, tmp_path):
    tok = shared.training_tokenizer(tiny)
    count = sft.packed_sequences(rows, tok, 512)
    assert count < len(rows) / 3
    settings = arguments(tmp_path/"w", count, count) | dict(packing=True, eval_packing=False)
    trainer = shared.plain_head(sft.sft_trainer(rows, rows[:2], tiny, tok, settings))
    batch, = trainer.get_train_dataloader()
    with torch.no_grad(): loss = trainer.compute_loss(trainer.model, batch).item()
    answers = [len(tok(r["completion"][0]["content"] + tok.eos_token).input_ids) for r in rows]
    assert loss == pytest.approx(shared.sft_loss(shared.log_probabilities(load_model(tiny)[0], tok, rows),
                                                 answers),
                                 abs=1e-4), "rows in one sequence do not see each other"
    log = sft.fit_sft(rows, tiny, tmp_path/"model", lr=3e-3, epochs=3, batch=2, longest=512, packing=True)
    assert log[-1]["step"] == 3 * -(-sft.packed_sequences(shared.split_by_task(rows, .1, 0)[0], tok,
                                                          512) // 2)


def test_cosine_ends_at_its_minimum(rows, tiny, tmp_path):
    log = sft.fit_sft(rows[:24], tiny, tmp_path/"model", lr=1e-3, epochs=10, batch=8, min_lr=2e-4)
    rates = shared.curve(log, "learning_rate")[1]
    assert max(rates) == pytest.approx(1e-3, rel=.02) and rates[-1] == pytest.approx(2e-4,
        rel=.03) and min(rates[10:]) == rates[-1]


def test_stalled_validation_stops_the_run_and_resuming_does_not_forget(rows, tiny, tmp_path):
    how = dict(lr=1e-12, epochs=5, batch=8, patience=2)   # so small a rate that validation stands still
    log = sft.fit_sft(rows, tiny, tmp_path/"model", **how)
    steps, losses = shared.curve(log, "eval_loss")
    assert len(steps) == 4 and steps[-1] == steps[1] * 3 < 5 * 7 and len(
        set(losses)) == 1, "at the start, and three times without progress"
    class Stop(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            if state.global_step == steps[-2]: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        sft.fit_sft(rows, tiny, tmp_path/"again", **how, work=tmp_path/"work", callbacks=[Stop()])
    assert sft.fit_sft(rows, tiny, tmp_path/"again", **how, work=tmp_path/"work") == log


def test_fastest_quarter_takes_the_cheapest_of_different_passing_solutions():
    verified = [dict(task_id="t", prompt="p", solutions=list("abcdefghaa")),
                dict(task_id="u", prompt="p", solutions=["a", "b"])]
    measured = [dict(task_id="t", passing=[0, 1, 2, 3, 4, 5, 6, 7, 8], cost=[5, 9, 8, 1, 7, 6, 4, 3, 5, 0]),
                dict(task_id="u", passing=[1], cost=[None, 1])]
    assert [(r["task_id"], r["index"]) for r in sft.fastest_rows(verified, measured)] == [("t", 3),
        ("t", 7)], "8 different ones pass; solution 9 does not"
    assert len(sft.fastest_rows(verified, measured, .5)) == 4


def test_end_of_a_turn_stops_a_base_model_too(rows, tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path/"base")
    model, tok = load_model(folder)
    model.generation_config.eos_token_id = model.config.eos_token_id = 0
    model.save_pretrained(folder)
    sft.fit_sft(rows, folder, tmp_path/"model", **HOW | dict(epochs=1))
    assert AutoModelForCausalLM.from_pretrained(tmp_path/"model").generation_config.eos_token_id == [
        tok.convert_tokens_to_ids("<|im_end|>"), 0]
