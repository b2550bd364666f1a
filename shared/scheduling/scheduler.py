"""The scheduler: decides which waiting job starts on which cards, one decision at a time.

Order: normal jobs before preemptible ones; higher level (priority plus ageing) first; then the
project, then the owner, that used least for its weight; then first come, first served. The first
job that does not fit gets a reservation (EASY backfill, Lifka 1995), and keeps it until it starts
or a job of a higher level needs one: others pass it only where they cannot delay it.
"""

from collections.abc import Iterable, Iterator

from shared.scheduling.fleet import UNKNOWN, Fleet, Reservation
from shared.scheduling.lanes import Lane, Lanes
from shared.scheduling.records import (
    Allowance,
    HostCards,
    Owner,
    Placement,
    Rules,
    Running,
    Shape,
    Waiting,
)
from shared.scheduling.shares import Accounts

#: How many waiting jobs of each shape and project are looked at for a gap.
_BACKFILL_DEPTH = 64


class Scheduler:
    """The pool as the scheduler sees it; every method takes the time it happens at."""

    def __init__(
        self,
        hosts: Iterable[HostCards],
        *,
        rules: Rules | None = None,
        allowances: dict[Owner, Allowance] | None = None,
        now: float = 0.0,
    ) -> None:
        self.rules = rules or Rules()
        self.fleet = Fleet(list(hosts))
        self.accounts = Accounts(self.rules, now, allowances or {})
        self.lanes = Lanes(self.accounts)
        self.waiting: dict[str, Waiting] = {}
        self.running: dict[str, Running] = {}
        self._on_card: dict[tuple[str, int], dict[str, float]] = {}
        self._at_limit: dict[str, list[Lane]] = {}
        self._charged: dict[str, float] = {}
        #: Where a shape that was closed may have room again; a shape not in here, anywhere.
        self._rooms: dict[Shape, set[int]] = {}
        #: The first job that does not fit, and the cards kept for it.
        self.reservation: Reservation | None = None
        #: A gap may have appeared: the first jobs of every lane are looked at. Otherwise only those
        #: that came to the head of a lane since.
        self._worth_backfilling = False
        self._fresh: list[Waiting] = []

    def submit(self, job: Waiting, now: float) -> None:
        """A job joins the queue."""
        self.waiting[job.id] = job
        self.lanes.add(job, now)
        self._note_fresh(job)

    def _note_fresh(self, job: Waiting | None) -> None:
        """A job that has a time limit, and so might fill a gap."""
        if job is not None and job.limit > 0 and self.reservation is not None:
            self._fresh.append(job)

    def withdraw(self, job_id: str, now: float) -> None:
        """A waiting job is cancelled, or its priority changes (submit it again then)."""
        job = self.waiting.pop(job_id)
        self.lanes.remove(job, now)
        if self.reservation is not None and self.reservation.job_id == job_id:
            self._drop_reservation()

    def resume(self, running: Running, now: float) -> None:
        """A job that already runs when the scheduler starts."""
        self._occupy(running)
        holding = self.accounts.of(running.job.owner).holding
        holding.running += 1
        holding.gpus += running.job.shape.gpus
        used = (now - running.started_at) * running.share
        self._charge_ahead(running.job, max(used, self._cost(running.job, running.share)), now)

    def _cost(self, job: Waiting, share: float) -> float:
        """GPU-seconds charged when it starts: what it will probably use, corrected at its end.

        Charged at the end alone, owners of long jobs would run far ahead before it is noticed.
        """
        return max(self.rules.entry, job.expected or job.limit / 2) * share

    def _charge_ahead(self, job: Waiting, cost: float, now: float) -> None:
        self._charged[job.id] = cost
        self.accounts.charge(job.owner, cost, now)

    def _occupy(self, running: Running) -> None:
        job = running.job
        self.running[job.id] = running
        # Who was asked to give way is as good as gone: what waits for the room reserves it there.
        ends = running.started_at + (0.0 if running.preempting else job.limit or UNKNOWN)
        if running.host in self.fleet.index:
            self.fleet.take(running.host, running.cards, job.shape, ends)
        for card in running.cards:
            self._on_card.setdefault((running.host, card), {})[job.id] = ends

    def finish(self, job_id: str, now: float) -> None:
        """A running job ended: its cards are free, its owner is charged what it really used."""
        running = self.running.pop(job_id)
        job = running.job
        account = self.accounts.of(job.owner)
        account.holding.running -= 1
        account.holding.gpus -= job.shape.gpus
        used = (now - running.started_at) * running.share
        charged = self._charged.pop(job.id)
        self.accounts.charge(job.owner, used - charged, now)
        for lane in self._at_limit.pop(job.owner.user, []):
            self.lanes.refresh(lane, now)
            self._note_fresh(lane.head())
        if used < charged:
            # Only a better standing needs work now; a worse one is noticed at the top of a heap.
            self.lanes.refresh_owner(job.owner, now)
        self._free_cards(running, now)

    def _free_cards(self, running: Running, now: float) -> None:
        until = []
        for card in running.cards:
            others = self._on_card[running.host, card]
            del others[running.job.id]
            until.append(max(others.values(), default=now))
        if running.host not in self.fleet.index:
            return
        if self.reservation is not None:
            reserved = self.fleet.hosts[self.reservation.host].name
            self._worth_backfilling = self._worth_backfilling or running.host == reserved
        row = self.fleet.give_back(running.host, running.cards, running.job.shape, until)
        for shape in self.lanes.shapes():
            if self.fleet.fits_on(row, shape):
                self._look_again(shape, row)

    def _look_again(self, shape: Shape, row: int) -> None:
        """A closed shape may fit on that host now, and nowhere else."""
        if shape not in self.lanes.open:
            self._rooms[shape] = {row}
            self.lanes.open.add(shape)
        elif self._rooms.get(shape) is not None:
            self._rooms[shape].add(row)

    def place(self, now: float, prefer: str = "") -> Iterator[Placement]:
        """Start every job that may start now, in order; `prefer` wins among equal hosts."""
        yield from self._promised(now, prefer)
        yield from self._in_order(now, prefer)
        if self._worth_backfilling or self._fresh:
            yield from self._backfill(now)
        self._worth_backfilling = False
        self._fresh.clear()

    def _promised(self, now: float, prefer: str) -> Iterator[Placement]:
        """The job that holds the reservation goes before everything of its level."""
        if self.reservation is None:
            return
        job = self.waiting[self.reservation.job_id]
        if job.shape not in self.lanes.open or self.accounts.of(job.owner).limit(job.shape):
            return
        rooms = self._rooms.get(job.shape)
        placement = self.fleet.find(job, now, self.reservation, prefer, rooms)
        if placement is not None:
            self._start(placement, now)
            self.lanes.remove(job, now)
            yield placement

    def _in_order(self, now: float, prefer: str) -> Iterator[Placement]:
        self.lanes.advance(now)
        while (lane := self.lanes.top(now)) is not None:
            job = lane.head()
            assert job is not None
            if lane.account.limit(job.shape):
                self._at_limit.setdefault(job.owner.user, []).append(lane)
                lane.key = None
                continue
            kept = self._kept_from(job, now)
            placement = self.fleet.find(job, now, kept, prefer, self._rooms.get(job.shape))
            if placement is None:
                self._close(lane, job, now)
                continue
            lane.pop()
            self._start(placement, now)
            self.lanes.refresh(lane, now)
            self._note_fresh(lane.head())
            yield placement

    def _backfill(self, now: float) -> Iterator[Placement]:
        """Let short jobs use the reserved cards until the first job needs them.

        Jobs behind one that is too long are looked at too, the first few of each shape.
        """
        reserved = self.reservation
        if reserved is None or reserved.at >= UNKNOWN:
            return
        row = reserved.host
        fitting = [shape for shape in self.lanes.shapes() if self.fleet.fits_on(row, shape)]
        if self._worth_backfilling:
            lanes = self.lanes.first(_BACKFILL_DEPTH, fitting)
        else:
            lanes = self.lanes.headed_by([job for job in self._fresh if job.shape in fitting], now)
        for lane in lanes:
            job = lane.head()
            if job is None or job.id == reserved.job_id or lane.account.limit(job.shape):
                continue
            if not reserved.lets_pass(job, now):
                continue
            placement = self.fleet.find(job, now, reserved, hosts={reserved.host})
            if placement is not None:
                lane.pop()
                self._start(placement, now)
                self.lanes.refresh(lane, now)
                yield placement

    def _start(self, placement: Placement, now: float) -> None:
        job = placement.job
        del self.waiting[job.id]
        if self.reservation is not None and self.reservation.job_id == job.id:
            self._drop_reservation()
        account = self.accounts.of(job.owner)
        account.holding.running += 1
        account.holding.gpus += job.shape.gpus
        account.last_start = now
        self._charge_ahead(job, self._cost(job, placement.share), now)
        self._occupy(Running(job, placement.host, placement.cards, now, placement.share))

    def _close(self, lane: Lane, job: Waiting, now: float) -> None:
        """No room for this shape until cards are given back; the first such job gets a promise."""
        self.lanes.open.discard(lane.shape)
        if self.reservation is not None and self._kept_from(job, now) is not None:
            return
        reservation = self.fleet.reserve(job, now)
        if reservation is not None:
            if self.reservation is not None:
                self._drop_reservation()
                self.lanes.open.discard(lane.shape)
            self.reservation = reservation
            self._worth_backfilling = True

    def _kept_from(self, job: Waiting, now: float) -> Reservation | None:
        """The reservation, where it binds this job: only a job of a higher level is above it.

        Shares do not count here. They change with every start, and a promise that moves from job
        to job of equal standing is kept to none of them.
        """
        if self.reservation is None:
            return None
        holder = self.waiting[self.reservation.job_id]
        if self.lanes.standing(job, now) < self.lanes.standing(holder, now):
            return None
        return self.reservation

    def _drop_reservation(self) -> None:
        """What was kept free may now be used by others."""
        assert self.reservation is not None
        row = self.reservation.host
        self.reservation = None
        for shape in self.lanes.shapes():
            self._look_again(shape, row)

    def jobs_on(self, host: str) -> list[Running]:
        """What runs on a host."""
        return [each for each in self.running.values() if each.host == host]

    def has_room_ever(self, shape: Shape) -> bool:
        """Would it fit, were the pool empty?"""
        return self.fleet.possible(shape)
