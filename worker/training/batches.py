"""Which rows a step sees and how they lie in memory: pure functions of the seed and the step.

Nothing is consumed: a resumed run asks for step 11 and gets what an unbroken one would have got.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from shared.specs.base import OptimiserParameters
from worker.training.attention import Segments
from worker.training.examples import Example

#: What one row teaches: an example, or the chosen and the rejected answer of a preference.
Lesson = tuple[Example, ...]
#: Odd, so that (seed, number) pairs with small members never meet.
_STRIDE = 1_000_003


@dataclass(frozen=True)
class Batch:
    """Rows in memory, and the places whose next token is trained.

    Padded: one row a line, filled up at the right. Packed: all rows end to end in one line.
    """

    #: (lines, length) token ids. Padding needs no mask: causal attention never looks right.
    input_ids: Tensor
    #: (labels,) places in the flattened ids whose hidden state predicts a label.
    places: Tensor
    #: (labels,) the token ids to predict there.
    targets: Tensor
    #: (labels,) the number of the row that each label belongs to.
    owners: Tensor
    #: What the rows were made of, for objectives that know more of an example than its ids.
    examples: Sequence[Example]
    #: (1, length) where packed: each token's place in its own row.
    position_ids: Tensor | None = None
    segments: Segments | None = None
    #: (lines * length, J): 1 at the job of each token's row; None where there is one job.
    jobs: Tensor | None = None


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
    """Examples as one padded batch; a row's last token is read by nothing, so it is left out."""
    length = max(len(example.ids) for example in examples) - 1
    ids = torch.full((len(examples), length), padding)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids) - 1] = torch.tensor(example.ids[:-1])
    firsts = range(0, len(examples) * length, length)
    return Batch(ids.to(device), *_labels(examples, firsts, device), examples)


def pack(examples: Sequence[Example], device: str | torch.device) -> Batch:
    """Examples as one packed batch, which holds no padding at all."""
    lengths = [len(example.ids) - 1 for example in examples]
    ids = torch.tensor([token for example in examples for token in example.ids[:-1]])
    positions = torch.cat([torch.arange(length) for length in lengths])
    firsts = [0, *itertools.accumulate(lengths)][:-1]
    return Batch(
        ids[None].to(device),
        *_labels(examples, firsts, device),
        examples,
        position_ids=positions[None].to(device),
        segments=Segments.of(lengths, device),
    )


def of_jobs(batch: Batch, jobs: Sequence[int]) -> Batch:
    """The batch with each row tagged by its job, numbered from 0."""
    tags = torch.tensor(jobs)
    if batch.segments is None:
        tags = tags.repeat_interleave(batch.input_ids.shape[1])
    else:
        tags = tags.repeat_interleave(torch.tensor(batch.segments.lengths))
    one_hot = functional.one_hot(tags, max(jobs) + 1).float()
    return replace(batch, jobs=one_hot.to(batch.input_ids.device))


def _labels(
    examples: Sequence[Example], firsts: Iterable[int], device: str | torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """(labels,) each: places, targets and owners; `firsts` is where each row begins."""
    places = [
        torch.arange(first + begin - 1, first + end - 1)
        for first, example in zip(firsts, examples, strict=True)
        for begin, end in example.trained
    ]
    targets = torch.tensor([token for example in examples for token in example.targets])
    counts = torch.tensor([example.labels for example in examples])
    owners = torch.arange(len(examples)).repeat_interleave(counts)
    return torch.cat(places).to(device), targets.to(device), owners.to(device)


@lru_cache(maxsize=2)
def _order(rows: int, seed: int, epoch: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed_of(seed, epoch))
    return torch.randperm(rows, generator=generator).tolist()
