"""What a shape of benchmark asks of a model: items become requests once, then run for every arm."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.benchmarks import BenchmarkItem
from shared.evaluations import ItemRow
from worker.evaluation.reading import Reader
from worker.stacked import Stack

#: Told how many items were finished and how many tokens were run; may raise Stopped.
Meter = Callable[[int, int], None]


@dataclass(frozen=True)
class Arm:
    """A model ready to be asked: the resident base with one adapter or none switched on, or with
    a stack of adapters that answer together."""

    model: Any
    tokenizer: Any
    ends: frozenset[int]
    #: Whether choices of one prompt may share its forward pass.
    packed: bool
    batch_tokens: int
    max_new_tokens: int
    stack: Stack | None = None
    #: Strings that end a generated answer.
    stop: tuple[str, ...] = ()


class Task(Protocol):
    """The requests of one benchmark, the same for every arm."""

    def run(self, arm: Arm, meter: Meter) -> list[list[ItemRow]]:
        """What each adapter of the arm's stack does on each item, in the file's order; without a
        stack, what its model does."""
        ...


#: Makes the requests of one benchmark's items.
Prepare = Callable[[Sequence[Any], Reader], Task]


def row(item: BenchmarkItem, values: dict[str, float], output: str = "") -> ItemRow:
    """An item's result under the item's own name, hash, language and cluster."""
    return ItemRow(
        item_id=item.id, item_hash=item.item_hash, lang=item.lang, cluster=item.group,
        values=values, output=output,
    )  # fmt: skip


def bits(log_likelihood: float) -> float:
    """Nats of log-likelihood as bits of surprise."""
    return -log_likelihood / math.log(2)
