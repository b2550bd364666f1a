"""Every published recipe for twenty steps: its own data format, on small real bases.

`python -m benchmarks.recipes --models DIR --data DIR` writes each recipe's format from the data
folder's files, trains through the engine with the recipe's values, and loads what was published
into a fresh base. Adapted to the small bases and a CPU: target modules to the base's names, batches
and lengths capped, no warm-up over thousands of steps. RWKV has no small real base there, so a
random one reads with the LLaMA base's tokenizer.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click
import torch
from peft import PeftModel
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer, RwkvConfig, RwkvForCausalLM

from benchmarks.report import result, show
from shared.formats import detect, read_rows
from shared.formats.reading import usable
from shared.orders import BaseFiles, DataFile, WorkOrder
from shared.specs import TrainingSpec
from shared.specs.recipes import RECIPES
from worker.checkpoints import probe_logits
from worker.reporting import Silent
from worker.training import train
from worker.training.examples import Example, encode

STEPS = 20
#: Rows of a file, rows of a step, tokens of a row.
ROWS, BATCH, LENGTH = 200, 4, 128
#: Rows whose loss is taken before and after, the same for both.
LOOKED_AT = 40
#: Recipe -> the base that stands for its own.
BASES = {
    "alpaca-lora-7b": "llama-23m", "chatglm-tuning": "glm-12m", "chinese-vicuna": "llama-23m",
    "belle-lora": "llama-23m", "ptuning-v2": "glm-12m", "rwkv-lora": "rwkv-random",
}  # fmt: skip
#: A recipe's module -> what a base of another family calls it.
NAMES = {"query_key_value": ["q_proj", "k_proj", "v_proj"]}


def rows_for(name: str, data: Path) -> Iterator[dict[str, Any]]:
    """Rows in the recipe's own format, from the data folder's files."""
    instruct = data / "instruct"
    if name == "alpaca-lora-7b":
        yield from _good(instruct / "alpaca_en.json")
    elif name == "chinese-vicuna":
        yield from _good(instruct / "chinese_vicuna_instruct_sample.jsonl")
        yield from _good(instruct / "alpaca_zh.json")
    elif name == "chatglm-tuning":
        for row in _good(instruct / "alpaca_zh.json"):
            asked = f"Instruction: {row['instruction']}\n"
            asked += f"Input: {row['input']}\n" if row.get("input") else ""
            yield {"context": f"{asked}Answer: ", "target": row["output"]}
    elif name == "belle-lora":
        for number, row in enumerate(_good(instruct / "oasst_zh.json")):
            said = [row["instruction"], row["output"]]
            turns = [
                {"from": who, "value": text}
                for who, text in zip(("human", "assistant"), said, strict=True)
            ]
            yield {"id": str(number), "conversations": turns}
    elif name == "ptuning-v2":
        for row in _lines(data / "summarisation" / "csl_zh.jsonl"):
            yield {"content": row["prompt"].split("\n\n", 1)[-1], "summary": row["references"][0]}
    else:
        for row in _lines(data / "continuation" / "tech_zh.jsonl"):
            yield {"text": row["context"] + row["continuation"]}


def _good(path: Path) -> Iterator[dict[str, Any]]:
    return (value for value in usable(path) if value is not None)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def random_rwkv(folder: Path, tokenizer: Path) -> Path:
    """A random RWKV-4 of about the LLaMA base's size, with that base's tokenizer."""
    read_by = AutoTokenizer.from_pretrained(tokenizer)
    torch.manual_seed(0)
    config = RwkvConfig(
        vocab_size=len(read_by), hidden_size=256, num_hidden_layers=4, context_length=512,
        bos_token_id=read_by.bos_token_id, eos_token_id=read_by.eos_token_id,
    )  # fmt: skip
    RwkvForCausalLM(config).save_pretrained(folder)
    read_by.save_pretrained(folder)
    return folder


def spec_for(name: str, base: str, steps: int) -> TrainingSpec:
    """The recipe's values, brought down to a small base and a CPU."""
    values = dict(RECIPES[name].values)
    targets = [new for old in values.get("target_modules", []) for new in NAMES.get(old, [old])]
    values |= {
        "target_modules": targets, "max_steps": steps, "epochs": 1.0,
        "batch_size": min(BATCH, values["batch_size"]), "micro_batch_size": 0,
        "max_length": min(LENGTH, values["max_length"]),
        "warmup_ratio": 0.0, "checkpoint_every": 10_000,
    }  # fmt: skip
    return TrainingSpec.model_validate(
        {"name": name, "base_model": base, "dataset": RECIPES[name].format} | values
    )


def reloaded(
    base: Path, adapter: Path, examples: Sequence[Example], device: str
) -> tuple[float, float, float]:
    """Plain PEFT with the published folder on a fresh base: how far it moves the logits, and the
    loss of the same rows without and with it, nats a trained token.
    """
    loaded: Any = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
    model = loaded.to(device)
    if device == "cpu":
        model = model.float()
    without, before = probe_logits(model), mean_loss(model, examples)
    adapted = PeftModel.from_pretrained(model, str(adapter)).eval()
    change = float((probe_logits(adapted) - without).abs().max())
    return change, before, mean_loss(adapted, examples)


@torch.no_grad()
def mean_loss(model: Any, examples: Sequence[Example]) -> float:
    """Mean cross-entropy of the examples' trained tokens."""
    total, count = 0.0, 0
    for example in examples:
        ids = torch.tensor([example.ids], device=model.device)
        logits = model(input_ids=ids).logits[0, :-1].float()
        for begin, end in example.trained:
            part = functional.cross_entropy(
                logits[begin - 1 : end - 1], ids[0, begin:end], reduction="sum"
            )
            total, count = total + float(part), count + end - begin
    return total / count


def measure(name: str, base: Path, data: Path, steps: int, device: str) -> dict[str, Any]:
    """One recipe's row of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "rows.jsonl"
        rows = list(islice(rows_for(name, data), ROWS))
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        file.write_text(text, encoding="utf-8")
        found = detect(file).name
        files = BaseFiles(name=base.name, location=str(base), fingerprint=base.name)
        order = WorkOrder(
            job_id=name, epoch=1, spec=spec_for(name, base.name, steps), base=files, device=device,
            dataset=DataFile(name=found, path=file, sha256=""), folder=Path(scratch) / "job",
        )  # fmt: skip
        made = train(order, Silent())
        tokenizer, spec = AutoTokenizer.from_pretrained(base), spec_for(name, base.name, steps)
        examples = encode(read_rows(file), tokenizer, spec.template, spec.max_length).examples
        again, before, after = reloaded(base, made.folder, examples[:LOOKED_AT], device)
        said = made.facts["logit_change"]
        return {
            "recipe": name, "base": base.name, "format": found, "rows": made.facts["rows"],
            "trained tokens": made.facts["trained_tokens"], "loss before": before,
            "loss after": after,
            "logits moved": said,
            "reload equal": abs(again - said) <= 1e-3 * said,
        }  # fmt: skip


@click.command()
@click.option("--models", type=click.Path(path_type=Path), default=Path("../shared/models"))
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--device", default="cpu")
@click.option("--only", help="One recipe.")
@click.option("--quick", is_flag=True, help="Six steps each.")
@click.option("--json", "as_json", is_flag=True)
def main(
    models: Path, data: Path, device: str, only: str | None, quick: bool, as_json: bool
) -> None:
    """Train every recipe and print what came of it."""
    steps = 6 if quick else STEPS
    with tempfile.TemporaryDirectory() as scratch:
        rwkv = random_rwkv(Path(scratch) / "rwkv-random", models / "llama-23m")
        table: list[dict[str, Any]] = []
        for name, base in BASES.items():
            if only in (None, name):
                folder = rwkv if base == rwkv.name else models / base
                table.append(measure(name, folder, data, steps, device))
                print(f"{name}: done", file=sys.stderr)
    show(f"recipes, {steps} steps each", table, as_json=as_json)
    equal = sum(row["reload equal"] for row in table)
    fell = sum(row["loss after"] < row["loss before"] for row in table)
    result(recipes=len(table), loss_fell=fell, reload_equal=equal)


if __name__ == "__main__":
    main()
