"""One side of the CPU comparison: some optimiser steps over Alpaca rows, timed step by step."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import DataCollatorForSeq2Seq, Trainer, TrainerCallback, TrainingArguments

from shared.orders import BaseFiles
from shared.specs import TrainingSpec
from worker.checkpoints import linear_targets, load_base
from worker.reporting import Silent
from worker.training import Place, train_adapter
from worker.training.examples import encode

RANK, BATCH, LENGTH, RATE = 16, 16, 512, 1e-3
TEMPLATE = "alpaca-en"


def measure_rows(side: str, models: Path, data: Path, steps: int) -> dict[str, Any]:
    """Train `steps` steps of one epoch; real tokens a second from the first step to the last."""
    torch.set_num_threads(1)
    folder = models / "llama-23m"
    base = BaseFiles(name="llama-23m", location=str(folder), fingerprint="f")
    rows = json.loads((data / "instruct" / "alpaca_en.json").read_text(encoding="utf-8"))
    rows = rows[: BATCH * steps]
    model, tokenizer = load_base(base, "cpu", "fp32")
    with tempfile.TemporaryDirectory() as work:
        if side == "ours":
            seconds, losses = _ours(model, tokenizer, rows, Path(work))
        else:
            order = "group_by_length" if side == "grouped" else "random"
            seconds, losses = _peer(model, tokenizer, rows, Path(work), order)
    names = {"ours": "Graft", "grouped": "Trainer + PEFT, grouped by length"}
    examples = encode(rows, tokenizer, TEMPLATE, LENGTH).examples
    tokens = sum(len(example.ids) for example in examples)
    return {
        "side": names.get(side, "transformers Trainer + PEFT"),
        "steps": steps,
        "rows": len(rows),
        "tokens": tokens,
        "seconds": seconds,
        "tok/s": tokens / seconds,
        "mean loss": sum(losses) / len(losses),
    }


class _Timed(Silent):
    """When the first step began, and its losses."""

    began: float | None = None
    ended = 0.0

    def stop_requested(self) -> bool:
        self.began = self.began or time.process_time()
        return False

    def metrics(self, step: int, values: dict[str, float]) -> None:
        super().metrics(step, values)
        self.ended = time.process_time()


def _ours(model: Any, tokenizer: Any, rows: list[Any], work: Path) -> tuple[float, list[float]]:
    spec = TrainingSpec(
        name="a", base_model="b", dataset="d", rank=RANK, alpha=2.0 * RANK, batch_size=BATCH,
        epochs=1, max_length=LENGTH, learning_rate=RATE, schedule="constant", warmup_ratio=0,
        checkpoint_every=1_000_000,
    )  # fmt: skip
    base = BaseFiles(name="base", location="", fingerprint="")
    place = Place(base=base, dataset="d", out=work / "out", checkpoints=work / "checkpoints")
    report = _Timed()
    train_adapter(model, tokenizer, rows, spec, TEMPLATE, place, report)
    assert report.began is not None
    return report.ended - report.began, [values["loss"] for _, values in report.steps]


class _Clock(TrainerCallback):
    """When the peer's first step began and its last one ended."""

    began: float | None = None
    ended = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.began = self.began or time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.ended = time.process_time()


def _peer(
    model: Any, tokenizer: Any, rows: list[Any], work: Path, order: str
) -> tuple[float, list[float]]:
    data = [
        {
            "input_ids": list(example.ids),
            "attention_mask": [1] * len(example.ids),
            "labels": [-100] * example.answer + list(example.ids[example.answer :]),
        }
        for example in encode(rows, tokenizer, TEMPLATE, LENGTH).examples
    ]
    lora = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules=linear_targets(model), task_type="CAUSAL_LM"
    )
    arguments = TrainingArguments(
        output_dir=str(work), per_device_train_batch_size=BATCH, num_train_epochs=1,
        learning_rate=RATE, lr_scheduler_type="constant", logging_steps=1, save_strategy="no",
        report_to=[], use_cpu=True, disable_tqdm=True, train_sampling_strategy=order,
    )  # fmt: skip
    clock = _Clock()
    trainer = Trainer(
        get_peft_model(model, lora), arguments, DataCollatorForSeq2Seq(tokenizer), data,  # pyright: ignore[reportArgumentType]
        callbacks=[clock],
    )  # fmt: skip
    trainer.train()
    assert clock.began is not None
    losses = [each["loss"] for each in trainer.state.log_history if "loss" in each]
    return clock.ended - clock.began, losses
