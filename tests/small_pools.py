"""Pools of one host that can be followed step by step, for tests of the scheduler."""

from typing import Any

from shared.scheduling import HostCards, Owner, Placement, Rules, Running, Scheduler, Waiting

ANN, BOB = Owner("lab", "ann"), Owner("lab", "bob")
GIB = 1024


def pool(*cards: int, rules: Rules | None = None, **kw: Any) -> Scheduler:
    """One host `h` with cards of those GiB."""
    totals = tuple(size * GIB for size in cards)
    return Scheduler([HostCards("h", totals)], rules=rules, **kw)


def job(name: str, owner: Owner = ANN, **kw: Any) -> Waiting:
    return Waiting(name, owner, **kw)


def names(placed: list[Placement]) -> list[str]:
    return [each.job.id for each in placed]


def running(name: str, owner: Owner = ANN, card: int = 0, at: float = 0.0, **kw: Any) -> Running:
    return Running(job(name, owner, **kw), "h", (card,), at)
