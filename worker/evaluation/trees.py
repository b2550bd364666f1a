"""Endings that share a context, laid out as rows of token ids with a mask and positions.

A row is `context | ending 1 | ending 2 | ...`: each ending sees the context and itself, at the
positions it would have alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Segment numbers of a packed row: padding, the context, then the endings from 1.
_PAD, _CONTEXT = -1, 0
#: A beginning is read once for all rows that have it, where it has this many tokens and rows.
_LEAST_PREFIX, _LEAST_ROWS = 8, 4


@dataclass(frozen=True)
class Tree:
    """Token ids of a context (at least one) and of the endings scored after it (never empty)."""

    context: list[int]
    endings: list[list[int]]

    @property
    def length(self) -> int:
        """Tokens of its row: an ending's last token is predicted, never read."""
        return len(self.context) + sum(len(ending) - 1 for ending in self.endings)

    @property
    def scored(self) -> int:
        """Tokens whose probability is asked."""
        return sum(len(ending) for ending in self.endings)

    @property
    def branches(self) -> bool:
        """True where two endings must not see each other."""
        return sum(len(ending) > 1 for ending in self.endings) > 1


@dataclass(frozen=True)
class Layout:
    """Right-padded rows of shape (trees, longest), and where each scored token is predicted."""

    tokens: Tensor
    positions: Tensor
    segments: Tensor
    #: Of each scored token: the row and column whose logits predict it, its id, its ending.
    rows: Tensor
    columns: Tensor
    targets: Tensor
    owners: Tensor
    endings: int

    def repeated(self, times: int) -> "Layout":
        """The same rows `times` over, block after block, each block's endings after the last's."""
        if times == 1:
            return self
        block = torch.arange(times).repeat_interleave(len(self.rows))
        return Layout(
            self.tokens.repeat(times, 1),
            self.positions.repeat(times, 1),
            self.segments.repeat(times, 1),
            self.rows.repeat(times) + block * len(self.tokens),
            self.columns.repeat(times),
            self.targets.repeat(times),
            self.owners.repeat(times) + block * self.endings,
            self.endings * times,
        )


def layout(trees: Sequence[Tree], skipped: int = 0) -> Layout:
    """Rows for trees whose contexts lack their first `skipped` tokens, read beforehand."""
    width = max(tree.length for tree in trees)
    shape = (len(trees), width)
    tokens, positions = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    segments = torch.full(shape, _PAD)
    rows, columns, targets, owners = [], [], [], []
    endings = 0
    for row, tree in enumerate(trees):
        start = len(tree.context)
        line, places, parts = (
            list(tree.context),
            list(range(skipped, skipped + start)),
            [_CONTEXT] * start,
        )
        for number, ending in enumerate(tree.endings, start=1):
            read = len(ending) - 1
            columns += [start - 1, *range(len(line), len(line) + read)]
            rows += [row] * len(ending)
            targets += ending
            owners += [endings] * len(ending)
            endings += 1
            line += ending[:-1]
            places += range(skipped + start, skipped + start + read)
            parts += [number] * read
        tokens[row, : len(line)] = torch.tensor(line)
        positions[row, : len(line)] = torch.tensor(places)
        segments[row, : len(line)] = torch.tensor(parts)
    return Layout(
        tokens, positions, segments, torch.tensor(rows), torch.tensor(columns),
        torch.tensor(targets), torch.tensor(owners), endings,
    )  # fmt: skip


def tree_mask(segments: Tensor, dtype: torch.dtype, skipped: int = 0) -> Tensor:
    """Additive attention mask, shape (rows, 1, length, skipped + length): all of the tokens read
    beforehand, the context so far, and one's own ending so far."""
    length = segments.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    asking, asked = segments[:, :, None], segments[:, None, :]
    seen = causal & ((asking == asked) | (asked == _CONTEXT))
    mask = torch.zeros(seen.shape, dtype=dtype, device=segments.device)
    mask = mask.masked_fill_(~seen, torch.finfo(dtype).min)
    return torch.nn.functional.pad(mask, (skipped, 0))[:, None]


def shared_beginnings(contexts: Sequence[list[int]]) -> list[tuple[int, list[int]]]:
    """Groups of contexts with the same beginning: (its length, the contexts' places).

    A template's opening words, or the same examples before every question. Length 0 gathers the
    contexts that share too little. Each context keeps at least one token of its own.
    """
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, context in enumerate(contexts):
        alike[tuple(context[:_LEAST_PREFIX])].append(place)
    groups: list[tuple[int, list[int]]] = []
    alone: list[int] = []
    for places in alike.values():
        length = _common([contexts[place][:-1] for place in places])
        if length < _LEAST_PREFIX or len(places) < _LEAST_ROWS:
            alone += places
        else:
            groups.append((length, places))
    return [*groups, (0, sorted(alone))] if alone else groups


def _common(lists: Sequence[list[int]]) -> int:
    """How many first elements all lists share; the least and the greatest list differ first."""
    low, high = min(lists), max(lists)
    pairs = enumerate(zip(low, high, strict=False))
    return next((n for n, (one, other) in pairs if one != other), min(len(low), len(high)))
