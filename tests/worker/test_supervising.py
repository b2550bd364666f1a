"""What a supervisor does when the machine or the pool around its attempt fails."""

import errno
import signal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from orders_of import order_for as order_in
from pools import add_job, claim_next, upgrade, use
from shared import db
from shared.claims import Claim
from shared.errors import Internal, both
from shared.jobs import attempts, log_lines
from shared.specs import TrainingSpec
from shared.storage import damage, seal, store
from shared.tables import Checkpoint, Dataset, Job, JobState, ModelRef, Outcome
from worker import ordering
from worker.journal import Journal
from worker.runners import Runners
from worker.supervisor import Supervisor


class FakeRunner:
    """Remembers the signals it was sent."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    def signal(self, number: int) -> None:
        self.signals.append(number)

    def kill(self) -> None:
        self.signals.append(signal.SIGKILL)


@pytest.fixture
def claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Claim:
    """A running training, on a database with what it names."""
    use(monkeypatch, tmp_path, orphan_grace="-1")
    upgrade()
    spec = TrainingSpec(name="a", base_model="tiny", dataset="rows")
    with Session(db.engine()) as session:
        add_job(session, spec=spec.model_dump(mode="json"))
        session.add(ModelRef(name="tiny", location=str(tmp_path), fingerprint="-"))
        session.add(
            Dataset(name="rows", kind="training", format="alpaca", uri="r", sha256="-", rows=1)
        )
        session.commit()
        claim = claim_next(session, "gpu-1")
        session.commit()
    assert claim is not None
    return claim


def supervisor(claim: Claim) -> Supervisor:
    return Supervisor(claim, Runners(), "cpu", [])


def checkpoint(claim: Claim, step: int) -> Path:
    folder = store().attempt_folder(claim.job_id, claim.epoch) / "checkpoints" / f"step-{step}"
    folder.mkdir(parents=True)
    (folder / "state").write_text(f"state {step}")
    seal(folder)
    with db.writing() as session:
        uri = store().publish(folder, "unused")
        session.add(Checkpoint(job_id=claim.job_id, epoch=claim.epoch, step=step, uri=uri))
    return folder


def resumed_from(claim: Claim) -> tuple[Path | None, list[str]]:
    told: list[str] = []
    with db.reading() as session:
        order = ordering.order_for(session, claim, store(), "cpu", told.append)
    return order.resume_from, told


def test_the_newest_checkpoint_is_used_while_it_is_whole(claim: Claim) -> None:
    checkpoint(claim, 1)
    newest = checkpoint(claim, 2)
    assert resumed_from(claim) == (newest, [])


@pytest.mark.parametrize("harm", ["changed", "cut off", "no manifest"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(claim: Claim, harm: str) -> None:
    earlier, newest = checkpoint(claim, 1), checkpoint(claim, 2)
    if harm == "no manifest":
        (newest / "manifest.json").unlink()
    else:
        (newest / "state").write_text("other 2" if harm == "changed" else "")
    assert damage(newest)
    folder, told = resumed_from(claim)
    assert folder == earlier
    assert "step 2 is damaged" in told[0]


def test_without_a_whole_checkpoint_a_job_begins_again(claim: Claim) -> None:
    (checkpoint(claim, 1) / "state").unlink()
    assert resumed_from(claim)[0] is None


def test_a_host_cut_off_for_too_long_saves_and_stops_its_job(
    claim: Claim, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def away(*_: Any) -> Any:
        raise OperationalError("select", {}, OSError("no route"))

    mine = supervisor(claim)
    runner: Any = FakeRunner()
    monkeypatch.setattr(mine.journal, "_standing", away)
    order: Any = order_in(tmp_path, tmp_path / "order")
    mine._tick(runner, order, 1.0)
    assert runner.signals == [signal.SIGTERM]
    assert mine._asked is Outcome.STOPPED


def test_a_host_cut_off_for_a_while_goes_on(
    claim: Claim, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, orphan_grace="60")

    def away(*_: Any) -> Any:
        raise OperationalError("select", {}, OSError("no route"))

    mine = supervisor(claim)
    runner: Any = FakeRunner()
    monkeypatch.setattr(mine.journal, "_standing", away)
    order: Any = order_in(tmp_path, tmp_path / "order")
    mine._tick(runner, order, 1.0)
    assert runner.signals == []


def test_a_full_disk_is_final_and_any_other_trouble_with_files_is_tried_again(
    claim: Claim,
) -> None:
    full = supervisor(claim)._broken_off(OSError(errno.ENOSPC, "No space", "/data/x"))
    assert full.outcome is Outcome.FAILED
    assert full.error is not None
    assert (full.error["code"], full.error["params"]["path"]) == ("disk-full", "/data/x")
    other = supervisor(claim)._broken_off(OSError(errno.EIO, "Input/output error"))
    assert other.outcome is Outcome.RETRY


def test_a_claim_whose_database_goes_away_waits_for_it(
    claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = supervisor(claim)
    honest, calls = ordering.order_for, []

    def at_first_away(*words: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError("select", {}, OSError("gone"))
        return honest(*words)

    monkeypatch.setattr("worker.supervisor.order_for", at_first_away)
    monkeypatch.setattr(mine.lease_lost, "wait", lambda _: False)
    order = mine._order()
    assert order is not None
    assert order.job_id == claim.job_id
    assert len(calls) == 2
    mine.lease_lost.set()
    assert mine._order() is None


def test_the_log_is_read_in_the_readers_language(claim: Claim) -> None:
    journal = Journal(claim)
    journal.event({"type": "phase", "name": "loading base"})
    journal.event({"type": "log", "level": "info", "text": both("done", "完成")})
    journal.event({"type": "log", "level": "output", "text": "as a library printed it"})
    journal.flush(final=True)
    with db.reading() as session:
        lines = log_lines(session, claim.job_id)
    assert [line.said("en") for line in lines] == [
        "— loading base", "done", "as a library printed it",
    ]  # fmt: skip
    assert [line.said("zh") for line in lines] == [
        "— 加载底座", "完成", "as a library printed it",
    ]  # fmt: skip


def test_a_host_that_cannot_start_a_runner_hands_the_job_back(
    claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: Any) -> Any:
        raise Internal(detail="its zygote was killed while it imported")

    mine = supervisor(claim)
    monkeypatch.setattr(mine.runners, "start", dies)
    mine.run()
    with db.reading() as session:
        job = session.get_one(Job, claim.job_id)
        (attempt,) = attempts(session, claim.job_id)
    assert (job.state, attempt.outcome) == (JobState.QUEUED, Outcome.RETRY)
