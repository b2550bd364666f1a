"""A comparison as a gate: which arms were shown to be worse than the baseline, by how much."""

from dataclasses import dataclass

from shared.comparisons.model import ComparisonTable


@dataclass(frozen=True)
class Worse:
    """An arm that was shown to be worse on a benchmark."""

    arm: str
    benchmark: str
    #: In the metric's own unit.
    difference: float
    #: The end of its 95 % interval that is nearer to the baseline.
    at_best: float


def worse_arms(table: ComparisonTable, margin: float = 0.0) -> list[Worse]:
    """Arms whose verdict is worse and whose whole interval is more than `margin` to the bad side.

    Only primary cells (all languages together) count. `margin` is in the metric's own unit: 0.02
    lets an accuracy fall by two points.
    """
    primary = {column.key: column for column in table.columns if column.primary}
    found = []
    for arm in table.arms:
        for key, cell in arm.cells.items():
            if key not in primary or cell.verdict != "worse" or cell.difference is None:
                continue
            higher = primary[key].metric.higher_is_better
            at_best = cell.difference.high if higher else cell.difference.low
            if abs(at_best) > margin:
                value = cell.difference.value
                found.append(Worse(arm.name, primary[key].benchmark, value, at_best))
    return found
