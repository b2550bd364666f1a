"""`python -m benchmarks.pool_chaos --minutes 5`: break everything while jobs run, then count.

Three hosts (real workers under impatient settings; two of them in network namespaces, each with
a small disk of its own) share a PostgreSQL or SQLite database, a Redis and an artifact store.
Workers, zygotes, runners and the sweeping leader are killed with SIGKILL, workers are stopped past
their lease, Redis is killed and loses everything, PostgreSQL crashes, links go down, disks fill up.
The client keeps its own log of what the pool acknowledged; in the end each of those jobs must have
ended and be published exactly once, with the result an undisturbed run gives, and no slot may be
stuck. The engines are stood in for (benchmarks/chaos/engine.py), since importing torch takes a
worker ten seconds after each kill: the pool is under test.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from sqlalchemy.exc import DBAPIError

from benchmarks.chaos.checker import Findings, check, held_locks, unfinished
from benchmarks.chaos.client import Client, acknowledged, train
from benchmarks.chaos.nemesis import WEIGHTS, Nemesis
from benchmarks.chaos.pool import LEASE, NAMES, SLOTS, ChaosPool, chaos_pool
from benchmarks.report import result, show
from shared import jobs
from shared.people.actors import Actor
from shared.specs import parse_spec
from shared.tables import JobState

#: Seconds between faults, on average.
PAUSE = 0.72
#: After the last fault every job must end within this time.
DRAIN = 180.0
#: Seconds in which every slot must be seen busy at the same time, after everything has healed.
WAVE = 120.0
#: Seconds in which what ends must be gone.
LEAVE = 60.0


def run(
    seconds: float, database: str, seed: int, folder: Path, *, faults: int = 0, promised: int = 0
) -> tuple[Nemesis, Findings]:
    """One run; the folder holds its logs afterwards.

    It strikes for so many seconds and on until there were so many faults; then the client goes on
    until it was promised so many jobs.
    """
    rng = random.Random(seed)
    with chaos_pool(database, folder) as pool:
        nemesis = Nemesis(pool.hosts, pool.broker, pool.postgres, LEASE, rng)
        client = Client(folder / "acknowledged.jsonl", seed)
        _wait(lambda: not nemesis.tend() and all(host.zygotes() for host in pool.hosts), DRAIN)
        client.start()
        try:
            _strike(nemesis, seconds, faults)
            _wait(lambda: not nemesis.tend() and client.promised >= promised, DRAIN)
        finally:
            client.enough.set()
            client.join()
        nemesis.tend(everything=True)
        _wait(lambda: not nemesis.tend() and _all_ended(), DRAIN)
        _wait(lambda: not nemesis.tend() and all(host.zygotes() for host in pool.hosts), DRAIN)
        idle = _idle_slots(nemesis)
        _wait(lambda: not nemesis.tend() and _all_ended(), DRAIN)
        findings = _count(pool, idle)
    return nemesis, findings


def _strike(nemesis: Nemesis, seconds: float, faults: int) -> None:
    end = time.monotonic() + seconds
    due = time.monotonic()
    while time.monotonic() < end or sum(nemesis.done.values()) < faults:
        nemesis.tend()
        # A machine at work brings its workers back slowly; a fault without a victim tests nothing.
        if time.monotonic() >= due:
            if any(host.runners() for host in nemesis.hosts):
                nemesis.strike()
                due = max(due, time.monotonic() - PAUSE) + PAUSE * nemesis.rng.uniform(0.4, 1.6)
            else:
                due = time.monotonic() + 0.1
        time.sleep(0.02)


def _wait(true: Callable[[], bool], seconds: float) -> bool:
    """Look until it is true or the time is over."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _all_ended() -> bool:
    try:
        return not unfinished()
    except DBAPIError:
        return False


def _idle_slots(nemesis: Nemesis) -> int:
    """Give every slot a job at once, endless until each has one: how many never got one."""
    count, ann = SLOTS * len(NAMES), Actor.admin("ann")
    made = [jobs.submit(parse_spec(train(900_000 + n, 100_000)), actor=ann) for n in range(count)]
    most = 0

    def all_busy() -> bool:
        nonlocal most
        nemesis.tend()
        running = [job for job in unfinished() if job.state == JobState.RUNNING]
        most = max(most, len(running))
        return most == count

    _wait(all_busy, WAVE)
    for job in made:
        jobs.cancel(job.id, actor=ann)
    return count - most


def _count(pool: ChaosPool, idle: int) -> Findings:
    findings = check(acknowledged(pool.folder / "acknowledged.jsonl"), pool.store)
    if idle:
        findings.leaked += idle
        findings.wrong.append(f"leaked: {idle} slots never ran a job again")
    runs = [host.home / "run" for host in pool.hosts]
    # An idle worker holds a slot's lock for the moment in which it asks for a job.
    held = held_locks(runs)
    _wait(lambda: not held.intersection_update(held_locks(runs)) and not held, LEAVE)
    for path in held:
        findings.leaked += 1
        findings.wrong.append(f"leaked: {path} is held")
    for host in pool.hosts:
        host.ask_to_stop()
    _wait(lambda: not _left(pool), LEAVE)
    for process in _left(pool):
        findings.leaked += 1
        findings.wrong.append(f"leaked: process {process}")
    return findings


def _left(pool: ChaosPool) -> list[str]:
    """Processes of the pool's hosts; zygotes and runners know their home from their arguments."""
    homes = {str(host.home) for host in pool.hosts}
    found = []
    for process in psutil.process_iter():
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE
            named = any(home in word for word in process.cmdline() for home in homes)
            if alive and (named or process.environ().get("GRAFT_HOME") in homes):
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def main() -> int:
    """Print the tables and the RESULT line; 1 when anything was lost, doubled or leaked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=0.0, help="instead of --minutes")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="postgres")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    seconds = asked.seconds or asked.minutes * 60
    folder = Path(tempfile.mkdtemp(prefix="graft-chaos-"))
    try:
        nemesis, found = run(seconds, asked.database, asked.seed, folder)
        _print(nemesis, found, as_json=asked.json)
    finally:
        if asked.keep:
            print(f"logs: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if found.lost or found.twice or found.leaked or found.chain != "whole" else 0


def _print(nemesis: Nemesis, found: Findings, *, as_json: bool) -> None:
    reasons = nemesis.possible()
    faults = [
        {"fault": kind, "times": nemesis.done[kind], "note": reasons.get(kind, "")}
        for kind in WEIGHTS
    ]
    show("faults", faults, as_json=as_json)
    ends = [{"jobs that ended as": end, "count": count} for end, count in found.ends.items()]
    ends += [
        {"jobs that ended as": f"attempts: {outcome}", "count": count}
        for outcome, count in sorted(found.attempts.items())
    ]
    show("ends", ends, as_json=as_json)
    print(f"event chain: {found.chain}, {found.sealed} events sealed")
    for line in found.wrong:
        print(line)
    result(
        faults=sum(nemesis.done.values()),
        jobs=found.jobs,
        lost=found.lost,
        twice=found.twice,
        leaked=found.leaked,
    )


if __name__ == "__main__":
    sys.exit(main())
