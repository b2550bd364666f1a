"""An evaluation that was stopped, or whose checkpoint is damaged, goes on."""

from typing import Any

import pytest

from judged import CHOICES, FILES, adapters, order
from worker.evaluation import evaluate
from worker.reporting import Silent, Stopped

__all__ = ["adapters", "order"]


class StopAt(Silent):
    """Asks to stop once a phase has begun."""

    def __init__(self, phase: str) -> None:
        super().__init__()
        self.at = phase

    def phase(self, name: str) -> None:
        super().phase(name)
        self.stop = name == self.at


def test_a_stopped_evaluation_goes_on_from_its_finished_parts(order, adapters, monkeypatch):
    whole = evaluate(order(adapters=adapters, folder="whole"), Silent())
    report = StopAt("tell · poet-v1.5, plain")
    with pytest.raises(Stopped):
        evaluate(order(adapters=adapters, folder="a1"), report)
    step, saved = report.checkpoints[-1]
    assert step == 4
    assert not list(saved.parent.glob("*.tmp"))

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a finished part was scored again")

    monkeypatch.setattr("worker.evaluation.choice.score_all", never)
    again = Silent()
    resumed = evaluate(order(adapters=adapters, folder="a2", resume_from=saved), again)
    assert [part.items for part in resumed.parts] == [part.items for part in whole.parts]
    assert again.done == (33, 33, "items")


def test_parts_of_another_file_or_another_arithmetic_are_scored_again(order, monkeypatch):
    report = StopAt("text · base")
    with pytest.raises(Stopped):
        evaluate(order(folder="a1"), report)
    saved = report.checkpoints[-1][1]
    changed = FILES | {"quiz": [CHOICES[0] | {"answer": 2}, *CHOICES[1:]]}
    resumed = evaluate(order(changed, folder="a2", resume_from=saved), Silent())
    fresh = evaluate(order(changed, folder="a3"), Silent())
    assert [part.items for part in resumed.parts] == [part.items for part in fresh.parts]
    rounded = evaluate(order(folder="a4", resume_from=saved, precision="bf16"), Silent())
    assert {part.engine["dtype"] for part in rounded.parts} == {"bfloat16"}


def test_a_damaged_checkpoint_costs_time_not_the_job(order):
    report = StopAt("text · base")
    with pytest.raises(Stopped):
        evaluate(order(folder="a1"), report)
    saved = report.checkpoints[-1][1]
    (saved / "evaluation.json").write_text("{")
    again = Silent()
    result = evaluate(order(folder="a2", resume_from=saved), again)
    assert len(result.parts) == 3
    assert any("cannot be read" in line for line in again.lines)
