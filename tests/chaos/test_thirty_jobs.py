"""Thirty jobs while runners, workers and the broker are killed: each succeeds, published once.

On SQLite they are real trainings and fusions; on PostgreSQL the engines are stood in for
(benchmarks/chaos/engine.py), whose result shows that every step was done once and in order.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlmodel import select

from benchmarks.chaos.engine import RESULT, expected
from pools import use
from servers import start_redis
from shared import base_models, datasets, db, jobs
from shared.people.actors import Actor
from shared.specs import parse_spec
from shared.storage import MANIFEST, file_sha256, store
from shared.tables import Adapter, Attempt, Event, Job, JobState

JOBS = 30
STEPS = 12


@dataclass(frozen=True)
class Play:
    """What a pool's workers are, and how often what is killed."""

    worker: str
    faults: dict[str, int]
    stands_in: bool = False


PLAYS = {
    # Each of these workers imports torch for seconds before it works again, so fewer are killed.
    "sqlite": Play("worker", {"runner": 12, "worker": 5, "broker": 5}),
    "postgresql": Play("benchmarks.chaos.worker", {"runner": 12, "worker": 8, "broker": 5}, True),
}
#: Once so many jobs have ended, the last fault is due: there are jobs left for it to meet.
LAST_DUE = 20
#: Seconds from a fault to the next at most; a pool that outruns the faults is not waited for.
PAUSE = 1.0
#: Reached only by a pool that is stuck.
LIMIT = 480.0


@dataclass
class Nemesis:
    """The processes of a pool on this machine, and what was done to them."""

    folder: Path
    play: Play
    workers: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    broker: "subprocess.Popen[bytes] | None" = None
    killed: Counter[str] = field(default_factory=Counter)
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    def start_worker(self, name: str) -> None:
        environment = os.environ | {"GRAFT_HOST_NAME": name, "OMP_NUM_THREADS": "1"}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.workers[name] = subprocess.Popen(
                [sys.executable, "-m", self.play.worker], env=environment, stderr=log, stdout=log
            )

    def start_broker(self) -> None:
        self.broker = start_redis(self.folder)

    def runners(self) -> list[psutil.Process]:
        found = []
        for worker in self.workers.values():
            try:
                for zygote in psutil.Process(worker.pid).children():
                    found += zygote.children()
            except psutil.NoSuchProcess:
                continue
        return found

    def strike(self, kind: str) -> bool:
        """Kill one process of that kind, if there is one; False if not.

        A killed worker or broker is started again.
        """
        if kind == "runner":
            victims = self.runners()
            if not victims:
                return False
            try:
                self.rng.choice(victims).send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                # It ended by itself between the look and the kill: that is no fault.
                return False
        elif kind == "worker":
            name = self.rng.choice(sorted(self.workers))
            self.workers[name].kill()
            self.workers[name].wait()
            self.start_worker(name)
        elif self.broker is not None:
            self.broker.kill()
            self.broker.wait()
            self.start_broker()
        self.killed[kind] += 1
        return True

    def end(self) -> None:
        for process in [*self.workers.values(), self.broker]:
            if process is not None:
                process.kill()
                process.wait()


class Schedule:
    """Faults in a seeded order, each due when its share of the jobs has ended.

    Progress, not time, brings them on, so that a quick machine meets as many as a slow one.
    """

    def __init__(self, faults: dict[str, int], rng: random.Random) -> None:
        kinds = [kind for kind, number in faults.items() for _ in range(number)]
        rng.shuffle(kinds)
        self.rng = rng
        self.left = [(number * LAST_DUE // len(kinds), kind) for number, kind in enumerate(kinds)]
        self.moment = time.monotonic()

    def strike(self, nemesis: Nemesis, ended: int) -> None:
        """The first due fault that has a victim, if any; at a random moment while there is time."""
        due = [fault for fault in self.left if fault[0] <= ended]
        outrun = any(ended > after + 1 for after, _ in due)
        if time.monotonic() < self.moment and not outrun:
            return
        for fault in due:
            if nemesis.strike(fault[1]):
                self.left.remove(fault)
                self.moment = time.monotonic() + self.rng.uniform(0, PAUSE)
                return


@pytest.fixture
def pool(
    database: str,
    tiny_llama: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Nemesis]:
    """A database with a tiny base and rows, a broker, and two impatient workers."""
    short = tmp_path_factory.mktemp("b")
    url = os.environ.get("GRAFT_DATABASE_URL", "")
    waits: dict[str, Any] = {
        "lease_seconds": 4, "renew_seconds": 0.5, "poll_seconds": 0.5, "sweep_seconds": 0.5,
        "rehint_seconds": 1, "backoff_seconds": 0.1,
    }  # fmt: skip
    address = f"redis+socket://{short}/redis.sock?virtual_host=0"
    texts = {name: str(value) for name, value in waits.items()}
    use(monkeypatch, tmp_path, database_url=url, broker_url=address, **texts)
    rows = [{"instruction": f"Say {n}", "output": f"{n} it is"} for n in range(64)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    with db.writing() as session:
        base_models.register(session, "tiny", str(tiny_llama), actor=Actor.admin("ann"))
        datasets.register(
            session, "rows", tmp_path / "rows.json", "training", actor=Actor.admin("ann")
        )
    nemesis = Nemesis(short, PLAYS[database])
    nemesis.start_broker()
    for name in ("one", "two"):
        nemesis.start_worker(name)
    yield nemesis
    nemesis.end()


def submit_all() -> list[str]:
    """Twenty trainings that save checkpoints, and ten fusions of their adapters."""
    made = []
    for number in range(JOBS):
        if number % 3 == 2:
            spec: dict[str, Any] = {
                "kind": "fuse", "name": f"f{number}", "params": {"method": "weighted_sum"},
                "adapters": [f"t{number - 1}", f"t{number - 2}"],
            }  # fmt: skip
        else:
            spec = {
                "kind": "train", "name": f"t{number}", "base_model": "tiny", "dataset": "rows",
                "rank": 4, "max_steps": STEPS, "batch_size": 8, "checkpoint_every": 3,
                "max_length": 512, "seed": number,
            }  # fmt: skip
        made.append(jobs.submit(parse_spec(spec), actor=Actor.admin("ann"), max_attempts=50).id)
    return made


def unfinished() -> list[Job]:
    with db.reading() as session:
        return [
            job for job in jobs.listing(session, limit=1000) if not JobState(job.state).is_final
        ]


@pytest.mark.chaos
@pytest.mark.timeout(LIMIT + 120)
def test_thirty_jobs_survive_kills_of_runners_workers_and_the_broker(pool: Nemesis) -> None:
    ids = submit_all()
    schedule = Schedule(pool.play.faults, pool.rng)
    deadline = time.monotonic() + LIMIT
    while waiting := unfinished():
        assert time.monotonic() < deadline, f"stuck: {waiting}, faults {pool.killed}"
        schedule.strike(pool, ended=JOBS - len(waiting))
        time.sleep(0.02)
    check_everything_published_once(ids)
    if pool.play.stands_in:
        check_every_step_was_done_once()
    assert pool.killed["runner"] >= 5
    assert pool.killed["worker"] == pool.play.faults["worker"]
    assert pool.killed["broker"] == pool.play.faults["broker"]


def check_everything_published_once(ids: list[str]) -> None:
    with db.reading() as session:
        states = {job.id: job.state for job in session.exec(select(Job)).all()}
        assert states == dict.fromkeys(ids, JobState.SUCCEEDED)
        published = session.exec(select(Adapter)).all()
        assert sorted(str(adapter.job_id) for adapter in published) == sorted(ids)
        succeeded = session.exec(select(Event.job_id).where(Event.kind == "succeeded")).all()
        assert sorted(str(job) for job in succeeded) == sorted(ids)
        attempts = session.exec(select(Attempt)).all()
        assert len(attempts) > JOBS, "no fault interrupted a job: the test tested nothing"
        assert all(attempt.outcome is not None for attempt in attempts)
    for adapter in published:
        check_manifest(store().open_path(adapter.uri), adapter.sha256)


def check_every_step_was_done_once() -> None:
    """A stand-in's training gives what an undisturbed run gives; its number is its seed."""
    with db.reading() as session:
        made = [each for each in session.exec(select(Adapter)).all() if each.name.startswith("t")]
    assert len(made) == JOBS * 2 // 3
    for adapter in made:
        result = store().open_path(adapter.uri) / RESULT
        assert result.read_text() == expected(int(adapter.name[1:]), STEPS)


def check_manifest(folder: Path, digest: str) -> None:
    """The published files are the ones that the attempt sealed."""
    manifest = folder / MANIFEST
    assert file_sha256(manifest) == digest
    for entry in json.loads(manifest.read_text())["files"]:
        assert file_sha256(folder / entry["path"]) == entry["sha256"]
