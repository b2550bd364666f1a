"""Free memory on every card of the pool, and the best place for a shape.

Arrays of (hosts, cards): a search over 10,000 cards is a handful of numpy operations.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.scheduling.records import HostCards, Placement, Shape, Waiting

#: Stands for "nobody knows when": added to the start, so that longer-running cards come first.
UNKNOWN = 1e10


@dataclass(frozen=True, slots=True)
class Reservation:
    """Cards kept for the first job that does not fit; others may use them if they end before."""

    job_id: str
    host: int
    cards: tuple[int, ...]
    #: When the cards are free at the latest; at or above UNKNOWN nobody knows.
    at: float

    def lets_pass(self, job: Waiting, now: float) -> bool:
        """May it use these cards? Only the one they are kept for, and who ends in time."""
        in_time = self.at < UNKNOWN and 0 < job.limit <= self.at - now
        return in_time or job.id == self.job_id


class Fleet:
    """The cards of every host that takes jobs."""

    def __init__(self, hosts: list[HostCards]) -> None:
        self.hosts = hosts
        self.index = {host.name: number for number, host in enumerate(hosts)}
        width = max((len(host.totals) for host in hosts), default=0)
        self.total = np.zeros((len(hosts), width), dtype=np.int64)
        for number, host in enumerate(hosts):
            for card, memory in enumerate(host.totals):
                self.total[number, card] = 0 if card in host.closed else memory
        self.free = self.total.copy()
        #: Jobs on each card: a card with none is whole, whatever memory its jobs asked for.
        self.load = np.zeros_like(self.total)
        #: When each card is free of jobs at the latest.
        self.until = np.zeros(self.total.shape)
        self._every = np.arange(len(hosts))
        self._allowed: dict[frozenset[str], NDArray[np.bool_]] = {}
        self._cached: dict[str, NDArray[np.bool_]] = {}

    def find(
        self,
        job: Waiting,
        now: float,
        reserved: Reservation | None = None,
        prefer: str = "",
        hosts: set[int] | None = None,
    ) -> Placement | None:
        """The tightest place: a host with the base first, then the least memory left over.

        Cards reserved for another job count only when this one ends before they are needed.
        Only `hosts` are looked at, where the caller knows that the others have no room.
        """
        shape = job.shape
        if hosts is not None and len(hosts) == 1:
            return self._find_on(next(iter(hosts)), job, now, reserved)
        rows = self._every if hosts is None else np.array(sorted(hosts), dtype=np.int64)
        fits = self._fitting(shape, rows)
        if reserved is not None and not reserved.lets_pass(job, now):
            at = np.flatnonzero(rows == reserved.host)
            if len(at):
                fits[at[0], list(reserved.cards)] = False
        counts = fits.sum(axis=1)
        able = np.flatnonzero(counts >= shape.gpus)
        if not len(able):
            return None
        row = able[0] if len(able) == 1 else self._tightest(able, rows, fits, counts, job, prefer)
        host = int(rows[row])
        cards = np.flatnonzero(fits[row])
        chosen = cards[np.argsort(self.free[host, cards], kind="stable")][: shape.gpus]
        return self._placement(job, host, [int(card) for card in chosen])

    def _find_on(
        self, host: int, job: Waiting, now: float, reserved: Reservation | None
    ) -> Placement | None:
        """`find` on one host; plain Python, since this is what a freed card asks for."""
        cards = self._room(host, job.shape)
        if reserved is not None and reserved.host == host and not reserved.lets_pass(job, now):
            cards = [each for each in cards if each[1] not in reserved.cards]
        if len(cards) < job.shape.gpus:
            return None
        chosen = sorted(cards)[: job.shape.gpus]
        return self._placement(job, host, [card for _, card in chosen])

    def _placement(self, job: Waiting, host: int, cards: list[int]) -> Placement:
        shape = job.shape
        share = float(shape.gpus)
        if shape.vram and not self.hosts[host].exclusive:
            share = sum(shape.vram / int(self.total[host, card]) for card in cards)
        return Placement(job, self.hosts[host].name, tuple(sorted(cards)), share)

    def _room(self, host: int, shape: Shape) -> list[tuple[int, int]]:
        """(free memory, card) of the host's cards that have room for the shape."""
        if shape.labels and not shape.labels <= self.hosts[host].labels:
            return []
        free = self.free[host].tolist()
        if shape.vram:
            return [(left, card) for card, left in enumerate(free) if left >= shape.vram]
        load, total = self.load[host].tolist(), self.total[host].tolist()
        return [(left, card) for card, left in enumerate(free) if total[card] and not load[card]]

    def _tightest(
        self,
        able: NDArray[np.int64],
        rows: NDArray[np.int64],
        fits: NDArray[np.bool_],
        counts: NDArray[np.int64],
        job: Waiting,
        prefer: str,
    ) -> int:
        hosts = rows[able]
        if job.shape.vram:
            left = np.where(fits[able], self.free[hosts], np.iinfo(np.int64).max).min(axis=1)
        else:
            left = counts[able]
        # One number a host, compared in this order: base at hand, room left, the caller's own.
        rank = (~self._with_base(job.base)[hosts]) * (1 << 62) + left * 2
        if prefer in self.index:
            rank = rank + (hosts != self.index[prefer])
        return int(able[rank.argmin()])

    def _fitting(self, shape: Shape, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(hosts, cards): where a card of that shape has room now."""
        everywhere = rows is self._every
        if shape.vram:
            fits = (self.free if everywhere else self.free[rows]) >= shape.vram
        elif everywhere:
            fits = (self.load == 0) & (self.total > 0)
        else:
            fits = (self.load[rows] == 0) & (self.total[rows] > 0)
        if shape.labels:
            fits &= self._labelled(shape.labels)[rows][:, None]
        return fits

    def possible(self, shape: Shape) -> bool:
        """Would it fit somewhere if the pool were empty?"""
        return bool(self.ever(shape).any())

    def ever(self, shape: Shape) -> NDArray[np.bool_]:
        """(hosts,): which would hold it, were they empty."""
        able = self.total >= max(1, shape.vram)
        return (able.sum(axis=1) >= shape.gpus) & self._labelled(shape.labels)

    def fits_on(self, host: int, shape: Shape) -> bool:
        """Is there room on that host now?"""
        return len(self._room(host, shape)) >= shape.gpus

    def take(self, host: str, cards: tuple[int, ...], shape: Shape, ends: float) -> None:
        """A job starts on these cards and ends by `ends`."""
        row = self.index[host]
        for card in cards:
            self.free[row, card] -= self.held(row, card, shape)
            self.load[row, card] += 1
            self.until[row, card] = max(self.until[row, card], ends)

    def give_back(self, host: str, cards: tuple[int, ...], shape: Shape, until: list[float]) -> int:
        """A job ended; `until` holds when each card's other jobs end. Returns the host's row."""
        row = self.index[host]
        for card, ends in zip(cards, until, strict=True):
            self.free[row, card] += self.held(row, card, shape)
            self.load[row, card] -= 1
            self.until[row, card] = ends
        return row

    def held(self, row: int, card: int, shape: Shape) -> int:
        """MiB that such a job takes of a card."""
        whole = not shape.vram or self.hosts[row].exclusive
        return int(self.total[row, card]) if whole else shape.vram

    def reserve(self, job: Waiting, now: float) -> Reservation | None:
        """The cards that are free for this shape soonest; None when it can never fit."""
        shape = job.shape
        able = self.total >= max(1, shape.vram)
        when = np.where(able, np.maximum(self.until, now), np.inf)
        order = np.argsort(when, axis=1, kind="stable")[:, : shape.gpus]
        if order.shape[1] < shape.gpus:
            return None
        ready = np.take_along_axis(when, order, axis=1).max(axis=1)
        ready[~self.ever(shape)] = np.inf
        host = int(ready.argmin())
        if not np.isfinite(ready[host]):
            return None
        cards = tuple(sorted(int(card) for card in order[host]))
        return Reservation(job.id, host, cards, float(ready[host]))

    def _labelled(self, labels: frozenset[str]) -> NDArray[np.bool_]:
        if labels not in self._allowed:
            self._allowed[labels] = np.array([labels <= host.labels for host in self.hosts], bool)
        return self._allowed[labels]

    def _with_base(self, base: str) -> NDArray[np.bool_]:
        if base not in self._cached:
            self._cached[base] = np.array([base in host.bases for host in self.hosts], bool)
        return self._cached[base]
