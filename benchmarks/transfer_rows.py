"""Lines of the study's results: one arm of one piece, with the values of every item."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from benchmarks.transfer_arms import Made
from benchmarks.transfer_tasks import OFF_TASK
from shared.evaluations import EvaluationPart
from shared.metrics import METRICS


class Named(Protocol):
    """What of a piece its lines say."""

    @property
    def key(self) -> str: ...
    @property
    def base(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def what(self) -> str: ...


def rows_of(
    piece: Named, metric: str, made: Mapping[str, Made], parts: Sequence[EvaluationPart]
) -> list[dict[str, Any]]:
    """One line an arm; arms of the same name but for a final #n are draws, and averaged."""
    by_arm: dict[str, list[EvaluationPart]] = {}
    for part in parts:
        by_arm.setdefault(part.arm.split("#")[0], []).append(part)
    first: dict[str, Made] = {}
    for name, each in made.items():
        first.setdefault(name.split("#")[0], each)
    return [_row(piece, name, first[name], metric, by_arm.get(name, [])) for name in first]


def values_row(
    piece: Named, arm: str, made: Made, values: Sequence[Mapping[str, float]], metric: str
) -> dict[str, Any]:
    """The line of an arm that no evaluation judged."""
    return _row(piece, arm, made, metric, []) | {"values": _columns([values], metric)}


def _row(
    piece: Named, arm: str, made: Made, metric: str, parts: Sequence[EvaluationPart]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "unit": piece.key, "stage": "donor" if piece.what == "donor" else "transfer",
        "base": piece.base, "task": piece.task, "seed": piece.seed, "arm": arm, "metric": metric,
        "minutes": made.minutes, "labels": made.labels, "why": made.why, "facts": made.facts,
    }  # fmt: skip
    for column, off in (("values", False), ("off", True)):
        draws = [
            [item.values for item in part.items]
            for part in parts
            if (part.benchmark == OFF_TASK) == off
        ]
        if draws:
            row[column] = _columns(draws, "bits_per_byte" if off else metric)
    return row


def _columns(draws: Sequence[Sequence[Mapping[str, float]]], metric: str) -> list[list[float]]:
    """[[value of each item], [weight of each item]] as the metric sums them, over all draws."""
    kind = METRICS[metric]
    weigh = kind.kind == "ratio"
    items = list(zip(*draws, strict=True))
    tops = [sum(each[kind.keys[0]] for each in item) / len(item) for item in items]
    weights = [item[0][kind.denominator] if weigh else 1.0 for item in items]
    return [tops, weights]
