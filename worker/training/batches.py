"""Which rows a step sees and how they lie in memory: pure functions of the seed and the step.

Nothing is consumed: a resumed run asks for step 11 and gets what an unbroken one would have got.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from shared.specs.base import OptimiserParameters
from worker.training.examples import Example

#: Odd, so that (seed, number) pairs with small members never meet.
_STRIDE = 1_000_003


@dataclass(frozen=True)
class Batch:
    """Rows padded at the right to one length, and the places whose next token is trained."""

    #: (rows, length) token ids. Padding needs no mask: causal attention never looks right.
    input_ids: Tensor
    #: (labels,) places in the flattened (rows * length) whose hidden state predicts a label.
    places: Tensor
    #: (labels,) the token ids to predict there.
    targets: Tensor
    #: What the rows were made of, for objectives that know more of an example than its ids.
    examples: Sequence[Example]


@dataclass(frozen=True)
class Schedule:
    """The rows of every step: each epoch in an order of its own, steps end to end."""

    rows: int
    batch_size: int
    #: Row visits altogether; the last step takes what is left.
    visits: int
    seed: int

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return math.ceil(self.visits / self.batch_size)

    def rows_of(self, step: int) -> list[int]:
        """Numbers of the rows of one step, counted from 0."""
        first = step * self.batch_size
        visits = range(first, min(first + self.batch_size, self.visits))
        return [
            _order(self.rows, self.seed, visit // self.rows)[visit % self.rows] for visit in visits
        ]


def schedule(rows: int, parameters: OptimiserParameters) -> Schedule:
    """The schedule of `max_steps` steps, or of `epochs` passes (part of one counts)."""
    size = parameters.batch_size
    steps = parameters.max_steps
    visits = steps * size if steps else math.ceil(parameters.epochs * rows)
    return Schedule(rows, size, visits, parameters.seed)


def seed_of(seed: int, number: int) -> int:
    """A generator seed for the `number`th use of a job's seed."""
    return (seed * _STRIDE + number) % 2**63


def micro_batches(
    rows: Sequence[int], lengths: Mapping[int, int], most: int, spare: int
) -> list[list[int]]:
    """Rows of like length together, longest first, at most `most` in each.

    A group ends where one row more would bring its padding above `spare` tokens, what a further
    forward and backward pass costs. Only the order of summation depends on the grouping.
    """
    groups: list[list[int]] = []
    padding = 0
    for row in sorted(rows, key=lambda row: (-lengths[row], row)):
        if groups and len(groups[-1]) < most:
            padding += lengths[groups[-1][0]] - lengths[row]
            if padding <= spare:
                groups[-1].append(row)
                continue
        groups.append([row])
        padding = 0
    return groups


def collate(examples: Sequence[Example], padding: int, device: str | torch.device) -> Batch:
    """Examples as one batch; a row's last token is read by nothing, so it is left out."""
    length = max(len(example.ids) for example in examples) - 1
    ids = torch.full((len(examples), length), padding)
    places: list[Tensor] = []
    targets: list[int] = []
    for row, example in enumerate(examples):
        ids[row, : len(example.ids) - 1] = torch.tensor(example.ids[:-1])
        first = row * length - 1
        places += [torch.arange(first + begin, first + end) for begin, end in example.trained]
        targets += example.targets
    return Batch(
        ids.to(device), torch.cat(places).to(device), torch.tensor(targets).to(device), examples
    )


@lru_cache(maxsize=2)
def _order(rows: int, seed: int, epoch: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed_of(seed, epoch))
    return torch.randperm(rows, generator=generator).tolist()
