"""What the scheduler reasons about. Times and durations are seconds, memory is MiB."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Owner(NamedTuple):
    """Whose share a job draws on: a user within a project."""

    project: str
    user: str


class Shape(NamedTuple):
    """What a job asks of a host; jobs of one shape fit in exactly the same places.

    A tuple, since most of what the scheduler keeps is looked up by it.
    """

    #: Cards, all of one host.
    gpus: int = 1
    #: Memory on each card; 0 asks for whole cards.
    vram: int = 0
    #: Labels the host must have.
    labels: frozenset[str] = frozenset()


class Waiting(NamedTuple):
    """A job that may start as soon as there is room; a tuple, since looks make hundreds of them."""

    id: str
    owner: Owner
    shape: Shape = Shape()
    #: 0 to 9, higher first.
    priority: int = 5
    created_at: float = 0.0
    #: Soaks up idle cards: runs after everybody else and gives way to them.
    preemptible: bool = False
    #: It certainly ends within this time (its time limit); 0 means nobody knows.
    limit: float = 0.0
    #: Name of the base it needs, for hosts that have it cached.
    base: str = ""
    #: How long such jobs took before; 0 means unknown. A forecast, never a promise.
    expected: float = 0.0


@dataclass(frozen=True, slots=True)
class Running:
    """A job on its cards."""

    job: Waiting
    host: str
    cards: tuple[int, ...]
    started_at: float
    #: Cards it is charged for.
    share: float = 1.0
    epoch: int = 0
    #: Already asked to give way.
    preempting: bool = False


@dataclass(frozen=True, slots=True)
class HostCards:
    """A host that takes jobs."""

    name: str
    #: Memory of each card; on a host without GPUs, of each slot.
    totals: tuple[int, ...]
    labels: frozenset[str] = frozenset()
    #: Bases that are already there.
    bases: frozenset[str] = frozenset()
    #: A card takes one job at a time, whatever its memory: slots of a CPU.
    exclusive: bool = False
    #: Cards that hold something the pool does not know of.
    closed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Placement:
    """The decision: this job, on these cards, now."""

    job: Waiting
    host: str
    cards: tuple[int, ...]
    #: Cards it is charged for: less than one where it shares a card by memory.
    share: float = 1.0


@dataclass(slots=True)
class Allowance:
    """What an owner may use and has used. None means unlimited."""

    running: int | None = None
    gpus: int | None = None
    #: GPU-seconds left of the period's budget.
    gpu_seconds: float | None = None
    #: Twice the weight, twice the share.
    weight: float = 1.0
    #: Decayed GPU-seconds of what has ended, as of `Scheduler`'s start.
    used: float = 0.0
    #: When a job of this owner last started.
    last_start: float = 0.0


@dataclass(frozen=True, slots=True)
class Rules:
    """How the pool shares; documented in docs/scheduling.md."""

    #: What was used this long ago counts half.
    half_life: float = 7 * 86400.0
    #: An owner who is not served moves up one priority each time this passes.
    ageing: float = 6 * 3600.0
    #: A job that is not preemptible runs at least this long before a higher priority may stop it.
    guaranteed: float = 1800.0
    #: GPU-seconds a start costs at once, so that one owner cannot take every free card in a blink.
    entry: float = 60.0
    project_weights: dict[str, float] = field(default_factory=dict)
