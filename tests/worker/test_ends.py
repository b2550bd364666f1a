"""Attempts of a host that end together are committed together, and none suffers for another."""

import threading
from typing import Any

import pytest
from sqlmodel import Session, select

from pools import add_job, age_lease, claim_next
from shared import db, leases
from shared.claims import Claim
from shared.tables import Attempt, Job, JobState, Outcome, Share
from worker import ends
from worker.ends import End, Ends
from worker.verdicts import Verdict

DONE = Verdict(outcome=Outcome.SUCCEEDED)


@pytest.fixture
def claims(database: str) -> list[Claim]:
    """Three running jobs of one owner, one of another."""
    with Session(db.engine()) as session:
        for number, user in enumerate(("ann", "ann", "bob", "ann")):
            add_job(session, name=f"j{number}", user=user, created_at=float(number))
        found = [claim_next(session) for _ in range(4)]
        session.commit()
    return [claim for claim in found if claim is not None]


def end_together(all_ends: list[End]) -> dict[str, Any]:
    """End them from threads of their own while another commit is under way; what each came to."""
    mine = Ends()
    came: dict[str, Any] = {}

    def end(each: End) -> None:
        try:
            came[each.claim.name] = mine.commit(each)
        except ValueError as wrong:
            came[each.claim.name] = wrong

    threads = [threading.Thread(target=end, args=(each,)) for each in all_ends]
    with mine.writing:
        for thread in threads:
            thread.start()
        while len(mine._waiting) < len(all_ends):
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join()
    return came


def states() -> dict[str, str]:
    with db.reading() as session:
        return {job.name: job.state for job in session.exec(select(Job))}


def test_those_that_wait_are_ended_in_one_transaction_and_every_owner_is_charged(
    claims: list[Claim], monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    honest = leases.commit_all

    def commit_all(session: Session, endings: Any) -> Any:
        groups.append(len(endings))
        return honest(session, endings)

    monkeypatch.setattr(ends.leases, "commit_all", commit_all)
    came = end_together([End(claim, DONE) for claim in claims])
    assert (groups, set(came.values())) == ([4], {JobState.SUCCEEDED})
    with db.reading() as session:
        seconds = {"ann": 0.0, "bob": 0.0}
        for job, attempt in session.exec(select(Job, Attempt).where(Attempt.job_id == Job.id)):
            seconds[job.user] += attempt.gpu_seconds
        used = {share.user: share.used for share in session.exec(select(Share))}
    assert used == pytest.approx(seconds)
    assert min(used.values()) > 0


def test_one_that_cannot_be_written_ends_nobody_and_lets_the_others_end(
    claims: list[Claim],
) -> None:
    def broken(_: Session) -> None:
        raise ValueError("cannot be written")

    given = [End(claim, DONE) for claim in claims]
    given[2].publish = broken
    came = end_together(given)
    assert isinstance(came["j2"], ValueError)
    expected = dict.fromkeys(("j0", "j1", "j3"), "succeeded") | {"j2": "running"}
    assert states() == expected


def test_one_that_was_lost_publishes_nothing_among_others_that_do(claims: list[Claim]) -> None:
    with Session(db.engine()) as session:
        age_lease(session, claims[1].job_id, 120)
        leases.expire(session)
        session.commit()
    published: list[str] = []
    given = [End(claim, DONE) for claim in claims]
    for each in given:
        each.publish = lambda _, name=each.claim.name: published.append(name)
    came = end_together(given)
    assert sorted(published) == ["j0", "j2", "j3"]
    assert came["j1"] is None
    assert states()["j1"] == JobState.QUEUED
