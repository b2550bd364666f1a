"""How much of an adapter's own gain the other arms have: R against a ceiling the reader chooses."""

from dataclasses import dataclass

from sqlmodel import Session

from shared import results
from shared.comparisons.model import ComparisonTable
from shared.comparisons.scored import by_arm, load
from shared.specs import BASE_ARM
from shared.statistics import Recovery, gain_recovered


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """One arm on one benchmark against the ceiling."""

    arm: str
    benchmark: str
    recovery: Recovery


def ceilings(table: ComparisonTable) -> list[str]:
    """Arms that were trained on this base, so that others can be measured by their gain."""
    if BASE_ARM not in {arm.name for arm in table.arms}:
        return []
    return [arm.name for arm in table.arms if arm.method == "train"]


def recoveries(session: Session, table: ComparisonTable, ceiling: str) -> list[Recovered]:
    """R = (arm - base) / (ceiling - base) of every other arm on every benchmark, with intervals.

    Empty where the arms cannot be compared. Raises KeyError when the table has no such ceiling.
    """
    table.arm(ceiling)
    if not table.comparable:
        return []
    scored = load(session, results.comparison(session, table.name))
    found = []
    for column in (each for each in table.columns if each.primary):
        samples = by_arm(scored, column)
        if BASE_ARM not in samples or ceiling not in samples:
            continue
        for arm in (each.name for each in table.arms):
            if arm in samples and arm not in (BASE_ARM, ceiling):
                made = gain_recovered(samples[BASE_ARM], samples[arm], samples[ceiling])
                found.append(Recovered(arm=arm, benchmark=column.benchmark, recovery=made))
    return found
