"""Predicted memory counts what a job really holds."""

from dataclasses import dataclass

import pytest

from shared.memory import CONTEXT, SLACK, predict
from shared.specs import ChatSpec, EvaluationSpec, TrainingSpec


@dataclass(frozen=True)
class Base:
    """A LLaMA-2-7B in numbers."""

    parameters: int = 6_738_415_616
    layers: int = 32
    hidden_size: int = 4096
    vocabulary: int = 32_000


def training(**values: object) -> TrainingSpec:
    given = {"name": "a", "base_model": "b", "dataset": "d", "micro_batch_size": 1}
    return TrainingSpec.model_validate(given | values)


def gib(size: int) -> float:
    return size / 1024


def test_full_fine_tuning_holds_twenty_bytes_a_weight_and_more_with_rows_held_out() -> None:
    weights = Base.parameters * SLACK / 2**30
    plain = gib(predict(training(tuning="full", objective="sft"), Base()))
    assert 20 * weights < plain < 22 * weights
    kept = gib(predict(training(tuning="full", objective="sft", held_out=0.1), Base()))
    assert kept - plain == pytest.approx(4 * weights, rel=0.01)
    assert gib(predict(training(), Base())) < plain / 5


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_layers_that_run_twice_keep_little(tuning: str) -> None:
    values = {"tuning": tuning, "micro_batch_size": 16, "max_length": 2048, "objective": "sft"}
    once = gib(predict(training(**values), Base()))
    twice = gib(predict(training(**values, recompute="on"), Base()))
    weights = gib(predict(training(**values | {"micro_batch_size": 1, "max_length": 8}), Base()))
    assert twice - weights < (once - weights) / 4


@pytest.mark.parametrize("spec", [
    EvaluationSpec(name="e", base_model="b", adapters=["x"], benchmarks=["q"]),
    ChatSpec(name="c", base_model="b", adapters=["x"]),
])  # fmt: skip
def test_an_arm_that_is_a_whole_model_counts_as_another_base(
    spec: EvaluationSpec | ChatSpec,
) -> None:
    more = predict(spec, Base(), 2) - predict(spec, Base())
    assert more == pytest.approx(2 * 2 * Base.parameters * SLACK / 2**20, abs=2)
    assert predict(spec, Base()) > CONTEXT
