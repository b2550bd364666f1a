"""Preferences: the loss by hand, the base as its own reference, and what is refused."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from orders_of import ROWS, base_files
from shared.errors import InvalidSpec
from shared.formats import Preference, Text, asking
from shared.specs import TrainingSpec
from tiny_bases import write_adapter
from worker.checkpoints import load_base
from worker.reporting import Silent
from worker.training import Place, train_adapter
from worker.training.adapted import Adapted
from worker.training.batches import collate, pack
from worker.training.examples import Example
from worker.training.learner import Learner
from worker.training.objectives import dpo

PAIRS = [
    Preference(asking(row["instruction"], row["input"]).asked, row["output"], "None at all, sorry.")
    for row in ROWS[:4]
]
#: Two pairs: chosen, rejected, chosen, rejected.
EXAMPLES = [
    Example.answering(tuple(range(10, 31)), 8),
    Example.answering(tuple(range(10, 24)), 8),
    Example.answering(tuple(range(40, 47)), 3),
    Example.answering((40, 41, 42, 60, 61), 3),
]


def answer_of(model: Any, example: Example) -> float:
    """log p(answer | prompt), in fp64, from the model's own logits."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([example.ids])).logits[0].double()
    places = range(example.answer - 1, len(example.ids) - 1)
    return sum(float(logits[at].log_softmax(-1)[example.ids[at + 1]]) for at in places)


@pytest.mark.parametrize("packing", [False, True])
def test_the_loss_is_the_papers_by_hand(packing: bool, tiny_llama: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tiny_llama, tmp_path / "a")
    base: Any = AutoModelForCausalLM.from_pretrained(tiny_llama)
    before = [answer_of(base, each) for each in EXAMPLES]
    model = PeftModel.from_pretrained(base, str(adapter), is_trainable=True).eval()
    after = [answer_of(model, each) for each in EXAMPLES]
    margins = [0.3 * ((after[at] - before[at]) - (after[at + 1] - before[at + 1])) for at in (0, 2)]
    wanted = sum(math.log1p(math.exp(-margin)) for margin in margins)
    adapted = Adapted.of(model)
    learner = Learner.of(adapted, longest=21)
    batch = pack(EXAMPLES, "cpu") if packing else collate(EXAMPLES, 0, "cpu")
    loss, pairs, sums = dpo(0.3)(learner, batch)
    assert pairs == 2
    assert loss.item() == pytest.approx(wanted, rel=1e-4)
    assert sums["margin"] == pytest.approx(sum(margins), rel=1e-3)
    assert sums["preferred"] == sum(margin > 0 for margin in margins)
    loss.backward()
    assert all(layer.b.grad is not None for layer in adapted.layers.values())


def trained(base: Path, folder: Path, rows: list[Any], **values: Any) -> tuple[Any, Silent]:
    spec = TrainingSpec.model_validate(
        {"name": "a", "base_model": "b", "dataset": "d", "rank": 4, "learning_rate": 0.01,
         "max_steps": 8, "batch_size": 2} | values
    )  # fmt: skip
    report = Silent()
    place = Place(base=base_files(base), dataset="d", out=folder / "o", checkpoints=folder / "c")
    model, tokenizer = load_base(place.base, "cpu", "fp32")
    return train_adapter(model, tokenizer, rows, spec, "alpaca-en", place, report), report


def test_preferences_are_learned_by_dpo_without_being_told(
    tiny_llama: Path, tmp_path: Path
) -> None:
    made, report = trained(tiny_llama, tmp_path, PAIRS)
    first, last = report.steps[0][1], report.steps[-1][1]
    assert made.facts["objective"] == "dpo"
    assert first["loss"] == pytest.approx(math.log(2), rel=1e-5)
    assert last["loss"] < 0.6
    assert (last["preferred"], last["margin"] > 0) == (1.0, True)


def test_dpo_without_preferences_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="only 0 / 10 rows hold a chosen and a rejected"):
        trained(tiny_llama, tmp_path, ROWS, objective="dpo")


def test_sft_on_preferences_learns_the_chosen_answers(tiny_llama: Path, tmp_path: Path) -> None:
    chosen = [pair.pair[0] for pair in PAIRS]
    one, _ = trained(tiny_llama, tmp_path / "1", PAIRS, objective="sft", max_steps=2)
    other, _ = trained(tiny_llama, tmp_path / "2", chosen, max_steps=2)
    assert one.facts["trained_tokens"] == other.facts["trained_tokens"]
    assert one.facts["final_loss"] == other.facts["final_loss"]


def test_pretraining_learns_every_token_but_the_first(tiny_llama: Path, tmp_path: Path) -> None:
    made, _ = trained(
        tiny_llama, tmp_path, [Text("the river runs to the sea")] * 4, batch_size=4, max_steps=3
    )
    assert made.facts["trained_tokens"] == made.facts["tokens"] - 4 * 3
    rows, _ = trained(tiny_llama, tmp_path / "rows", ROWS[:4], objective="pretrain", max_steps=2)
    assert rows.facts["trained_tokens"] == rows.facts["tokens"] - 2 * 2
