"""Rows held out: how they are judged, whose weights are published, and when training ends early."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModelForCausalLM
from transformers import AutoModelForCausalLM

from orders_of import ROWS, base_files
from shared.specs import TrainingSpec
from worker.checkpoints import load_base
from worker.reporting import Silent
from worker.training import Place, train_adapter
from worker.training.examples import encode

#: Answers that the trained rows contradict: to learn those is to lose these.
UNSEEN = [{**row, "output": "river fox dog"} for row in ROWS[:3]]


def trained(base: Path, folder: Path, **values: Any) -> tuple[Any, Silent]:
    spec = TrainingSpec.model_validate(
        {"name": "a", "base_model": "b", "dataset": "d", "rank": 4, "learning_rate": 0.02,
         "batch_size": 5, "max_steps": 12, "warmup_ratio": 0, "schedule": "constant",
         "look_every": 2} | values
    )  # fmt: skip
    report = Silent()
    place = Place(base=base_files(base), dataset="d", out=folder / "o", checkpoints=folder / "c")
    model, tokenizer = load_base(place.base, "cpu", "fp32")
    made = train_adapter(
        model, tokenizer, ROWS[3:], spec, "alpaca-en", place, report, held_out=UNSEEN
    )
    return made, report


def looks(report: Silent) -> dict[int, float]:
    found = {step: values.get("eval_loss") for step, values in report.steps}
    return {step: loss for step, loss in found.items() if loss is not None}


@torch.no_grad()
def loss_of(base: Path, adapter: Path) -> float:
    """Nats a label on UNSEEN, by transformers and PEFT, row by row."""
    model: Any = AutoModelForCausalLM.from_pretrained(base)
    _, tokenizer = load_base(base_files(base), "cpu", "fp32")
    model = PeftModelForCausalLM.from_pretrained(model, str(adapter))
    total = labels = 0.0
    for example in encode(UNSEEN, tokenizer, "alpaca-en", 512).examples:
        wanted = torch.tensor([[-100] * example.answer + list(example.ids[example.answer :])])
        loss = model(input_ids=torch.tensor([example.ids]), labels=wanted).loss
        total += float(loss) * example.labels
        labels += example.labels
    return total / labels


def test_the_best_look_is_published_and_it_is_what_peft_computes(
    tiny_llama: Path, tmp_path: Path
) -> None:
    made, report = trained(tiny_llama, tmp_path)
    found = looks(report)
    assert list(found) == [2, 4, 6, 8, 10, 12]
    best = min(found, key=lambda step: found[step])
    assert best < 12
    assert (made.facts["best_step"], made.facts["held_out_loss"]) == (best, found[best])
    assert loss_of(tiny_llama, made.folder) == pytest.approx(found[best], rel=1e-4)


def test_patience_ends_a_training_that_gets_no_better(tiny_llama: Path, tmp_path: Path) -> None:
    made, report = trained(tiny_llama, tmp_path, max_steps=40, patience=2)
    assert made.facts["steps"] == made.facts["best_step"] + 4
    assert made.facts["steps"] < 40
    assert any("no gain in 2 looks" in line for line in report.lines)


def test_without_a_number_of_steps_there_are_ten_looks(tiny_llama: Path, tmp_path: Path) -> None:
    _, report = trained(tiny_llama, tmp_path, max_steps=20, look_every=0)
    assert len(looks(report)) == 10
