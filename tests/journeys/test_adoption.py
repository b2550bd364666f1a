"""A worker that is killed or upgraded while jobs run: their runners go on under the next one.

The engines are stood in for, so that a worker is up in a second; the rest is real.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlmodel import Session, select

from benchmarks.chaos.client import train
from benchmarks.chaos.engine import RESULT, expected
from pools import forget, use
from processes import gone, paused, until
from shared import db, jobs, schema
from shared.cli.root import root
from shared.people.actors import Actor
from shared.specs import parse_spec
from shared.storage import store
from shared.tables import Adapter, Attempt, Dataset, Event, Job, JobState, ModelRef, Outcome
from worker import adoption

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]
#: Four seconds, whatever the machine.
STEPS = 100
ANN = Actor.admin("ann")


class Worker:
    """The worker of one host, killed and started again."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.chaos.worker"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One for all tests of this file."""
    folder = tmp_path_factory.mktemp("pool")
    with pytest.MonkeyPatch.context() as patch:
        yield from _worker(patch, folder)


def _worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Worker]:
    use(monkeypatch, tmp_path / "home", host_name="gpu-1", min_free_mb="0", poll_seconds="0.2",
        renew_seconds="0.5", sweep_seconds="0.5", lease_seconds="30")  # fmt: skip
    schema.upgrade()
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"instruction": "Say one", "output": "one"}\n')
    with Session(db.engine()) as session:
        uri = store().put_file(rows, "datasets/rows.jsonl")
        session.add(ModelRef(name="tiny", location=str(tmp_path), fingerprint="-"))
        session.add(
            Dataset(name="rows", kind="training", format="alpaca", uri=uri, sha256="-", rows=1)
        )
        session.commit()
    made = Worker(tmp_path / "worker.log")
    until(lambda: starts() == 1, "the worker is there")
    yield made
    assert made.end() == 0
    forget()


def submit(seed: int, steps: int = STEPS) -> Job:
    return jobs.submit(parse_spec(train(seed, steps)), actor=ANN)


def now(job: Job) -> Job:
    with db.reading() as session:
        return session.get_one(Job, job.id)


def attempts(job: Job) -> list[Attempt]:
    with db.reading() as session:
        return jobs.attempts(session, job.id)


def steps(job: Job) -> list[int]:
    with db.reading() as session:
        return [point.step for point in jobs.metrics(session, job.id)]


def told_of(job: Job) -> list[str]:
    """The kinds of a job's events."""
    with db.reading() as session:
        return list(session.exec(select(Event.kind).where(Event.job_id == job.id)))


def starts() -> int:
    """How often a worker has started."""
    with db.reading() as session:
        return len(session.exec(select(Event).where(Event.kind == "host-started")).all())


def running(job: Job) -> int:
    """Wait until its first numbers are in the database; the runner's process."""
    until(lambda: len(steps(job)) > 0, "the first steps")
    who = adoption.trace_of(job.id, 1).identify()
    assert who is not None
    return who.pid


def ended(job: Job, state: JobState) -> None:
    until(lambda: JobState(now(job).state).is_final, f"{job.name} ends")
    assert now(job).state == state, now(job).error


def check_one_attempt_did_all_of_it(job: Job, seed: int, count: int = STEPS) -> None:
    (attempt,) = attempts(job)
    assert attempt.outcome == Outcome.SUCCEEDED
    assert steps(job) == list(range(1, count + 1))
    kinds = told_of(job)
    with db.reading() as session:
        (adapter,) = session.exec(select(Adapter).where(Adapter.job_id == job.id)).all()
    assert (store().open_path(adapter.uri) / RESULT).read_text() == expected(seed, count)
    assert kinds.count("claimed") == kinds.count("succeeded") == 1
    assert "adopted" in kinds


def test_after_kill_9_the_next_worker_lets_the_same_attempt_finish(worker: Worker) -> None:
    job = submit(1)
    runner = running(job)
    with paused(runner):
        worker.kill()
        worker.start()
        until(lambda: "adopted" in told_of(job), "the next worker takes over")
    ended(job, JobState.SUCCEEDED)
    check_one_attempt_did_all_of_it(job, 1)
    until(lambda: not list(adoption.folder().iterdir()), "nothing of it is left")


def test_an_upgrade_changes_the_program_and_not_what_runs(
    worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    job = submit(2)
    runner = running(job)
    before = starts()
    with paused(runner):
        for _ in range(2):
            with pytest.raises(SystemExit) as left:
                root.main(args=["worker", "restart"])
            assert left.value.code == 0
        assert not gone(runner)
    assert "gpu-1" in capsys.readouterr().out
    ended(job, JobState.SUCCEEDED)
    check_one_attempt_did_all_of_it(job, 2)
    assert starts() == before + 2
    until(lambda: len(psutil.Process(worker.pid).children()) == 1, "the first zygote is gone")


def test_a_job_that_ends_while_there_is_no_worker_is_published_by_the_next(worker: Worker) -> None:
    job = submit(3, 60)
    runner = running(job)
    with paused(runner):
        worker.kill()
    until(lambda: gone(runner), "the runner ends by itself")
    assert now(job).state == JobState.RUNNING
    worker.start()
    ended(job, JobState.SUCCEEDED)
    check_one_attempt_did_all_of_it(job, 3, 60)


def test_an_adopted_job_is_cancelled_as_any_other(worker: Worker) -> None:
    job = submit(4, 100_000)
    runner = running(job)
    worker.kill()
    jobs.cancel(job.id, actor=ANN)
    worker.start()
    ended(job, JobState.CANCELLED)
    assert gone(runner)
