"""How fast and how fair the scheduler is on a simulated pool of 10,000 GPUs.

A clock that jumps from event to event: jobs are submitted, placed, run for as long as they like
and end. `python -m benchmarks.scheduler_scale`
"""

import argparse
import heapq
import random
import time
from dataclasses import dataclass, field

import numpy as np

from benchmarks import report
from shared.scheduling import HostCards, Owner, Rules, Scheduler, Shape, Waiting

CARDS, MEMORY = 8, 80 * 1024
#: What jobs ask for: (share of the jobs, cards, MiB a card); 0 MiB is a whole card.
MIX = ((0.30, 1, 8 * 1024), (0.25, 1, 20 * 1024), (0.25, 1, 40 * 1024), (0.14, 1, 0),
       (0.04, 4, 0), (0.02, 8, 0))  # fmt: skip
LIMITS = (1800.0, 7200.0, 28800.0)


@dataclass
class Run:
    """What a simulation saw."""

    seconds: list[float] = field(default_factory=list)
    placed: int = 0
    #: Card-seconds given to each owner, in parts of a card.
    held: dict[Owner, float] = field(default_factory=dict)


def jobs(count: int, owners: list[Owner], seed: int) -> list[tuple[Waiting, float]]:
    """Jobs of equal owners, with how long each really runs."""
    chance = random.Random(seed)
    kinds = chance.choices(MIX, weights=[share for share, _, _ in MIX], k=count)
    made = []
    for number, (_, gpus, vram) in enumerate(kinds):
        limit = chance.choice(LIMITS)
        shape = Shape(gpus=gpus, vram=vram)
        owner = owners[number % len(owners)]
        made.append((Waiting(f"j{number}", owner, shape, limit=limit),
                     limit * chance.uniform(0.2, 1.0)))  # fmt: skip
    return made


def simulate(hosts: int, work: list[tuple[Waiting, float]], events: int, rules: Rules) -> Run:
    """Fill the pool, then let `events` jobs end one by one; time each end-and-place."""
    pool = Scheduler([HostCards(f"h{n}", (MEMORY,) * CARDS) for n in range(hosts)], rules=rules)
    lasts = {job.id: seconds for job, seconds in work}
    run = Run()
    ends: list[tuple[float, str]] = []
    now = 0.0

    def place() -> None:
        for placed in pool.place(now):
            heapq.heappush(ends, (now + lasts[placed.job.id], placed.job.id))
            run.placed += 1
            used = placed.share * lasts[placed.job.id]
            run.held[placed.job.owner] = run.held.get(placed.job.owner, 0.0) + used

    started = time.perf_counter()
    for job, _ in work:
        pool.submit(job, now)
    print(f"submitted {len(work):,} jobs at {len(work) / (time.perf_counter() - started):,.0f}/s")
    started = time.perf_counter()
    place()
    filled = run.placed
    print(f"filled {hosts * CARDS:,} cards with {filled:,} jobs at "
          f"{filled / (time.perf_counter() - started):,.0f}/s")  # fmt: skip
    for _ in range(events):
        now, job_id = heapq.heappop(ends)
        started = time.perf_counter()
        pool.finish(job_id, now)
        place()
        run.seconds.append(time.perf_counter() - started)
    run.placed -= filled
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1250)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--events", type=int, default=30_000)
    given = parser.parse_args()
    owners = [Owner("lab", f"u{n}") for n in range(given.users)]
    run = simulate(given.hosts, jobs(given.jobs, owners, 7), given.events, Rules())
    took = np.array(run.seconds)
    p99 = float(np.percentile(took, 99)) * 1e3
    per_second = run.placed / float(took.sum())
    held = np.array([run.held.get(owner, 0.0) for owner in owners])
    jain = float(held.sum() ** 2 / (len(held) * (held**2).sum()))
    row = {
        "ends": given.events,
        "starts": run.placed,
        "starts/s": per_second,
        "p50 ms": float(np.percentile(took, 50)) * 1e3,
        "p99 ms": p99,
        "Jain index": jain,
    }
    report.show("an end and the starts it makes room for", [row], as_json=False)
    report.result(decisions_per_s=per_second, p99_ms=p99, jain=jain)


if __name__ == "__main__":
    main()
