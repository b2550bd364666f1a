"""The parts of a job's page that change while it runs: progress, curves, log."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeGuard

import streamlit as st
from sqlmodel import Session

from dashboard import audit_view, curves, job_log, moments, parts, queries, series
from dashboard.language import Words
from shared import db, jobs
from shared.config import settings
from shared.errors import explain
from shared.tables import Attempt, Job, JobState
from shared.why import Answer, why

#: Seconds between two looks at a job that runs or waits, and at what need not be so fresh.
REFRESH, SLOWLY = 2, 10


def progress(words: Words, job: Job, attempt: Attempt | None, now: float, left: float | None):
    """How far a running job is, and how long it may still take."""
    if job.state != JobState.RUNNING or attempt is None:
        return
    phase = words.code("phase", attempt.phase) or words("job.starting")
    if not attempt.total:
        st.progress(0.0, text=phase)
        return
    unit = words.code("unit", attempt.unit)
    text = f"{phase} · {attempt.done:,} / {attempt.total:,} {unit}"
    if left is not None:
        text += " · " + words("job.left", length=moments.length(left, words))
        text += " · " + words("job.ends", time=moments.clock(now + left)[11:16])
    st.progress(min(1.0, attempt.done / attempt.total), text=text)
    st.caption(words("job.elapsed", length=moments.length(now - attempt.started_at, words)))


def why_waiting(words: Words, job: Job, waits: Answer, needed: list[Job]) -> None:
    """Where a queued job stands, what it waits for and, where that can be known, how long."""
    if job.state != JobState.QUEUED:
        return
    text = waits.text(words.language)
    if waits.place is not None:
        text = words("job.queued", place=parts.ordinal(waits.place, words)) + " " + text
    if waits.starts_in:
        text += " " + words("job.starts_in", time=moments.length(waits.starts_in, words))
    st.info(parts.plain(text), icon=":material/schedule:")
    for other in needed:
        if other.state != JobState.SUCCEEDED:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.caption(words("job.waits"), width="content")
                st.page_link("app_pages/job.py", label=other.name, query_params={"id": other.id})
                parts.state_badge(words, other.state)


def failure(words: Words, job: Job) -> None:
    """Why it failed, was cancelled, or is being tried again."""
    if not job.error:
        return
    text = parts.plain(explain(job.error, words.language))
    if job.state == JobState.FAILED:
        st.error(text, icon=":material/error:")
    elif job.state == JobState.QUEUED:
        st.warning(words("job.again") + " " + text, icon=":material/replay:")
    else:
        st.info(text, icon=":material/info:")


@dataclass(frozen=True)
class Drawn:
    """What the page was laid out for; when it is no longer so, the whole page is drawn again."""

    state: str
    curves: bool


def head(words: Words, job_id: str) -> Drawn:
    """Why it waits, how far it is, how it ended."""
    with db.reading() as session:
        job = jobs.find(session, job_id)
        attempt = queries.latest_attempts(session, [job.id]).get(job.id)
        waits, needed = why(session, job), jobs.needs(session, job.id)
        course = read(session, job)
        now = queries.now(session)
    failure(words, job)
    why_waiting(words, job, waits, needed)
    left = course.seconds_left(attempt.done, attempt.total) if _in_steps(attempt) else None
    progress(words, job, attempt, now, left)
    return Drawn(job.state, bool(course.curves))


def read(session: Session, job: Job) -> series.Course:
    """The job's curves up to now."""
    return series.course(settings().database, job.id).look(session, job.id, job.epoch)


def _in_steps(attempt: Attempt | None) -> TypeGuard[Attempt]:
    return attempt is not None and attempt.unit == "steps"


def losses(words: Words, job_id: str) -> None:
    """The large chart."""
    with db.reading() as session:
        course = read(session, jobs.find(session, job_id))
    curves.losses(words, course)


def others(words: Words, job_id: str) -> None:
    """The small charts."""
    with db.reading() as session:
        course = read(session, jobs.find(session, job_id))
    curves.others(words, course)


def log(words: Words, job_id: str) -> None:
    """The log."""
    with db.reading() as session:
        job = jobs.find(session, job_id)
    job_log.show(words, job)


def audit(words: Words, job_id: str) -> None:
    """What was found in the data before the first step."""
    with db.reading() as session:
        job = jobs.find(session, job_id)
        audited = queries.lines_of_level(session, job.id, audit_view.LEVEL)
    audit_view.show(words, job, audited)


def part(draw: Callable[[Words, str], Any], words: Words, job_id: str, every: float | None) -> None:
    """Draw a part of the page that goes on by itself every so many seconds.

    Each is a fragment of its own: the browser takes over one after another, so that no update
    keeps it from a click for long.
    """

    @st.fragment(run_every=every, key=f"job.{draw.__name__}")
    def fragment() -> None:
        with parts.guard(words):
            draw(words, job_id)

    fragment()
