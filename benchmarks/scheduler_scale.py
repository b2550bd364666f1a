"""`python -m benchmarks.scheduler_scale`: how fast and how fair the scheduler is on 10,000 cards.

A clock that jumps from event to event: jobs are placed, run for as long as they like and end. All
users are equal: the same weight and priority, jobs drawn alike, and always the same number of them
queued (whoever starts one submits another), so that what a user gets is the scheduler's choice
alone. Jain's index is of the card-seconds that the users' jobs had really held by the horizon, a
day and a quarter; the one job a user may be ahead or behind is small beside that. A user is starved
who has waited for a start longer than `Rules.ageing` and the longest time limit together
(docs/scheduling.md). In the end 10,000 leases are renewed on a PostgreSQL with fsync.
"""

import argparse
import heapq
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.report import result, show
from benchmarks.throughput.pool import specs, throughput_pool
from shared import db, leases
from shared.claims import Choice
from shared.people.actors import Actor
from shared.queueing import Request, submit_batch
from shared.scheduling import HostCards, Owner, Placement, Rules, Scheduler, Shape, Waiting

CARDS, MEMORY = 8, 80 * 1024
#: What jobs ask for: (share of the jobs, cards, MiB a card); 0 MiB is a whole card.
MIX = ((0.30, 1, 8 * 1024), (0.25, 1, 20 * 1024), (0.25, 1, 40 * 1024), (0.14, 1, 0),
       (0.04, 4, 0), (0.02, 8, 0))  # fmt: skip
LIMITS = (1800.0, 7200.0, 28800.0)


@dataclass
class Run:
    """What a simulation saw."""

    #: Processor time of each end and what it made room for: it only computes, and other processes
    #: on the machine must not count.
    seconds: list[float] = field(default_factory=list)
    placed: int = 0
    #: Card-seconds held by each owner's jobs up to the horizon, in parts of a card.
    held: dict[Owner, float] = field(default_factory=dict)
    #: The longest that each owner waited from one start to the next.
    waited: dict[Owner, float] = field(default_factory=dict)


class Demand:
    """An endless stream of jobs, alike for every owner, with how long each really runs."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._made = 0
        self.lasts: dict[str, float] = {}

    def draw(self, owner: Owner, now: float) -> Waiting:
        """The owner's next job."""
        _, gpus, vram = self._chance.choices(MIX, weights=[part for part, _, _ in MIX])[0]
        limit = self._chance.choice(LIMITS)
        self._made += 1
        name = f"j{self._made:09}"
        self.lasts[name] = limit * self._chance.uniform(0.2, 1.0)
        return Waiting(name, owner, Shape(gpus=gpus, vram=vram), created_at=now, limit=limit)


class Simulation:
    """A pool whose owners always have the same number of jobs queued."""

    def __init__(self, hosts: int, owners: list[Owner], horizon: float, rules: Rules) -> None:
        cards = [HostCards(f"h{n}", (MEMORY,) * CARDS) for n in range(hosts)]
        self.pool = Scheduler(cards, rules=rules)
        self.horizon = horizon
        self.demand = Demand(7)
        self.run = Run()
        self.owners = owners
        self._ends: list[tuple[float, str]] = []
        self._served = dict.fromkeys(owners, 0.0)

    def fill(self, jobs: int) -> None:
        """Queue the owners' jobs and start what fits."""
        started = time.perf_counter()
        for number in range(jobs):
            self.pool.submit(self.demand.draw(self.owners[number % len(self.owners)], 0.0), 0.0)
        queued = time.perf_counter() - started
        self._start(self._place(0.0), 0.0)
        filled = time.perf_counter() - started - queued
        first = f"{self.run.placed:,} at {self.run.placed / filled:,.0f}/s"
        print(f"queued {jobs:,} jobs at {jobs / queued:,.0f}/s, started {first}", file=sys.stderr)
        self.run.placed = 0

    def play(self) -> None:
        """Let jobs end one by one up to the horizon; time each end with the starts it allows."""
        while self._ends and self._ends[0][0] < self.horizon:
            now, job_id = heapq.heappop(self._ends)
            started = time.thread_time()
            self.pool.finish(job_id, now)
            placed = self._place(now)
            self.run.seconds.append(time.thread_time() - started)
            self._start(placed, now)
        for owner in self.owners:
            self._note_wait(owner, self.horizon)

    def _place(self, now: float) -> list[Placement]:
        return list(self.pool.place(now))

    def _start(self, placed: list[Placement], now: float) -> None:
        for each in placed:
            owner = each.job.owner
            lasts = self.demand.lasts.pop(each.job.id)
            heapq.heappush(self._ends, (now + lasts, each.job.id))
            held = each.share * (min(now + lasts, self.horizon) - now)
            self.run.held[owner] = self.run.held.get(owner, 0.0) + held
            self.run.placed += 1
            self._note_wait(owner, now)
            self.pool.submit(self.demand.draw(owner, now), now)

    def _note_wait(self, owner: Owner, now: float) -> None:
        waited = now - self._served[owner]
        self.run.waited[owner] = max(waited, self.run.waited.get(owner, 0.0))
        self._served[owner] = now


def renewal_seconds(leases_held: int) -> float:
    """Seconds in which so many leases are renewed in one statement; the median of five."""
    with (
        tempfile.TemporaryDirectory(prefix="graft-", ignore_cleanup_errors=True) as name,
        throughput_pool(Path(name)),
    ):
        ids = submit_batch(specs("held-", leases_held), Request(actor=Actor.admin("ann")))
        choices = [Choice(job_id=job_id) for job_id in ids]
        with db.writing() as session:
            held = leases.claim(session, choices, host="all", device="cpu", lease_seconds=60)
        took = []
        for _ in range(5):
            started = time.perf_counter()
            with db.writing() as session:
                renewed = leases.renew(session, held, 60)
            took.append(time.perf_counter() - started)
            if len(renewed) != leases_held:
                raise SystemExit(f"only {len(renewed)} of {leases_held} leases were renewed")
    return float(np.median(took))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=1250, help="of eight cards")
    parser.add_argument("--jobs", type=int, default=100_000, help="always queued")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--hours", type=float, default=30.0, help="the horizon")
    parser.add_argument("--leases", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="a tenth of the pool")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    part = 10 if asked.quick else 1
    rules = Rules()
    owners = [Owner("lab", f"u{n}") for n in range(asked.users // part)]
    simulation = Simulation(asked.hosts // part, owners, asked.hours * 3600, rules)
    simulation.fill(asked.jobs // part)
    simulation.play()
    run = simulation.run
    took = np.array(run.seconds)
    held = np.array([run.held.get(owner, 0.0) for owner in owners])
    bound = rules.ageing + max(LIMITS)
    row = {
        "ends": len(took),
        "starts": run.placed,
        "decisions/s": run.placed / float(took.sum()),
        "p50 ms": float(np.percentile(took, 50)) * 1e3,
        "p99 ms": float(np.percentile(took, 99)) * 1e3,
        "Jain": float(held.sum() ** 2 / (len(held) * (held**2).sum())),
        "longest wait h": max(run.waited.values()) / 3600,
        "bound h": bound / 3600,
        "starved": sum(waited > bound for waited in run.waited.values()),
    }
    renewed = renewal_seconds(asked.leases)
    show("an end and the starts it makes room for", [row], as_json=asked.json)
    show("leases", [{"renewed": asked.leases, "s": renewed}], as_json=asked.json)
    result(
        decisions_per_s=row["decisions/s"],
        p99_ms=row["p99 ms"],
        jain=row["Jain"],
        starved=row["starved"],
        renew_s=renewed,
    )


if __name__ == "__main__":
    main()
