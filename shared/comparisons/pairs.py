"""The items of a comparison side by side: what the baseline and an arm answered, who is right."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlmodel import Session

from shared import results
from shared.benchmarks import (
    ChoiceItem,
    GenerateItem,
    InstructItem,
    Item,
    read_benchmark,
)
from shared.comparisons.model import ComparisonTable, harmless
from shared.errors import GraftError
from shared.metrics import ALL, Metric
from shared.storage import store
from shared.tables import Dataset, ItemResult


class Flip(StrEnum):
    """How an item changed from the baseline to the arm."""

    #: A share's item that was wrong and is right; of other metrics, an item that scores better.
    FIXED = "fixed"
    BROKEN = "broken"
    BOTH_RIGHT = "both_right"
    BOTH_WRONG = "both_wrong"
    #: Of metrics without right and wrong: the same score.
    SAME = "same"


@dataclass(frozen=True, kw_only=True)
class ItemPair:
    """One item, and what two arms did on it."""

    item_hash: str
    item_id: str
    language: str
    #: Empty where the benchmark file is gone from the store.
    prompt: str
    #: The right answers: the gold choice, the references, or the true continuation.
    references: list[str]
    baseline_output: str
    arm_output: str
    #: The metric of this one item.
    baseline_value: float
    arm_value: float
    flip: Flip
    #: The outputs differ, whatever the metric says.
    changed: bool
    #: Versions of samples that stood before the question in each arm.
    baseline_samples: list[str]
    arm_samples: list[str]


def item_pairs(
    session: Session, table: ComparisonTable, arm: str, benchmark: str
) -> list[ItemPair]:
    """Every item both arms were scored on, the largest differences first.

    Raises KeyError when the table has no such arm, or the arm no such benchmark.
    """
    metric = table.column(_key(table, benchmark)).metric
    before = {
        row.item_hash: row
        for row in results.items(session, table.arm(table.baseline).evaluations[benchmark])
    }
    after = results.items(session, table.arm(arm).evaluations[benchmark])
    items = _items(session, benchmark)
    pairs = [
        _pair(before[row.item_hash], row, items.get(row.item_hash), metric)
        for row in after
        if row.item_hash in before
    ]
    return sorted(pairs, key=lambda pair: -abs(pair.arm_value - pair.baseline_value))


def _key(table: ComparisonTable, benchmark: str) -> str:
    for column in table.columns:
        if column.benchmark == benchmark and column.language == ALL:
            return column.key
    raise KeyError(benchmark)


def _items(session: Session, benchmark: str) -> Mapping[str, Item]:
    """The benchmark's items by hash; none when its file cannot be read any more."""
    dataset = session.get(Dataset, benchmark)
    if dataset is None:
        return {}
    try:
        found = read_benchmark(store().open_path(dataset.uri)).items
    except GraftError:
        # The outputs stand in the database and are worth showing without their prompts.
        return {}
    return {item.item_hash: item for item in found}


def questions(session: Session, benchmark: str) -> dict[str, str]:
    """What each item asks, by hash; none when the benchmark's file cannot be read any more."""
    return {key: _question(item)[0] for key, item in _items(session, benchmark).items()}


def _pair(before: ItemResult, after: ItemResult, item: Item | None, metric: Metric) -> ItemPair:
    old, new = item_value(before.values, metric), item_value(after.values, metric)
    prompt, references = _question(item)
    return ItemPair(
        item_hash=after.item_hash,
        item_id=after.item_id,
        language=after.language,
        prompt=prompt,
        references=references,
        baseline_output=before.output,
        arm_output=after.output,
        baseline_value=old,
        arm_value=new,
        flip=_flip(old, new, metric),
        changed=before.output != after.output,
        baseline_samples=before.samples,
        arm_samples=after.samples,
    )


def _question(item: Item | None) -> tuple[str, list[str]]:
    """What was asked, and the right answers."""
    if item is None:
        return "", []
    if isinstance(item, ChoiceItem):
        offered = "\n".join(f"{n}. {text}" for n, text in enumerate(item.choices, start=1))
        return f"{item.prompt}\n\n{offered}", [item.choices[item.answer]]
    if isinstance(item, GenerateItem):
        return item.prompt, item.references
    if isinstance(item, InstructItem):
        asked = [each.kind if each.value is None else f"{each.kind}: {each.value}"
                 for each in item.checks]  # fmt: skip
        return item.prompt, asked
    return item.context, [item.continuation]


def item_value(values: Mapping[str, float], metric: Metric) -> float:
    """A metric on one item alone; a ratio metric's own ratio."""
    top = float(values[metric.keys[0]])
    return top / float(values[metric.denominator]) if metric.kind == "ratio" else top


def _flip(old: float, new: float, metric: Metric) -> Flip:
    if old != new:
        return Flip.FIXED if (new > old) == metric.higher_is_better else Flip.BROKEN
    if not metric.binary:
        return Flip.SAME
    return Flip.BOTH_RIGHT if new == 1 else Flip.BOTH_WRONG


def counted(pairs: Sequence[ItemPair]) -> dict[str, int]:
    """How many pairs each filter keeps: the flips, and `changed`."""
    found = {flip.value: sum(1 for pair in pairs if pair.flip is flip) for flip in Flip}
    return found | {"changed": sum(1 for pair in pairs if pair.changed)}


def items_csv(pairs: Sequence[ItemPair], baseline: str, arm: str) -> bytes:
    """A row an item, in the order given; UTF-8 with the mark that Excel needs."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(
        ["item", "language", "flip", "prompt", "references", f"{baseline} score", f"{arm} score",
         f"{baseline} output", f"{arm} output"]
    )  # fmt: skip
    for pair in pairs:
        texts = (pair.prompt, "\n".join(pair.references))
        outputs = (pair.baseline_output, pair.arm_output)
        writer.writerow(
            [harmless(pair.item_id), pair.language, pair.flip.value, *map(harmless, texts),
             pair.baseline_value, pair.arm_value, *map(harmless, outputs)]
        )  # fmt: skip
    return out.getvalue().encode("utf-8-sig")
