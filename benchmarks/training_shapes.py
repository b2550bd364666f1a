"""One side of the GPU comparison: optimiser steps on random weights of a known shape, timed."""

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig

from shared.specs import TrainingSpec
from worker.checkpoints import linear_targets
from worker.reporting import Silent
from worker.training.adapted import Adapted
from worker.training.adapter import fresh_adapter
from worker.training.batches import Example
from worker.training.compiling import compiled
from worker.training.course import Course
from worker.training.float8_base import in_float8
from worker.training.learner import Learner
from worker.training.loop import optimiser_of
from worker.training.objectives import sft
from worker.training.resuming import Standing, State
from worker.training.stepping import step

RANK = 16
NAMES = {
    "peer": "transformers + PEFT",
    "ours": "Graft",
    "compiled": "Graft, layers compiled",
    "fp8": "Graft, compiled, base in FP8",
}


@dataclass(frozen=True)
class Shape:
    """A model's shape, and the rows of a step: how many and from how long to how long."""

    config: dict[str, Any]
    rows: int
    shortest: int
    longest: int


def _llama(width: int, inner: int, layers: int, heads: int, kv: int, words: int) -> dict[str, Any]:
    return {
        "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv, "vocab_size": words,
    }  # fmt: skip


SHAPES = {
    "7b": Shape(_llama(4096, 11008, 32, 32, 32, 32000), 4, 2048, 2048),
    "1b": Shape(_llama(2048, 5632, 22, 32, 4, 32000), 8, 2048, 2048),
    "23m": Shape(_llama(448, 1216, 7, 7, 7, 12288), 32, 30, 250),
    "tiny": Shape(_llama(64, 160, 2, 4, 2, 384), 4, 10, 40),
}


def measure(side: str, shape: str, device: str, fewer: int = 1) -> dict[str, Any]:
    """Median of a few steps after warm-up; real tokens a step, padding is not counted.

    `fewer`: a step takes that part of the shape's rows.
    """
    form = SHAPES[shape]
    began = time.perf_counter()
    torch.manual_seed(0)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with torch.device(device):
        model: Any = AutoModelForCausalLM.from_config(LlamaConfig(**form.config), dtype=dtype)
    model = model.eval().requires_grad_(False)
    draw = random.Random(0)
    lengths = [draw.randint(form.shortest, form.longest) for _ in range(max(1, form.rows // fewer))]
    words = form.config["vocab_size"]
    # One token more than is read: the last is only predicted.
    rows = [tuple(draw.randrange(words) for _ in range(length + 1)) for length in lengths]
    adapted: Adapted | None = None
    if side == "peer":
        one = _peer(model, rows)
    else:
        adapted, one = _ours(model, rows)
    with (
        in_float8(adapted, Silent(), wanted=side == "fp8"),
        compiled(model, wanted=side in ("compiled", "fp8")),
    ):
        loss = [one() for _ in range(3)][-1]
        loaded = time.perf_counter() - began
        times = [_timed(one, device) for _ in range(6)]
    seconds = statistics.median(times)
    peak = torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else 0.0
    return {
        "side": NAMES[side],
        "tokens": sum(lengths),
        "step ms": seconds * 1000,
        "tok/s": sum(lengths) / seconds,
        "peak GB": peak,
        "until warm s": loaded,
        "loss": loss,
    }


def _timed(one: Callable[[], float], device: str) -> float:
    began = time.perf_counter()
    one()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _ours(model: Any, rows: list[tuple[int, ...]]) -> tuple[Adapted, Callable[[], float]]:
    spec = TrainingSpec(
        name="a", base_model="b", dataset="d", rank=RANK, alpha=2.0 * RANK, batch_size=len(rows)
    )
    adapted = fresh_adapter(model, spec, "random")
    assert isinstance(adapted, Adapted)
    learner = Learner.of(adapted, max(len(row) for row in rows))
    course = Course(
        lessons=[(Example.answering(row, 1),) for row in rows], objective=sft, parameters=spec,
        padding=0, micro_batch=len(rows), checkpoint_every=1_000_000, checkpoints=Path(),
        resume_from=None, identity={},
    )  # fmt: skip
    weights = {name: each for name, each in adapted.named_parameters() if each.requires_grad}
    state = State(weights, {}, optimiser_of(weights, course), {})
    standing = Standing()
    adapted.train()
    numbers = list(range(len(rows)))
    rate = spec.learning_rate
    return adapted, lambda: step(learner, course, state, numbers, rate, standing)["loss"]


def _peer(model: Any, rows: list[tuple[int, ...]]) -> Callable[[], float]:
    targets = linear_targets(model)
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=targets, task_type="CAUSAL_LM")
    adapted: Any = get_peft_model(model, lora)
    adapted.train()
    weights = [each for each in adapted.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=2e-4, weight_decay=0.0, fused=True)
    longest = max(len(row) for row in rows) - 1
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full((len(rows), longest), -100)
    seen = torch.zeros(len(rows), longest, dtype=torch.long)
    for number, row in enumerate(rows):
        size = len(row) - 1
        ids[number, :size] = torch.tensor(row[:-1])
        labels[number, :size] = torch.tensor(row[1:])
        seen[number, :size] = 1
    inputs: dict[str, Any] = {"input_ids": ids, "shift_labels": labels, "labels": labels}
    if not bool(seen.all()):
        inputs["attention_mask"] = seen
    inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}

    # As Trainer does with bf16=True; without it PEFT's factors and their products are in fp32.
    faster = torch.autocast("cuda", torch.bfloat16, enabled=model.device.type == "cuda")

    def one() -> float:
        with faster:
            loss = adapted(**inputs, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return float(loss.detach())

    return one
