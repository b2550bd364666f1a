"""Waiting jobs in lanes: one for each owner, shape and class, so that a lane's jobs fit alike.

A shape that has no room is closed with all its lanes at once and opened when room appears; keys
are refreshed lazily, when a lane reaches the top of its heap.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from shared.scheduling.records import Owner, Shape, Waiting
from shared.scheduling.shares import Account, Accounts

#: Entries that a heap may hold for each lane there is, before it is cleared of old ones.
_STALE = 3


class Key(NamedTuple):
    """The order of a project's jobs; smaller goes first."""

    preemptible: bool
    level: int
    owner: float
    created_at: float
    job: str

    def within(self, project: float) -> "Place":
        """Its place among all projects, where this one's share is `project`."""
        return (self.preemptible, self.level, project, *self[2:])


#: A job's place in the whole queue; smaller goes first.
Place = tuple[bool, int, float, float, float, str]


@dataclass(slots=True, eq=False)
class Lane:
    """One owner's jobs of one shape: higher priority first, then first come, first served."""

    owner: Owner
    account: Account
    shape: Shape
    preemptible: bool
    jobs: list[tuple[int, float, str, int, Waiting]] = field(default_factory=list)
    #: The jobs that count; an entry of `jobs` that is not in here any more is skipped.
    live: dict[str, Waiting] = field(default_factory=dict)
    pushed: int = 0
    key: Key | None = None
    #: The account's version that `key` was made of.
    version: int = -1
    #: When its level is looked at next.
    rises: float = 0.0

    def push(self, job: Waiting) -> None:
        self.live[job.id] = job
        self.pushed += 1  # tells a job from itself, submitted again
        heapq.heappush(self.jobs, (-job.priority, job.created_at, job.id, self.pushed, job))

    def head(self) -> Waiting | None:
        """Its first job, or None when it is empty."""
        while self.jobs and self.live.get(self.jobs[0][2]) is not self.jobs[0][-1]:
            heapq.heappop(self.jobs)
        return self.jobs[0][-1] if self.jobs else None

    def pop(self) -> Waiting:
        """Take the head; only after `head` returned one."""
        job = heapq.heappop(self.jobs)[-1]
        del self.live[job.id]
        return job


#: A lane's place in a heap: its key, a number that tells equal keys apart, and the lane.
Entry = tuple[Key, int, Lane]


class Lanes:
    """Every lane, by shape; `top` is the first job of all open shapes."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self.open: set[Shape] = set()
        self._lanes: dict[tuple[Owner, Shape, bool], Lane] = {}
        # A project's share changes with every start of any of its jobs, so it is not in the keys:
        # within a project it makes no difference, and between projects only the tops are compared.
        self._heaps: dict[Shape, dict[str, list[Entry]]] = {}
        #: How many lanes each shape has.
        self._sizes: dict[Shape, int] = {}
        self._by_owner: dict[Owner, list[Lane]] = {}
        self._rises: list[tuple[float, int, Lane]] = []
        self._count = 0

    def add(self, job: Waiting, now: float) -> None:
        """Queue a job."""
        place = (job.owner, job.shape, job.preemptible)
        lane = self._lanes.get(place)
        if lane is None:
            account = self.accounts.of(job.owner)
            lane = Lane(job.owner, account, job.shape, job.preemptible)
            self._lanes[place] = lane
            self._sizes[job.shape] = self._sizes.get(job.shape, 0) + 1
            self._by_owner.setdefault(job.owner, []).append(lane)
        if job.shape not in self._heaps:
            self._heaps[job.shape] = {}
            self.open.add(job.shape)
        lane.push(job)
        if lane.head() is job:
            self.refresh(lane, now)

    def remove(self, job: Waiting, now: float) -> None:
        """Take a job out of the queue."""
        lane = self._lanes[job.owner, job.shape, job.preemptible]
        del lane.live[job.id]
        self.refresh(lane, now)

    def shapes(self) -> list[Shape]:
        """Every shape that was asked for."""
        return list(self._heaps)

    def refresh(self, lane: Lane, now: float) -> None:
        """Give a lane its key of now."""
        entry = self._entry(lane, now)
        if entry is None:
            return
        heap = self._heaps[lane.shape].setdefault(lane.owner.project, [])
        if len(heap) > _STALE * self._sizes[lane.shape]:
            # Entries whose lane has another key by now sink; over days they would be nearly all.
            heap[:] = [each for each in heap if each[0] is each[2].key]
            heapq.heapify(heap)
        heapq.heappush(heap, entry)

    def _entry(self, lane: Lane, now: float) -> Entry | None:
        head = lane.head()
        if head is None:
            lane.key = None
            return None
        lane.key = self._key(lane, head, now)
        lane.version = lane.account.version
        self._count += 1
        if lane.rises <= now or lane.rises > now + self.accounts.rules.ageing:
            lane.rises = self.accounts.next_level_at(lane.account, head, now)
            heapq.heappush(self._rises, (lane.rises, self._count, lane))
        return (lane.key, self._count, lane)

    def refresh_owner(self, owner: Owner, now: float) -> None:
        """An owner's standing got better: its lanes may move forward."""
        for lane in self._by_owner.get(owner, []):
            self.refresh(lane, now)

    def advance(self, now: float) -> None:
        """Move lanes forward whose level has risen by now."""
        while self._rises and self._rises[0][0] <= now:
            at, _, lane = heapq.heappop(self._rises)
            if lane.key is not None and at == lane.rises:
                self.refresh(lane, now)

    def _key(self, lane: Lane, head: Waiting, now: float) -> Key:
        level = self.accounts.level(lane.account, head, now)
        return Key(lane.preemptible, -level, lane.account.share, head.created_at, head.id)

    def standing(self, job: Waiting, now: float) -> tuple[bool, int]:
        """Class and level of a job, without its owner's share; smaller goes first."""
        account = self.accounts.of(job.owner)
        return (job.preemptible, -self.accounts.level(account, job, now))

    def place_of(self, job: Waiting, now: float) -> Place:
        """Where a job stands in the whole queue."""
        lane = self._lanes[job.owner, job.shape, job.preemptible]
        return self._key(lane, job, now).within(self.accounts.project_share(job.owner.project))

    def top(self, now: float) -> Lane | None:
        """The lane whose head goes first among the open shapes."""
        best: Lane | None = None
        best_place: Place | None = None
        for shape in self.open:
            for project, heap in self._heaps[shape].items():
                lane = self._first(heap, now)
                if lane is None or lane.key is None:
                    continue
                place = lane.key.within(self.accounts.project_share(project))
                if best_place is None or place < best_place:
                    best, best_place = lane, place
        return best

    def first(self, depth: int, shapes: Iterable[Shape]) -> list[Lane]:
        """The first lanes of those shapes and every project, open or not, in order."""
        found: list[tuple[Place, Lane]] = []
        for shape in shapes:
            for project, heap in self._heaps[shape].items():
                share = self.accounts.project_share(project)
                live = (lane for key, _, lane in _in_order(heap) if key is lane.key)
                found += [
                    (lane.key.within(share), lane) for lane in islice(live, depth) if lane.key
                ]
        return [lane for _, lane in sorted(found, key=_place)]

    def headed_by(self, jobs: Iterable[Waiting], now: float) -> list[Lane]:
        """The lanes of which one of these jobs is the head, in order."""
        found = {}
        for job in jobs:
            lane = self._lanes[job.owner, job.shape, job.preemptible]
            if lane.key is not None and lane.head() is job:
                found[self.place_of(job, now)] = lane
        return [found[place] for place in sorted(found)]

    def _first(self, heap: list[Entry], now: float) -> Lane | None:
        while heap:
            key, _, lane = heap[0]
            if key is not lane.key:
                heapq.heappop(heap)
            elif lane.version == lane.account.version:
                return lane
            elif (entry := self._entry(lane, now)) is not None:
                heapq.heapreplace(heap, entry)
        return None


def _place(entry: tuple[Place, Lane]) -> Place:
    return entry[0]


def _in_order(heap: list[Entry]) -> Iterator[Entry]:
    """A heap's entries from the smallest on, without taking them; a few cost a few steps."""
    ahead = [(heap[0], 0)] if heap else []
    while ahead:
        entry, place = heapq.heappop(ahead)
        yield entry
        for child in (2 * place + 1, 2 * place + 2):
            if child < len(heap):
                heapq.heappush(ahead, (heap[child], child))
