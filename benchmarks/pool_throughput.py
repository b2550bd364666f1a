"""`python -m benchmarks.pool_throughput`: how many jobs the pool takes and gives out, how soon.

A PostgreSQL of its own with fsync on; real hosts with the runner left out, so that a job ends as
soon as it is claimed. Submitting is durable: the call returns after COMMIT. A dispatch is one job
from CLAIM to COMMIT. The delay is from the commit of a submission to the commit of its claim, one
job at a time, on a host with free slots: with an empty queue, and behind 100,000 queued jobs of 20
users that ask for another host. Beside it, in the same run, plain Celery with Redis, which
promises neither: from the end of publishing to the start of the task.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from benchmarks.report import result, show
from benchmarks.throughput.plain import PlainCelery
from benchmarks.throughput.pool import (
    USERS,
    ThroughputPool,
    commit_times,
    ended,
    specs,
    throughput_pool,
    wait,
)
from shared import db
from shared.people.actors import Actor
from shared.queueing import Request, submit_batch, submit_many
from shared.tables import Job

#: Jobs of one submission, and hosts and slots of the dispatch measurement.
BATCH, HOSTS, SLOTS = 1000, 2, 64
#: Seconds between single submissions, so that each finds the host idle.
PAUSE = 0.03
#: Figures are kept by the disk: the cost of the smallest durable transaction.
_COMMITS = 100

Row = dict[str, Any]


def fsync_ms() -> float:
    """Milliseconds of a transaction that writes one row, the median."""
    took = []
    with db.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("create table smallest (n int)"))
        for number in range(_COMMITS):
            started = time.perf_counter()
            connection.execute(sa.text("insert into smallest values (:n)"), {"n": number})
            took.append(time.perf_counter() - started)
    return float(np.median(took)) * 1e3


def submit_rate(pool: ThroughputPool, number: int, *, batch: int, label: str) -> Row:
    """Jobs submitted a second, `batch` at a time; they ask for a host that is not there."""
    wanted = specs(f"{label}-", number)
    server, _ = pool.processor_seconds()
    spent, started = time.process_time(), time.perf_counter()
    for turn, first in enumerate(range(0, number, batch)):
        request = Request(actor=Actor.admin(f"u{turn % USERS}"), labels=["elsewhere"])
        if batch == 1:
            submit_many(wanted[first : first + 1], request)
        else:
            submit_batch(wanted[first : first + batch], request)
    seconds = time.perf_counter() - started
    spent = time.process_time() - spent + pool.processor_seconds()[0] - server
    return {"what": f"submit, {batch} at a time", "jobs": number, "per s": number / seconds,
            "CPU ms a job": spent / number * 1e3}  # fmt: skip


def dispatch_rate(pool: ThroughputPool, number: int) -> Row:
    """Jobs a second from CLAIM to COMMIT; the hosts take jobs once all of them are queued."""
    for name in range(HOSTS):
        pool.start_host(f"h{name}", SLOTS)
    pool.accept(False)
    for turn, first in enumerate(range(0, number, BATCH)):
        part = specs(f"run{turn}-", min(BATCH, number - first))
        submit_batch(part, Request(actor=Actor.admin(f"u{turn % USERS}")))
    before = sum(pool.processor_seconds())
    pool.accept(True)
    wait(lambda: ended() >= number)
    spent = sum(pool.processor_seconds()) - before
    with db.reading() as session:
        first, last = session.execute(
            sa.select(sa.func.min(Job.started_at), sa.func.max(Job.finished_at))
        ).one()
    return {"what": f"claim to commit, {HOSTS} hosts of {SLOTS} slots", "jobs": number,
            "per s": number / (last - first), "CPU ms a job": spent / number * 1e3}  # fmt: skip


def delays(pool: ThroughputPool, samples: int, label: str) -> np.ndarray:
    """Seconds from the commit of a submission to the commit of its claim."""
    committed = commit_times()
    before = ended()
    for spec in specs(f"{label}-", samples):
        submit_many([spec], Request(actor=Actor.admin("zoe"), priority=9))
        time.sleep(PAUSE)
    wait(lambda: ended() >= before + samples)
    claimed = pool.claimed()
    return np.array([claimed[job] - at for job, at in committed.items() if job in claimed])


def percentiles(what: str, took: np.ndarray) -> Row:
    p50, p99 = (float(value) * 1e3 for value in np.percentile(took, [50, 99]))
    return {"delay": what, "samples": len(took), "p50 ms": p50, "p99 ms": p99}


def _say(*what: Any) -> None:
    print(*what, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=20_000, help="jobs of the batch submission")
    parser.add_argument("--single", type=int, default=400, help="jobs submitted one by one")
    parser.add_argument("--dispatch", type=int, default=4000, help="jobs claimed and committed")
    parser.add_argument("--samples", type=int, default=300, help="of each delay")
    parser.add_argument("--deep", type=int, default=100_000, help="queued jobs of the deep queue")
    parser.add_argument("--quick", action="store_true", help="a tenth, but for the depth")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    part = 10 if asked.quick else 1
    with (
        tempfile.TemporaryDirectory(prefix="graft-", ignore_cleanup_errors=True) as name,
        throughput_pool(Path(name)) as pool,
    ):
        smallest = fsync_ms()
        dispatched = dispatch_rate(pool, asked.dispatch // part)
        _say("dispatched", dispatched)
        pool.end_hosts()
        pool.start_host("quiet", 8)
        idle = delays(pool, asked.samples // part, "idle")
        _say("idle", percentiles("idle", idle))
        single = submit_rate(pool, asked.single // part, batch=1, label="single")
        batched = submit_rate(pool, asked.batch // part, batch=BATCH, label="batch")
        _say("submitted", single, batched)
        more = asked.deep - (asked.batch + asked.single) // part
        submit_rate(pool, max(BATCH, more), batch=BATCH, label="far")
        deep = delays(pool, asked.samples // part, "deep")
        _say("deep", percentiles("deep", deep))
        pool.end_hosts()
        peer = PlainCelery(pool.broker.url("127.0.0.1"), pool.folder / "celery.log")
        celery = peer.delays(asked.samples // part, PAUSE)
        published, ran = peer.rates(asked.dispatch // part)
        peer.end()
    none = float("nan")
    rates = [batched, single, dispatched,
             {"what": "Celery: publish", "jobs": asked.dispatch // part, "per s": published,
              "CPU ms a job": none},
             {"what": "Celery: publish and run", "jobs": asked.dispatch // part, "per s": ran,
              "CPU ms a job": none}]  # fmt: skip
    took = [
        percentiles("ours, empty queue", idle),
        percentiles(f"ours, {asked.deep:,} queued", deep),
        percentiles("plain Celery, not durable", celery),
    ]
    show("rates", rates, as_json=asked.json)
    show("delays", took, as_json=asked.json)
    print(f"the smallest durable transaction takes {smallest:.2f} ms here")
    result(
        submit_batch_per_s=batched["per s"],
        submit_per_s=single["per s"],
        dispatch_per_s=dispatched["per s"],
        p50_ms=took[0]["p50 ms"],
        p99_ms=took[0]["p99 ms"],
        p99_ms_deep=took[1]["p99 ms"],
        celery_p50_ms=took[2]["p50 ms"],
        celery_p99_ms=took[2]["p99 ms"],
    )


if __name__ == "__main__":
    main()
