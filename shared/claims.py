"""What claiming is about: the choice of a job and its cards, and the right to run it."""

from dataclasses import dataclass
from typing import Any

from shared.tables import Outcome


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to run one job, until its lease runs out."""

    job_id: str
    epoch: int
    host: str
    #: Cards of the host; on a host without GPUs, slots.
    cards: tuple[int, ...]
    kind: str
    name: str
    spec: dict[str, Any]
    #: It asked for a part of its cards' memory, so others may be on them too.
    shares_cards: bool = False


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A job that shall start, and the cards it gets; `share` is what it is charged for."""

    job_id: str
    cards: tuple[int, ...] = (0,)
    share: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What an attempt came to; `retry_in` are seconds before its job may start again."""

    claim: Claim
    outcome: Outcome
    error: dict[str, Any] | None = None
    retry_in: float = 0.0
