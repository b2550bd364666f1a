"""Jobs that hold a card and let it stand still, by what cards and runners did since last time."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock

import psutil

from worker.devices import use_of_cards

#: Up to this share of its time a card counts as still; a display or a driver's look is not work.
STILL_PERCENT = 1.0
#: Up to this many seconds of processor time a second a runner on a CPU slot counts as still.
STILL_CORES = 0.02


@dataclass(frozen=True)
class Held:
    """A running job with its cards; its runner's process, where it is known."""

    job_id: str
    cards: tuple[int, ...]
    pid: int | None


class Idling:
    """How long each job has let its cards stand still, without a break, as of the last look."""

    def __init__(self, *, on_gpu: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._on_gpu = on_gpu
        self._clock = clock
        self._since: dict[str, float] = {}
        self._spent: dict[str, tuple[int, float, float]] = {}
        self._known: dict[str, float] = {}
        self._lock = Lock()

    def look(self, held: Iterable[Held]) -> None:
        """Ask the cards, or the runners on CPU slots, what they do now."""
        holders = list(held)
        use = use_of_cards() if self._on_gpu and holders else {}
        now = self._clock()
        since = {}
        for each in holders:
            still = self._stands_still(each, use, now)
            if still:
                since[each.job_id] = self._since.get(each.job_id, now)
        self._since = since
        running = {each.job_id for each in holders}
        self._spent = {job: seen for job, seen in self._spent.items() if job in running}
        with self._lock:
            self._known = {job: now - began for job, began in since.items()}

    def seconds(self) -> dict[str, float]:
        """Seconds for which jobs have let their cards stand still, by job id."""
        with self._lock:
            return dict(self._known)

    def _stands_still(self, each: Held, use: dict[int, float], now: float) -> bool:
        if self._on_gpu:
            # A card that does not say what it does (a MIG slice) is not called idle.
            return all(use.get(card, 100.0) <= STILL_PERCENT for card in each.cards)
        if each.pid is None:
            return False
        before, spent = self._spent.get(each.job_id), processor_seconds(each.pid)
        if spent is None:
            return False
        self._spent[each.job_id] = (each.pid, now, spent)
        if before is None or before[0] != each.pid or now <= before[1]:
            return False
        return (spent - before[2]) / (now - before[1]) <= STILL_CORES


def processor_seconds(pid: int) -> float | None:
    """Processor time of a process and those it started, seconds; None once it has ended."""
    try:
        process = psutil.Process(pid)
        times = [process.cpu_times(), *(child.cpu_times() for child in process.children(True))]
    except psutil.Error:
        return None
    return sum(each.user + each.system for each in times)
