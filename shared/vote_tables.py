"""The votes of a comparison as plain data: who is preferred to whom, by people and by judges."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel import Session

from shared import judges, results, votes
from shared.winrates import WinRates


@dataclass(frozen=True)
class VoteTable:
    """What people said, and each judge apart from them."""

    people: WinRates
    judges: list[judges.Judged]

    def as_dict(self) -> dict[str, Any]:
        """Unrounded, for JSON; a share of nothing is None."""
        said = [asdict(each) | {"consistent": each.consistent} for each in self.judges]
        rates = [{"rates": _rates(each.rates)} for each in self.judges]
        told = {
            "people": _rates(self.people),
            "judges": [one | other for one, other in zip(said, rates, strict=True)],
        }
        return _finite(told)


def read(session: Session, comparison: str) -> VoteTable:
    """The votes of a comparison. Raises UnknownComparison."""
    results.comparison(session, comparison)
    return VoteTable(votes.rates(session, comparison), judges.judged(session, comparison))


def _rates(rates: WinRates) -> dict[str, Any]:
    pairs = [{"arm": one, "other": other} | asdict(r) for (one, other), r in rates.pairs.items()]
    return {"strengths": [asdict(each) for each in rates.strengths], "pairs": pairs}


def _finite(thing: Any) -> Any:
    """NaN, which JSON does not know, as None."""
    if isinstance(thing, dict):
        return {key: _finite(value) for key, value in thing.items()}
    if isinstance(thing, list):
        return [_finite(each) for each in thing]
    return None if isinstance(thing, float) and math.isnan(thing) else thing
