"""Tokens per second of the engines on this machine, and what a real code model scores through them.

    python benchmarks/sampling.py [--quick] [--models DIR] [--data DIR] [--parts speed distribution quality]

`--models` (or CODEDPO_MODELS) is a folder with models of Hugging Face, each in a folder of its name:
`smollm2-135m`, `qwen-coder-0.5b`; what is absent is left out with a word. The scale model is made here with
random weights, for speed does not depend on what it has learnt.

*speed*: `generate` of transformers, with the model as the library loads it, and CTranslate2 (int8) write
the same number of tokens from the same prompts in turns, on all cores, at several batch sizes. Where the
processor has no units for bfloat16, which most models are saved in, `generate` in float32 does so as well,
for this project's own engine loads them like that there. *distribution*: first tokens of many answers of
both, by chi-square, and their mean log-probability under the model. *quality*: greedy answers of the 0.5 B
model to HumanEval and MBPP with EvalPlus's chat prompt, judged here with base and plus tests; in a journal
below --work, so that it goes on where it stopped.

The last line is one JSON object: `ct2_vs_generate` by model (at the batch where each is quickest),
`tokens_per_s` by model and engine, `humaneval`, `humaneval_plus`, `mbpp`, `mbpp_plus` in percent. A figure
that was not asked for is null."""
import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from sandbox import table

EXAMS = "humaneval+ mbpp+".split()
PARTS = "speed distribution quality".split()
KEYS = """ct2_vs_generate tokens_per_s chi_square_p log_probability
    humaneval humaneval_plus mbpp mbpp_plus""".split()


def scale_model(folder):
    "The scale model's shape with random weights, saved."
    from codedpo_nb.world.corpus import corpus
    from codedpo_nb.world.model import fresh_model, save_model, train_tokenizer
    from codedpo_nb.world.tasks import task_space
    docs = list(corpus(task_space(0)["train"], 2000, 0))
    tokenizer = train_tokenizer([d["prompt"] + "\n" + d["answer"] for d in docs], 1024)
    save_model(fresh_model(tokenizer, 192, 3, 0), tokenizer, folder)
    return folder


def prompts_of(count):
    asked = ["Write a Python function that adds two numbers.",
             "Write a function that counts the words of a text.",
             "Write a function that reverses a list in place.",
             "Write a function that merges two sorted lists."]
    return [asked[i % 4] for i in range(count)]


def rate(engine, batch, length):
    "Tokens per second of one call that writes exactly `length` tokens for each of `batch` prompts."
    import torch

    from codedpo_nb.world.model import token_ids
    texts = engine.texts(prompts_of(batch))
    start = time.perf_counter()
    if engine.name == "ctranslate2":
        rows = [engine.tokenizer.convert_ids_to_tokens(ids) for ids in token_ids(engine.tokenizer, texts)]
        engine.write(rows, 1, 1.0, length, 0, shortest=length)
    else:
        rows = token_ids(engine.tokenizer, texts)
        width = max(map(len, rows))
        ids = torch.tensor([[0] * (width - len(r)) + r for r in rows])
        mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows])
        with torch.no_grad():
            engine.model.generate(input_ids=ids, attention_mask=mask, do_sample=True, top_k=0, pad_token_id=0,
                                  min_new_tokens=length, max_new_tokens=length)
    return batch * length / (time.perf_counter() - start)


def plain(folder):
    "The model as transformers loads it by itself, with the numbers that it was saved in."
    from transformers import AutoModelForCausalLM

    from codedpo_nb.world.engines import Transformers
    from codedpo_nb.world.model import load_tokenizer
    return Transformers(AutoModelForCausalLM.from_pretrained(folder).eval(), load_tokenizer(folder))


def speed(models, out, quick):
    from codedpo_nb.world.engines import open_engine
    out["tokens_per_s"], out["ct2_vs_generate"], lines = {}, {}, []
    for name, folder in models.items():
        best = {}
        engines = dict(generate=plain(folder))
        ours = open_engine(folder, "transformers")
        if ours.model.dtype != engines["generate"].model.dtype: engines["float32"] = ours
        engines["ctranslate2"] = open_engine(folder, "ctranslate2")
        for batch in (1, 8, 64, 256):
            # large batches of large models take `generate` half an hour where it converts every number
            if batch == 256 and name != "scale" or batch == 64 and name == "qwen-coder-0.5b": continue
            length = 16 if quick else 32
            found = {}
            for what, engine in engines.items():
                rate(engine, batch, 4)   # warm
                found[what] = max(rate(engine, batch, length) for _ in range(1 if quick or batch > 8 else 2))
                best[what] = max(best.get(what, 0), found[what])
            print(name, batch, {what: round(each, 1) for what, each in found.items()}, flush=True)
            lines.append((name, batch, *(f"{found[w]:.0f}" if w in found else ""
                                         for w in ("generate", "float32", "ctranslate2")),
                          f"{found['ctranslate2'] / found['generate']:.1f}",
                          f"{found['ctranslate2'] / found['float32']:.1f}" if "float32" in found else ""))
        engines["ctranslate2"].close()
        out["tokens_per_s"][name] = {what: round(value, 1) for what, value in best.items()}
        out["ct2_vs_generate"][name] = round(best["ctranslate2"] / best["generate"], 2)
    table([("model", "batch", "generate, tokens/s", "in float32", "CTranslate2 int8, tokens/s",
            "times generate", "times float32"), *lines])


def distribution(folder, out, draws):
    "First tokens of both engines, and how likely the model itself finds what each has written."
    import torch
    from scipy.stats import chi2_contingency

    from codedpo_nb.world.engines import open_engine
    from codedpo_nb.world.model import answer_logits, token_ids
    from codedpo_nb.world.sampling import sample
    plain = open_engine(folder, "transformers")
    quick = open_engine(folder, "ctranslate2")
    said = {e.name: sample(e, prompts_of(4), n=draws, temperature=1.0, longest=12, batch=256)
            for e in (plain, quick)}
    counts, levels = {}, {}
    for name, rows in said.items():
        counts[name], asked, texts = {}, [], []
        for text, row in zip(plain.texts(prompts_of(4)), rows, strict=True):
            [ids] = token_ids(plain.tokenizer, [text])
            for a in row:
                answer = plain.tokenizer([a], add_special_tokens=False).input_ids[0]
                if not answer: continue
                counts[name][answer[0]] = counts[name].get(answer[0], 0) + 1
                texts.append(ids + answer)
                asked.append(len(ids))
        scores = [torch.log_softmax(logits.float(), -1)[range(len(t)), t].mean().item()
                  for _, logits, t in answer_logits(plain.model, texts, asked, 16)]
        levels[name] = (sum(scores) / len(scores),
                        (sum((s - sum(scores) / len(scores)) ** 2 for s in scores) / len(scores) ** 2) ** .5)
    common = [t for t in counts["transformers"] if counts["transformers"][t]
              + counts["ctranslate2"].get(t, 0) >= 10]
    rest = {n: sum(c.values()) - sum(c.get(t, 0) for t in common) for n, c in counts.items()}
    grid = [[c.get(t, 0) for t in common] + [rest[n]] for n, c in counts.items()]
    grid = list(zip(*[column for column in zip(*grid, strict=True) if sum(column)], strict=True))
    out["chi_square_p"] = round(float(chi2_contingency(grid).pvalue), 4)
    out["log_probability"] = {n: [round(level, 4), round(error, 4)] for n, (level, error) in levels.items()}
    table([("engine", "answers", "mean log-probability of a token", "standard error"),
           *((n, sum(counts[n].values()), f"{level:.4f}", f"{error:.4f}") for n,
             (level, error) in levels.items())])
    print(f"first tokens, chi-square over {len(common) + 1} kinds: p = {out['chi_square_p']}\n")


def quality(folder, data, work, out, most, exams):
    "Greedy answers of a chat model, judged."
    from codedpo_nb import benchmarks, suites
    from codedpo_nb.running.records import Journal, digest
    from codedpo_nb.statistics import wilson
    from codedpo_nb.world.engines import open_engine
    from codedpo_nb.world.instruct import exam_code, exam_texts
    from codedpo_nb.world.sampling import sample
    lines = []
    with (open_engine(folder, "ctranslate2", template=False, stop="```") as engine,   # the block's end
          suites.Court() as court):
        talk = engine.tokenizer.__class__.from_pretrained(folder)
        for name in exams:
            key = name.rstrip("+")
            problems = benchmarks.load(name, data)[:most]
            texts = exam_texts(talk, problems)
            with Journal(Path(work)/f"{key}.journal.jsonl", [digest(folder), most]) as journal:
                size = 32 if key == "humaneval" else 128   # of a batch, which its longest answer holds up
                said = sample(engine, texts, temperature=0, longest=768, batch=size, purpose=key,
                              journal=journal)
            codes = [exam_code(row[0], p["entry_point"]) for row, p in zip(said, problems, strict=True)]
            truth = suites.ground_truth(problems, court)
            found = suites.judge_plus(problems, codes, court, "solution", truth)
            base, plus = (sum(pair[i] == "pass" for pair in found) for i in (0, 1))
            both = sum(pair == ("pass", "pass") or list(pair) == ["pass", "pass"] for pair in found)
            out[key], out[f"{key}_plus"] = (round(100 * base / len(problems), 1),
                                            round(100 * both / len(problems), 1))
            for what, right in (("base", base), ("base and plus", both)):
                rate_, low, high = wilson(right, len(problems))
                lines.append((name, what, len(problems), f"{100 * rate_:.1f}",
                              f"{100 * low:.1f} to {100 * high:.1f}"))
    table([("benchmark", "tests", "problems", "pass@1, %", "95 % interval"), *lines])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="within two minutes")
    parser.add_argument("--models", type=Path, default=os.environ.get("CODEDPO_MODELS"))
    parser.add_argument("--data", type=Path, default=os.environ.get("CODEDPO_DATA"))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir())/"codedpo_sampling")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--exams", nargs="+", choices=EXAMS, default=EXAMS)
    args, out = parser.parse_args(), dict.fromkeys(KEYS)
    args.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        models = dict(scale=scale_model(home))
        for name in ("smollm2-135m", "qwen-coder-0.5b"):
            if args.models and (Path(args.models)/name).is_dir(): models[name] = Path(args.models)/name
            else: print(f"{name} is not there, so it was left out; name the folder of models with --models")
        if "speed" in args.parts: speed(models, out, args.quick)
        if "distribution" in args.parts:
            distribution(models.get("smollm2-135m", models["scale"]), out, 16 if args.quick else 128)
        if "quality" in args.parts and "qwen-coder-0.5b" in models:
            quality(models["qwen-coder-0.5b"], args.data, args.work, out,
                    8 if args.quick else None, args.exams)
    print(json.dumps(out))


if __name__ == "__main__": main()
