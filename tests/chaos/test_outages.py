"""A real training goes on through the loss of its worker, its database and its broker."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlmodel import select

from benchmarks.chaos.servers import Broker, Postgres, postgres_programs, redis_program
from pools import forget, use
from processes import gone
from servers import missing
from shared import base_models, datasets, db, jobs, schema
from shared.people.actors import Actor
from shared.specs import parse_spec
from shared.storage import file_sha256, store
from shared.tables import Adapter, Attempt, Checkpoint, Host, Job, JobState, Outcome

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(480)]
#: Reached only by a failure.
PATIENCE = 120.0
#: A worker on a machine at work must not lose its job: it renews twelve times in it.
LEASE = 6.0
STEPS = 120
WAITS = {
    "lease_seconds": str(LEASE), "renew_seconds": "0.5", "poll_seconds": "0.5",
    "sweep_seconds": "0.5", "rehint_seconds": "1", "backoff_seconds": "0.1", "min_free_mb": "0",
}  # fmt: skip


class Pool:
    """Two real workers on a PostgreSQL and a Redis that can be taken away."""

    def __init__(self, folder: Path, postgres: Postgres, broker: Broker) -> None:
        self.folder = folder
        self.postgres = postgres
        self.broker = broker
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    def start_worker(self, name: str) -> None:
        environment = os.environ | {"GRAFT_HOST_NAME": name, "OMP_NUM_THREADS": "1"}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.workers[name] = subprocess.Popen(
                [sys.executable, "-m", "worker"], env=environment, stderr=log, stdout=log
            )

    def runners(self) -> list[int]:
        agents = [psutil.Process(each.pid) for each in self.workers.values()]
        zygotes = [zygote for agent in agents for zygote in agent.children()]
        return [runner.pid for zygote in zygotes for runner in zygote.children()]

    def end(self) -> None:
        for worker in self.workers.values():
            worker.kill()
            worker.wait()


@pytest.fixture(scope="module")
def pool(tiny_llama: Path) -> Iterator[Pool]:
    programs, redis = postgres_programs(), redis_program()
    if programs is None or redis is None or shutil.which("setpriv") is None:
        missing("PostgreSQL, Redis or setpriv")
    with (
        tempfile.TemporaryDirectory(prefix="graft-", ignore_cleanup_errors=True) as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        postgres, broker = Postgres(programs, folder, "127.0.0.0/8"), Broker(redis, folder)
        postgres.start()
        broker.start()
        use(
            patch, folder / "home", database_url=postgres.url("127.0.0.1"),
            broker_url=broker.url("127.0.0.1"), **WAITS,
        )  # fmt: skip
        schema.upgrade()
        rows = [{"instruction": f"Say {n}", "output": f"{n} it is"} for n in range(64)]
        (folder / "rows.json").write_text(json.dumps(rows))
        with db.writing() as session:
            base_models.register(session, "tiny", str(tiny_llama), actor=Actor.admin("ann"))
            datasets.register(
                session, "rows", folder / "rows.json", "training", actor=Actor.admin("ann")
            )
        made = Pool(folder, postgres, broker)
        for name in ("one", "two"):
            made.start_worker(name)
        yield made
        made.end()
        forget()
        postgres.crash()
        broker.wipe()


def hosts() -> int:
    with db.reading() as session:
        return len(session.exec(select(Host)).all())


def submit(name: str, **more: Any) -> Job:
    spec = {
        "kind": "train", "name": name, "base_model": "tiny", "dataset": "rows", "rank": 4,
        "max_steps": STEPS, "batch_size": 8, "checkpoint_every": 5, "max_length": 512, "seed": 3,
        "dropout": 0.1,
    }  # fmt: skip
    return jobs.submit(parse_spec(spec | more), actor=Actor.admin("ann"))


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)


def now(job: Job) -> Job:
    with db.reading() as session:
        return session.get_one(Job, job.id)


def attempts(job: Job) -> list[Attempt]:
    with db.reading() as session:
        return jobs.attempts(session, job.id)


def saved(job: Job) -> list[str]:
    """Checkpoints in the attempts' folders, whatever the database knows of them."""
    return sorted(str(path) for path in (store().attempts / job.id).glob("a*/checkpoints/step-*"))


def noted(job: Job) -> int:
    """Checkpoints that the database knows: a job goes on from those."""
    with db.reading() as session:
        found = session.exec(select(Checkpoint).where(Checkpoint.job_id == job.id)).all()
    return len(found)


def succeeded(job: Job) -> None:
    until(lambda: JobState(now(job).state).is_final, f"{job.name} ends")
    assert now(job).state == JobState.SUCCEEDED, now(job).error


def curve(job: Job) -> list[tuple[int, float]]:
    with db.reading() as session:
        return [(point.step, point.values["loss"]) for point in jobs.metrics(session, job.id)]


def weights(job: Job) -> str:
    with db.reading() as session:
        adapter = session.exec(select(Adapter).where(Adapter.job_id == job.id)).one()
    return file_sha256(store().open_path(adapter.uri) / "adapter_model.safetensors")


def test_a_training_goes_on_without_the_database_and_its_numbers_arrive_later(pool: Pool) -> None:
    job = submit("through-a-crash")
    until(lambda: bool(saved(job)), "the first checkpoint")
    (runner,) = pool.runners()
    pool.postgres.crash()
    before = saved(job)
    until(lambda: saved(job)[-1] > before[-1], "a checkpoint without a database")
    assert psutil.pid_exists(runner)
    pool.postgres.start()
    db.engine().dispose()
    succeeded(job)
    assert [step for step, _ in curve(job)] == list(range(1, STEPS + 1))
    assert [attempt.outcome for attempt in attempts(job)] == [Outcome.SUCCEEDED]


def test_without_a_broker_jobs_are_found_by_polling(pool: Pool) -> None:
    pool.broker.wipe()
    try:
        succeeded(submit("unhinted", max_steps=3))
    finally:
        pool.broker.start()


def test_a_killed_workers_job_goes_on_elsewhere_with_the_same_curve_bit_for_bit(
    pool: Pool,
) -> None:
    until(lambda: hosts() == 2, "both hosts are there")
    unbroken = submit("unbroken")
    succeeded(unbroken)
    job = submit("broken")
    until(lambda: noted(job) >= 2 and now(job).state == JobState.RUNNING, "a noted checkpoint")
    (runner,) = pool.runners()
    pool.workers[str(now(job).host)].kill()
    until(lambda: attempts(job)[0].outcome is not None, "the job is queued again")
    until(lambda: gone(runner), "the runner that nobody came back for is killed")
    succeeded(job)
    first, second = attempts(job)
    assert (first.outcome, second.outcome) == (Outcome.LOST, Outcome.SUCCEEDED)
    assert first.host != second.host
    with db.reading() as session:
        lines = [line.text for line in jobs.log_lines(session, job.id) if line.epoch == 2]
    assert any("continuing from step" in line for line in lines)
    assert curve(job) == curve(unbroken)
    assert weights(job) == weights(unbroken)
