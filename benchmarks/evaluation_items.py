"""Items, few-shot prompts and adapters that the evaluation benchmarks share."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from shared.benchmarks import Item, read_benchmark
from worker.checkpoints import linear_targets, save_adapter


def items_of(data: Path, name: str, count: int) -> list[Any]:
    """The first items of a benchmark file of the data folder, e.g. understanding/sst2_en."""
    return list(read_benchmark(data / f"{name}.jsonl").items[:count])


def random_adapter(model: Any, folder: Path, seed: int, rank: int = 16) -> Path:
    """A LoRA folder on every linear module, both factors random, of the effect of a trained one.

    B's entries are such that an update is some two hundredths of its input's size.
    """
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=linear_targets(model), task_type="CAUSAL_LM"
    )
    adapted: Any = get_peft_model(model, config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                spread = weight.shape[1] ** -0.5 if "lora_A" in name else 0.01
                noise = torch.randn(weight.shape, generator=generator) * spread
                weight.copy_(noise)
    save_adapter(adapted, folder, base="benchmark")
    adapted.unload()
    return folder


def with_shots(items: Sequence[Item], shots: Sequence[Item], answers: Sequence[str]) -> list[Any]:
    """Every item after the same solved examples, as few-shot prompting puts them."""
    opening = "".join(
        f"{shot.prompt.rstrip()} {answer.strip()}\n\n"  # pyright: ignore[reportAttributeAccessIssue]
        for shot, answer in zip(shots, answers, strict=True)
    )
    return [
        item.model_copy(update={"prompt": opening + item.prompt})  # pyright: ignore[reportAttributeAccessIssue]
        for item in items
    ]


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """JSON lines."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return path
