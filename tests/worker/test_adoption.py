"""Which runner of an earlier worker the next one takes over, and what it then knows of it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlmodel import Session

from orders_of import order_for
from pools import add_job, age_lease, claim_next, use
from processes import gone, until
from shared import db, jobs, leases
from shared.claims import Claim
from shared.config import settings
from shared.storage import store
from shared.tables import Attempt, Job, JobState, Outcome
from worker import adoption, registration
from worker.devices import Devices
from worker.following import Follower
from worker.journal import Journal
from worker.runners import Runners, presence
from worker.supervisor import Supervisor
from worker.traces import Identity, Trace, boot, started

CPU = Devices("cpu", [1000], ["slot-0"], {"cores": 2})


@pytest.fixture
def claim() -> Claim:
    """A job that this host runs."""
    with db.writing() as session:
        registration.register(session, CPU)
        add_job(session)
        made = claim_next(session, settings().host_name)
    assert made is not None
    return made


@pytest.fixture
def trace(claim: Claim, tmp_path: Path) -> Trace:
    """Its trace, and the order beside its results."""
    made = adoption.trace_of(claim.job_id, claim.epoch)
    for descriptor in made.open():
        os.close(descriptor)
    folder = store().attempt_folder(claim.job_id, claim.epoch)
    order = order_for(tmp_path / "base", tmp_path / "order").model_copy(update={"folder": folder})
    folder.mkdir(parents=True)
    (folder / "order.json").write_text(order.model_dump_json())
    return made


@pytest.fixture
def process(trace: Trace) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that holds the attempt's lock, as its runner does."""
    *files, lock = trace.open()
    with subprocess.Popen(
        [sys.executable, "-c", "input()"],
        stdin=subprocess.PIPE, pass_fds=[lock], start_new_session=True,
    ) as held:  # fmt: skip
        for descriptor in (*files, lock):
            os.close(descriptor)
        yield held
        held.kill()


def introduce(trace: Trace, pid: int, **wrong: object) -> None:
    who = asdict(Identity(pid, started(pid) or 0, boot())) | wrong
    (trace.folder / "runner.json").write_text(json.dumps(who))


def say(trace: Trace, *events: dict[str, object]) -> None:
    with trace.events.open("a") as file:
        for event in events:
            file.write(json.dumps(event) + "\n")


def next_worker() -> list[adoption.Adopted]:
    """What happens to the pool when this host's next worker starts."""
    left = adoption.left_behind()
    with db.writing() as session:
        adopted = adoption.adopt(session, left)
        registration.register(session, CPU, [claim.job_id for claim, _ in adopted])
    taken = {(claim.job_id, claim.epoch) for claim, _ in adopted}
    adoption.discard(each for each in left if each.key not in taken)
    return [runner for _, runner in adopted]


def state(claim: Claim) -> tuple[str, int]:
    with db.reading() as session:
        job = session.get_one(Job, claim.job_id)
        return job.state, job.epoch


@pytest.mark.usefixtures("database")
def test_a_living_runner_is_adopted_under_its_old_epoch(
    claim: Claim, trace: Trace, process: "subprocess.Popen[bytes]"
) -> None:
    introduce(trace, process.pid)
    (runner,) = next_worker()
    assert state(claim) == (JobState.RUNNING, claim.epoch)
    assert (runner.pid, runner.wait(0)) == (process.pid, None)
    assert 0 <= runner.age() < 600
    assert (runner.order.folder / "order.json").exists()
    runner.kill()
    assert process.wait(60) == -9
    assert runner.wait(60) == -9
    process.kill()


@pytest.mark.usefixtures("sqlite")
@pytest.mark.parametrize("wrong", [{"start": 1}, {"boot": "another start of the machine"}])
def test_another_process_under_a_recycled_number_is_neither_adopted_nor_touched(
    claim: Claim, trace: Trace, process: "subprocess.Popen[bytes]", wrong: dict[str, object]
) -> None:
    introduce(trace, process.pid, **wrong)
    assert next_worker() == []
    assert state(claim)[0] == JobState.QUEUED
    assert process.poll() is None


@pytest.mark.usefixtures("sqlite")
def test_a_living_process_that_does_not_hold_the_attempts_lock_is_not_its_runner(
    claim: Claim, trace: Trace
) -> None:
    introduce(trace, os.getpid())
    assert next_worker() == []
    assert state(claim)[0] == JobState.QUEUED
    assert not trace.folder.exists()


@pytest.mark.usefixtures("database")
def test_a_runner_whose_job_went_elsewhere_is_killed_and_forgotten(
    claim: Claim, trace: Trace, process: "subprocess.Popen[bytes]"
) -> None:
    introduce(trace, process.pid)
    with Session(db.engine()) as session:
        age_lease(session, claim.job_id, 600)
        assert leases.expire(session) == [claim.job_id]
        assert claim_next(session, settings().host_name) is not None
        session.commit()
    assert next_worker() == []
    assert process.wait(60) == -9
    assert not trace.folder.exists()


@pytest.mark.usefixtures("sqlite")
def test_a_runner_that_ended_without_a_last_word_is_run_again(claim: Claim, trace: Trace) -> None:
    say(trace, {"type": "progress", "done": 1, "total": 2, "unit": "steps"})
    assert next_worker() == []
    assert state(claim)[0] == JobState.QUEUED
    with db.reading() as session:
        (attempt,) = jobs.attempts(session, claim.job_id)
    assert attempt.outcome == Outcome.LOST


@pytest.mark.usefixtures("sqlite")
@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        ({"type": "error", "code": "no-op", "params": {"why": "zero"}}, Outcome.FAILED),
        ({"type": "stopped"}, Outcome.STOPPED),
    ],
)
def test_a_runner_that_ended_while_no_worker_was_there_ends_as_it_said(
    claim: Claim, trace: Trace, last: dict[str, object], outcome: Outcome
) -> None:
    say(trace, last)
    (runner,) = next_worker()
    Supervisor(claim, Runners(), "cpu", [], runner).run()
    with db.reading() as session:
        (attempt,) = jobs.attempts(session, claim.job_id)
    assert attempt.outcome == outcome
    assert not trace.folder.exists()


@pytest.mark.usefixtures("sqlite")
def test_the_time_limit_counts_from_the_runners_start(
    claim: Claim,
    trace: Trace,
    process: "subprocess.Popen[bytes]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    introduce(trace, process.pid)
    (runner,) = next_worker()
    spec = runner.order.spec.model_copy(update={"time_limit": 3600})
    runner.order = runner.order.model_copy(update={"spec": spec})
    monkeypatch.setattr(runner, "age", lambda: 3601.0)
    Supervisor(claim, Runners(), "cpu", [], runner).run()
    with db.reading() as session:
        (attempt,) = jobs.attempts(session, claim.job_id)
    assert attempt.outcome == Outcome.FAILED
    assert attempt.error == {"code": "time-limit", "params": {"limit": 3600}}
    assert process.wait(60) == -15


def point(step: int) -> dict[str, object]:
    return {"type": "metrics", "step": step, "values": {"loss": 1 / step}}


@pytest.mark.usefixtures("database")
def test_what_one_worker_wrote_the_next_does_not_write_again(claim: Claim, trace: Trace) -> None:
    done = {"type": "progress", "done": 1, "total": 3, "unit": "steps"}
    say(trace, done, point(1), point(2))
    trace.output.write_text("printed\n")
    first = Journal(claim)
    with Follower(claim, first, trace) as follower:
        follower.read()
        first.flush(final=True)
        # Read, but not written before this worker was killed.
        say(trace, point(3), {"type": "stopped"})
        follower.read()
    with db.reading() as session:
        (attempt,) = jobs.attempts(session, claim.job_id)
    second = Journal(claim, attempt.taken)
    with Follower(claim, second, trace) as follower:
        follower.read()
        second.flush(final=True)
    assert follower.final is not None
    assert second.progressed
    with db.reading() as session:
        assert [each.step for each in jobs.metrics(session, claim.job_id)] == [1, 2, 3]
        assert [line.text for line in jobs.log_lines(session, claim.job_id)] == ["printed"]
        assert session.get_one(Attempt, (claim.job_id, claim.epoch)).done == 1


@pytest.mark.usefixtures("database")
def test_two_checkpoints_that_were_noted_stay_and_none_that_was_not_is_removed(
    claim: Claim, trace: Trace
) -> None:
    folder = store().attempt_folder(claim.job_id, claim.epoch) / "checkpoints"
    for step in (2, 4, 6, 8):
        (folder / f"step-{step:08d}").mkdir(parents=True)
    for step in (2, 4, 6):
        place = str(folder / f"step-{step:08d}")
        say(trace, {"type": "checkpoint", "step": step, "folder": place})
    with Follower(claim, Journal(claim), trace) as follower:
        follower.read()
    assert sorted(int(path.name[-8:]) for path in folder.iterdir()) == [4, 6, 8]


def test_a_line_that_was_cut_off_by_a_kill_is_not_read(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "j.a1")
    for descriptor in trace.open():
        os.close(descriptor)
    say(trace, {"type": "phase", "name": "training"})
    with trace.events.open("a") as file:
        file.write('{"type": "resu')
    assert trace.final() is None


class Waiting:
    """A zygote whose runner waits for its order, and what is left of it."""

    def __init__(self, folder: Path) -> None:
        self.runners = Runners("benchmarks.chaos.engine")
        self.order, self.trace = folder / "order.json", Trace(folder / "j.a1")
        os.mkfifo(self.order)
        self.pid = self.runners.start(self.order, self.trace, {}, []).pid
        until(lambda: self.trace.identify() is not None, "the runner says who it is")


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Waiting]:
    use(monkeypatch, tmp_path, lease_seconds="0.2")
    presence().parent.mkdir(parents=True)
    made = Waiting(tmp_path)
    yield made
    made.runners.stop()
    adoption.discard([made.trace])


def test_a_runner_whose_worker_does_not_come_back_ends_after_a_lease(waiting: Waiting) -> None:
    waiting.runners.leave()
    until(lambda: gone(waiting.pid), "the orphan is killed")


def test_a_runner_goes_on_for_the_next_worker_and_its_exit_code_is_kept(waiting: Waiting) -> None:
    with registration.be_present():
        zygote = waiting.runners._process
        waiting.runners.leave()
        # Longer than the grace; the zygote looks more than once.
        assert zygote is not None
        with pytest.raises(subprocess.TimeoutExpired):
            zygote.wait(2)
        assert not gone(waiting.pid)
        waiting.order.write_text("no order")
        until(lambda: waiting.trace.code() is not None, "the exit code is noted")
        assert waiting.trace.code() == 1
        assert zygote.wait(60) == 0
