"""The evaluations of a stored comparison with their items, before anything is compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session

from shared import results
from shared.comparisons.model import Column
from shared.metrics import ALL
from shared.statistics import Sample, sample
from shared.tables import Comparison, Evaluation, ItemResult


@dataclass(frozen=True)
class Scored:
    """One evaluation with its items."""

    evaluation: Evaluation
    items: list[ItemResult]

    def sample(self, column: Column) -> Sample:
        """The items of a column's language, in order of their hashes."""
        chosen = [each for each in self.items if column.language in (ALL, each.language)]
        return sample(sorted(chosen, key=lambda each: each.item_hash), column.metric)


def load(session: Session, stored: Comparison) -> list[Scored]:
    """Every evaluation of a comparison, in the order they were stored."""
    return [
        Scored(evaluation, results.items(session, evaluation.id))
        for evaluation in results.evaluations(session, stored.evaluations)
    ]


def by_arm(scored: Sequence[Scored], column: Column) -> dict[str, Sample]:
    """What each arm did on a column's items."""
    return {
        each.evaluation.arm: each.sample(column)
        for each in scored
        if each.evaluation.benchmark == column.benchmark
    }
