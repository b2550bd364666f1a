"""Continuation items: how many bits a model needs for each byte of the text that follows.

Bits per byte = sum of -log2 p(continuation | context) / bytes of the continuation. It compares
models of different tokenizers on the same text; not languages (a Chinese character is 3 bytes).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from shared.benchmarks import ContinuationItem
from shared.evaluations import ItemRow
from worker.evaluation.reading import Reader
from worker.evaluation.scoring import score_all
from worker.evaluation.tasks import Arm, Meter, bits, row
from worker.evaluation.trees import Tree


@dataclass(frozen=True)
class ContinuationTask:
    """A window of text for each item; several where the base cannot read it at once."""

    items: Sequence[ContinuationItem]
    windows: list[Tree]
    #: The item of each window.
    owners: list[int]

    def run(self, arm: Arm, meter: Meter) -> list[list[ItemRow]]:
        """Score every continuation."""
        arms = arm.stack.count if arm.stack else 1
        missing = {owner: arms * count for owner, count in Counter(self.owners).items()}

        def tell(places: Sequence[int], tokens: int) -> None:
            for place in places:
                missing[self.owners[place]] -= 1
            finished = {self.owners[place] for place in places if not missing[self.owners[place]]}
            meter(arms * len(finished), tokens)

        found = score_all(
            arm.model, self.windows, batch_tokens=arm.batch_tokens, packed=arm.packed,
            stack=arm.stack, done=tell,
        )  # fmt: skip
        return [self._rows(each) for each in found]

    def _rows(self, found: list[list[float]]) -> list[ItemRow]:
        totals = [0.0] * len(self.items)
        for owner, [value] in zip(self.owners, found, strict=True):
            totals[owner] += bits(value)
        return [
            row(item, {"bits": total, "bytes": float(len(item.continuation.encode()))})
            for item, total in zip(self.items, totals, strict=True)
        ]


def prepare(items: Sequence[ContinuationItem], reader: Reader) -> ContinuationTask:
    """Raw text, no template. See `split` and `windows` for how it is cut."""
    trees: list[Tree] = []
    owners: list[int] = []
    for place, item in enumerate(items):
        before, after = split(item.context, item.continuation, reader)
        found, cut = windows(before, after, reader)
        reader.truncated += cut
        trees += found
        owners += [place] * len(found)
    return ContinuationTask(items, trees, owners)


def split(context: str, continuation: str, reader: Reader) -> tuple[list[int], list[int]]:
    """Ids of the whole text, cut where context and whole first differ.

    Text and continuation are turned into tokens together, as in pre-training. A token that lies
    across the cut (the cut may be inside a word) counts to the continuation in full.
    """
    whole, before = reader.ids(context + continuation), reader.ids(context)
    same = 0
    while same < min(len(whole), len(before)) and whole[same] == before[same]:
        same += 1
    # A context whose tokens are all of the whole's (a last piece of nothing) still leaves one.
    same = min(same, len(whole) - 1)
    return whole[:same], whole[same:]


def windows(before: list[int], after: list[int], reader: Reader) -> tuple[list[Tree], bool]:
    """The continuation in pieces of at most half of what the base reads, each after all the text
    before it that fits; and whether any of that text did not fit."""
    size = len(after) if reader.limit is None else max(1, reader.limit // 2)
    trees: list[Tree] = []
    any_cut = False
    for start in range(0, len(after), size):
        ending = after[start : start + size]
        context, cut = reader.fit(before + after[:start], len(ending) - 1)
        any_cut |= cut
        if not context:
            # Without a beginning-of-text token the first token has nothing to be predicted from.
            context, ending = ending[:1], ending[1:]
        if ending:
            trees.append(Tree(context, [ending]))
    return trees, any_cut
