"""Whose job has ended is told so on whatever page they are, once, with a link."""

from pathlib import Path

import pytest
from sqlmodel import Session
from streamlit.testing.v1 import AppTest

import filled
from pages import Open
from shared import db, endings, events, jobs
from shared.people.actors import Actor
from shared.tables import Job, JobState


@pytest.fixture
def small(empty_pool: Path) -> Path:
    """A pool of this test's own, for tests that end jobs."""
    filled.fill(empty_pool, items=3, arms=("base", "native"))
    return empty_pool


def _end(name: str, state: str = "succeeded", *, kind: str = "train", user: str = "") -> str:
    """A job ends as a worker ends it: its state, and the event; the job's id."""
    with db.writing() as session:
        job = jobs.find(session, name)
        job.state, job.kind, job.user = state, kind, user or job.user
        session.add(job)
        events.record(session, state, actor="host-1", job=job.id)
        return job.id


def _said(app: AppTest) -> list[str]:
    return [each.value.replace("\\", "") for each in app.toast]


@pytest.mark.parametrize("page", ["hosts", "submit", "jobs"])
def test_an_end_is_told_on_any_page_once_and_not_again_after_a_reload(
    small: Path, open_page: Open, page: str
) -> None:
    app = open_page(page)
    # What ended before somebody first came is no news.
    assert _said(app) == []
    job = _end("longer")
    assert _said(app.run()) == [f"longer has succeeded. [Open the job](job?id={job})"]
    assert _said(app.run()) == []
    assert _said(open_page(page)) == []
    _end("waiting-0", "failed")
    [said] = _said(open_page(page, "zh"))
    assert said.startswith("waiting-0 已失败。")


def test_what_ended_while_nobody_looked_is_told_at_the_next_visit(
    small: Path, open_page: Open
) -> None:
    open_page("hosts")
    _end("longer", kind="evaluate")
    assert _said(open_page("hosts")) == [
        "longer has succeeded. [Open the comparison](compare?name=longer)"
    ]


def test_each_open_window_tells_it(small: Path, open_page: Open) -> None:
    first, second = open_page("hosts"), open_page("hosts")
    _end("longer")
    assert len(_said(first.run())) == len(_said(second.run())) == 1


def test_another_persons_job_and_a_step_on_the_way_are_not_told(
    small: Path, open_page: Open
) -> None:
    app = open_page("hosts")
    _end("longer", user="somebody")
    with db.writing() as session:
        waiting = jobs.find(session, "waiting-0").id
        events.record(session, "retry", actor="host-1", job=waiting)
    assert _said(app.run()) == []


def test_what_somebody_cancelled_themselves_is_no_news_and_what_another_did_is(
    small: Path, open_page: Open
) -> None:
    app = open_page("hosts")
    with db.reading() as session:
        mine, theirs = (jobs.find(session, f"waiting-{n}").id for n in range(2))
    jobs.cancel(mine, actor=Actor.admin(filled.USER))
    jobs.cancel(theirs, actor=Actor.admin("root"))
    [said] = _said(app.run())
    assert said.startswith("waiting-1 was cancelled.")


def test_many_ends_at_once_are_one_sentence(small: Path, open_page: Open) -> None:
    app = open_page("hosts", "zh")
    for n in range(3):
        _end(f"waiting-{n}")
    _end("longer", "failed")
    assert _said(app.run()) == [
        f"你的 4 个任务已结束：成功 3, 失败 1。 [查看你的任务](./?user={filled.USER})"
    ]


def test_who_was_away_for_very_long_is_told_of_the_latest_ends_only(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _end("longer")
    _end("waiting-0")
    monkeypatch.setattr(endings, "REACH", 1)
    with db.reading() as session:
        assert [each.name for each in endings.since(session, filled.USER, 0)] == ["waiting-0"]


def test_a_mark_never_goes_back(database: str) -> None:
    ann = Actor.admin("ann")
    for seq in (5, 9, 7):
        with db.writing() as session:
            endings.tell(session, seq, actor=ann)
    with db.reading() as session:
        assert endings.told(session, "ann") == 9
        assert endings.told(session, "bob") is None


def test_ends_are_found_in_their_order_on_both_databases(database: str) -> None:
    with db.writing() as session:
        for name in ("b", "a", "c"):
            session.add(Job(id=name, kind="train", name=name, user="ann", state=JobState.FAILED))
        session.flush()
        _note(session, "b", "a", "b")
        events.record(session, "submitted", actor="ann", job="c")
    with db.reading() as session:
        assert [each.name for each in endings.since(session, "ann", 0)] == ["b", "a"]
        assert endings.since(session, "ann", endings.newest(session)) == []


def _note(session: Session, *names: str) -> None:
    for name in names:
        events.record(session, "failed", actor="host-1", job=name)
