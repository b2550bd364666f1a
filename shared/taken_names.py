"""Names that a submission may not use: they are there, on their way, or asked for twice."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlmodel import Session, col, func, select

from shared.bulk import among, as_texts, is_sqlite
from shared.errors import NameTaken, both
from shared.specs import BASE_ARM, MAKERS, AnySpec
from shared.tables import Adapter, Comparison, Job, JobState

#: Names looked up in one statement.
_NAMES = 2000
LIVE = (JobState.QUEUED, JobState.RUNNING)


def check_free(session: Session, specs: Sequence[AnySpec]) -> None:
    """Raises NameTaken for the first of these names."""
    sqlite = is_sqlite(session)
    for makes, thing in (
        (("evaluate",), both("comparison", "对比")),
        (MAKERS, both("adapter", "适配器")),
    ):
        names = [spec.name for spec in specs if spec.kind in makes]
        taken = {name for name, count in Counter(names).items() if count > 1}
        for first in range(0, len(names), _NAMES):
            some = as_texts(names[first : first + _NAMES], sqlite=sqlite)
            taken |= set(session.connection().scalars(_taken(makes, sqlite), {"texts": some}))
        if taken:
            raise NameTaken(thing=thing, name=min(taken))
        if BASE_ARM in names:
            raise NameTaken(thing=both("arm", "对比项"), name=BASE_ARM)


@cache
def _taken(makes: tuple[str, ...], sqlite: bool) -> Any:
    """SQL: which of the names given to it are there or on their way, made once."""
    table = Comparison if makes == ("evaluate",) else Adapter
    coming = select(Job.name).where(
        among(col(Job.name), sqlite=sqlite),
        col(Job.kind).in_(makes),
        # Hidden from the planner, which may take another index for shorter: names are few.
        func.coalesce(col(Job.state), "").in_(LIVE),
    )
    there = select(table.name).where(among(col(table.name), sqlite=sqlite))
    return coming.union_all(there)
