"""A pool of the benchmark's own: a PostgreSQL with fsync, a Redis, hosts, and who submits to it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from sqlmodel import SQLModel, func, select

from benchmarks.chaos.servers import Broker, Postgres, postgres_programs, redis_program
from shared import db, hosts, notices, queueing, schema
from shared.config import settings
from shared.people.actors import Actor
from shared.specs import parse_spec
from shared.storage import store
from shared.tables import Dataset, Job, JobState, ModelRef

USERS = 20


class ThroughputPool:
    """The servers, and the hosts that were started."""

    def __init__(self, folder: Path) -> None:
        programs, redis = postgres_programs(), redis_program()
        if programs is None or redis is None:
            raise SystemExit("this benchmark needs PostgreSQL and Redis on this machine")
        self.folder = folder
        folder.chmod(0o755)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        self.postgres = Postgres(programs, folder, "127.0.0.0/8")
        self.broker = Broker(redis, folder)
        self.postgres.start()
        self.broker.start()
        self._hosts: list[subprocess.Popen[str]] = []
        os.environ["GRAFT_HOME"] = str(folder / "client")
        os.environ["GRAFT_DATABASE_URL"] = self.postgres.url("127.0.0.1")
        os.environ["GRAFT_MIN_FREE_MB"] = "0"
        settings.cache_clear()
        schema.upgrade()
        rows = folder / "rows.jsonl"
        rows.write_text('{"instruction": "Say one", "output": "one"}\n')
        with db.writing() as session:
            uri = store().put_file(rows, "datasets/rows.jsonl")
            session.add(ModelRef(name="tiny", location=str(folder), fingerprint="none"))
            session.add(Dataset(name="rows", kind="training", format="alpaca", uri=uri,
                                sha256="none", rows=1))  # fmt: skip

    def start_host(self, name: str, slots: int) -> None:
        """Start a host and wait until it has said that it is there."""
        told = (self.folder / f"{name}.claims").open("w")
        log = (self.folder / f"{name}.log").open("w")
        environment = os.environ | {
            "GRAFT_HOST_NAME": name,
            "GRAFT_CPU_SLOTS": str(slots),
            "GRAFT_HOME": str(self.folder / name),
        }
        command = [sys.executable, "-m", "benchmarks.throughput.host"]
        with told, log:
            self._hosts.append(
                subprocess.Popen(command, stdout=told, stderr=log, text=True, env=environment)
            )
        row = SQLModel.metadata.tables["host"].c
        wait(lambda: bool(count(select(func.count()).where(row.name == name))))
        time.sleep(1.0)  # it listens a moment after it has registered

    def accept(self, accepting: bool) -> None:
        """Drain every host, or let all of them take jobs and tell them so."""
        names = SQLModel.metadata.tables["host"].c.name
        with db.writing() as session:
            found = list(session.execute(select(names)).scalars())
            for name in found:
                hosts.drain(session, name, accepting=accepting, actor=Actor.admin("benchmark"))
        for name in found if accepting else ():
            notices.send(name)

    def end_hosts(self) -> None:
        for host in self._hosts:
            host.terminate()
        for host in self._hosts:
            host.wait()
        self._hosts.clear()

    def claimed(self) -> dict[str, float]:
        """When each job's claim had been committed, by this machine's clock."""
        lines = [
            line.split()
            for path in self.folder.glob("*.claims")
            for line in path.read_text().splitlines()
        ]
        return {job: float(at) for job, at in lines}

    def processor_seconds(self) -> tuple[float, float]:
        """Seconds of CPU that the servers, and that the hosts, have used."""
        server = [
            psutil.Process(int((self.postgres.data / "postmaster.pid").read_text().split()[0]))
        ]
        server += server[0].children(recursive=True)
        return _used(server), _used([psutil.Process(host.pid) for host in self._hosts])


def _used(processes: list[psutil.Process]) -> float:
    """CPU seconds of processes and of those of their children that have ended."""
    total = 0.0
    for process in processes:
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


@contextmanager
def throughput_pool(folder: Path) -> Iterator[ThroughputPool]:
    pool = ThroughputPool(folder)
    try:
        yield pool
    finally:
        pool.end_hosts()
        db.engine().dispose()
        pool.postgres.crash()
        pool.broker.wipe()


def specs(prefix: str, number: int) -> list[Any]:
    """Training specs that differ by name and seed."""
    return [
        parse_spec({"kind": "train", "name": f"{prefix}{n}", "base_model": "tiny",
                    "dataset": "rows", "seed": n})
        for n in range(number)
    ]  # fmt: skip


def commit_times() -> dict[str, float]:
    """Filled from now on: when each submission's transaction had committed, by its first job."""
    seen: dict[str, float] = {}
    honest = queueing.queue.hint

    def hint(job_id: str, *, host: str | None = None) -> bool:
        seen[job_id] = time.time()
        return honest(job_id, host=host)

    queueing.queue.hint = hint
    return seen


def ended() -> int:
    """How many jobs have succeeded."""
    return count(select(func.count()).select_from(Job).where(Job.state == JobState.SUCCEEDED))


def count(query: Any) -> int:
    with db.reading() as session:
        return int(session.scalar(query) or 0)


def wait(true: Any, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("the pool did not get there")
        time.sleep(0.05)
