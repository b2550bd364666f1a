"""Dead attempts' folders go, what may still be needed stays; in a folder and a remote store."""

from pathlib import Path

import pytest
from sqlalchemy import event
from sqlmodel import Session, col, update

from pools import add_job, claim_next, upgrade, use
from shared import db, leases
from shared.claims import Claim
from shared.storage import Store, seal, store
from shared.tables import Checkpoint, Job, Outcome
from worker.garbage import Collector, collect_cache, collect_store


@pytest.fixture(params=["folder", "remote"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with a database beside it."""
    url = str(tmp_path / "store")
    monkeypatch.setenv("GRAFT_KEEP_FAILED_SECONDS", "-1")
    use(monkeypatch, tmp_path, store_url=url if request.param == "folder" else f"memory://{url}")
    upgrade()
    return store()


def attempt(kept: Store, outcome: Outcome | None, *, saved: bool = False) -> Claim:
    """The next attempt of the only job: its folder, and how it ended."""
    with Session(db.engine()) as session:
        claim = claim_next(session, "a")
        assert claim is not None
        if saved:
            session.add(Checkpoint(job_id=claim.job_id, epoch=claim.epoch, step=1, uri="x"))
            session.flush()
        if outcome is not None:
            assert leases.commit(session, claim, outcome) is not None
        session.commit()
    folder = kept.attempt_folder(claim.job_id, claim.epoch) / "out"
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    seal(folder)
    kept.publish(folder, f"jobs/{claim.job_id}/a{claim.epoch}/out")
    return claim


def job() -> None:
    with Session(db.engine()) as session:
        add_job(session, max_attempts=9)


def left(kept: Store) -> list[str]:
    return [name for _, name in kept.listing()]


def test_only_the_published_attempt_of_a_succeeded_job_stays(kept: Store) -> None:
    job()
    attempt(kept, Outcome.RETRY, saved=True)
    attempt(kept, Outcome.RETRY)
    attempt(kept, Outcome.SUCCEEDED)
    assert collect_store(kept) == 2
    assert left(kept) == ["a3"]


def test_a_job_that_goes_on_keeps_its_checkpoints_and_the_attempt_that_runs(kept: Store) -> None:
    job()
    attempt(kept, Outcome.RETRY, saved=True)
    attempt(kept, Outcome.RETRY)
    attempt(kept, None)
    assert collect_store(kept) == 1
    assert left(kept) == ["a1", "a3"]


def test_a_failed_jobs_folders_stay_for_the_time_that_was_set(
    kept: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job()
    attempt(kept, Outcome.FAILED, saved=True)
    assert collect_store(kept) == 1
    use(monkeypatch, kept.cache.parent, store_url=kept.url, keep_failed_seconds="3600")
    job()
    attempt(kept, Outcome.FAILED, saved=True)
    assert collect_store(kept) == 0


def test_a_published_attempt_stays_even_where_its_job_is_seen_as_it_was_before(kept: Store) -> None:
    job()
    done = attempt(kept, Outcome.SUCCEEDED)
    with db.writing() as session:
        session.execute(update(Job).where(col(Job.id) == done.job_id).values(state="running"))
    assert collect_store(kept) == 0


def test_folders_of_another_database_are_left_alone(kept: Store) -> None:
    job()
    attempt(kept, Outcome.SUCCEEDED)
    stranger = kept.attempt_folder("stranger", 1) / "out"
    stranger.mkdir(parents=True)
    seal(stranger)
    kept.publish(stranger, "jobs/stranger/a1/out")
    assert collect_store(kept) == 0


def test_a_hosts_own_disk_is_cleaned_without_being_the_leader(
    kept: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kept.local is not None:
        pytest.skip("hosts have no disk beside a folder that they share")
    monkeypatch.setenv("GRAFT_GARBAGE_SECONDS", "-1")
    use(monkeypatch, kept.cache.parent, store_url=kept.url)
    job()
    dead = attempt(kept, Outcome.RETRY)
    attempt(kept, Outcome.SUCCEEDED)
    assert Collector().collect(leads=False) == 1
    assert not kept.attempt_folder(dead.job_id, dead.epoch).exists()
    assert left(kept) == ["a1", "a2"]
    assert collect_cache(kept) == 0


def test_an_attempt_that_succeeds_while_the_collector_reads_is_kept(kept: Store) -> None:
    job()
    runs = attempt(kept, None)
    succeeded: list[object] = []

    def succeed(*_: object) -> None:
        """After the collector's first statement; its own statements come here too."""
        if not succeeded:
            succeeded.append(runs)
            with db.writing() as session:
                leases.commit(session, runs, Outcome.SUCCEEDED)

    event.listen(db.engine(), "after_cursor_execute", succeed)
    try:
        assert collect_store(kept) == 0
    finally:
        event.remove(db.engine(), "after_cursor_execute", succeed)
    assert succeeded == [runs]
    assert left(kept) == ["a1"]
