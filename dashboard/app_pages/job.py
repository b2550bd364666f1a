"""One job, by `?id=`: progress, curves, log, attempts, events, spec; cancel and retry."""

import json

import streamlit as st

from dashboard import language, live, moments, parts, queries
from dashboard.language import Words
from shared import db, jobs
from shared.errors import GraftError, explain
from shared.tables import Attempt, Event, Job, JobState

_AGAIN, _REFUSED = "job.again", "job.refused"


def summary(words: Words, job: Job) -> None:
    """Who asked for it, when, and how long it took."""
    ended = job.started_at is not None and job.finished_at is not None
    took = (job.finished_at or 0.0) - (job.started_at or 0.0) if ended else None
    parts.facts(
        [
            (words("jobs.id"), job.id),
            (words("jobs.kind"), words.code("kind", job.kind)),
            (words("jobs.user"), job.user),
            (words("jobs.host"), job.host or "–"),
            (words("job.submitted"), moments.clock(job.created_at)),
            (words("jobs.took"), moments.length(took, words)),
            (words("job.priority"), str(job.priority)),
        ]
    )


@st.dialog(" ", width="small")
def confirm(words: Words, action: str, job: Job) -> None:
    """Ask once more, naming the job; then act by its id."""
    st.markdown(words(f"job.{action}.ask"))
    st.text(f"{job.name} ({job.id})")
    with st.container(horizontal=True):
        done = st.button(
            words(f"job.{action}"),
            type="primary",
            key=f"confirm.{action}",
            on_click=act,
            args=(action, job.id),
        )
        if st.button(words("job.keep"), key="confirm.no") or done:
            st.rerun()


def act(action: str, job_id: str) -> None:
    """Cancel or retry the job; what came of it is shown by the next run."""
    try:
        if action == "cancel":
            jobs.cancel(job_id, actor=parts.actor())
        else:
            st.session_state[_AGAIN] = jobs.retry(job_id, actor=parts.actor()).id
    except GraftError as problem:
        st.session_state[_REFUSED] = problem


def after_action(words: Words) -> None:
    """Say why an action was refused, or open the job a retry made."""
    refused = st.session_state.pop(_REFUSED, None)
    if refused is not None:
        parts.failure(refused, words)
    again = st.session_state.pop(_AGAIN, None)
    if again is not None:
        st.switch_page("app_pages/job.py", query_params={"id": again})


def actions(words: Words, job: Job, made: tuple[str, str] | None) -> None:
    """What can be done with a job in its state."""
    with st.container(horizontal=True, vertical_alignment="center"):
        parts.state_badge(words, job.state)
        if job.cancel_requested_at and job.state == JobState.RUNNING:
            st.badge(words("job.cancelling"), color="orange", icon=":material/hourglass_top:")
        elif job.state in (JobState.QUEUED, JobState.RUNNING) and st.button(
            words("job.cancel"), icon=":material/stop_circle:", key="job.cancel"
        ):
            confirm(words, "cancel", job)
        if job.state in (JobState.FAILED, JobState.CANCELLED) and st.button(
            words("job.retry"), icon=":material/replay:", key="job.retry"
        ):
            confirm(words, "retry", job)
        if made is not None:
            page, name = made
            st.page_link(
                f"app_pages/{page}.py",
                label=words(f"job.made.{page}"),
                icon=":material/arrow_forward:",
                query_params={"name": name},
            )


@st.fragment(run_every=live.REFRESH)
def moving(words: Words, job_id: str, state: str) -> None:
    """The live part; the whole page is drawn again when the job's state has changed."""
    with parts.guard(words):
        if live.panel(words, job_id) != state:
            st.rerun()


@st.fragment
def still(words: Words, job_id: str) -> None:
    """The same part of a job that has ended."""
    with parts.guard(words):
        live.panel(words, job_id)


def attempts_table(words: Words, rows: list[Attempt]) -> None:
    """Each run of the job on a host."""
    if not rows:
        st.caption(words("job.attempts.empty"))
        return
    st.dataframe(
        [
            {
                words("job.attempt"): row.epoch,
                words("jobs.host"): row.host,
                words("job.device"): row.device,
                words("job.outcome"): words.code("outcome", row.outcome or "running"),
                words("job.reached"): f"{row.done:,} / {row.total:,}" if row.total else "–",
                words("job.started"): moments.clock(row.started_at),
                words("jobs.took"): moments.length(
                    row.ended_at - row.started_at if row.ended_at else None, words
                ),
                words("job.why"): explain(row.error, words.language),
            }
            for row in rows
        ],
        hide_index=True,
        alt=words("job.attempts"),
    )


def events_table(words: Words, rows: list[Event]) -> None:
    """What happened to the job, oldest first."""
    st.dataframe(
        [
            {
                words("job.when"): moments.clock(row.at),
                words("job.event"): words.code("event", row.kind),
                words("job.actor"): row.actor,
                words("job.data"): json.dumps(
                    {key: value for key, value in row.data.items() if value is not None},
                    ensure_ascii=False,
                )
                if row.data
                else "",
            }
            for row in rows
        ],
        hide_index=True,
        alt=words("job.events"),
    )


def details(words: Words, job: Job) -> None:
    """What does not move much: attempts, events, spec."""
    with db.reading() as session:
        attempts, events = jobs.attempts(session, job.id), jobs.history(session, job.id)
    names = ("attempts", "events", "spec")
    tabs = st.tabs([words(f"job.{name}") for name in names])
    with tabs[0]:
        attempts_table(words, attempts)
    with tabs[1]:
        events_table(words, events)
    with tabs[2]:
        text = json.dumps(job.spec, ensure_ascii=False, indent=2)
        st.code(text, language="json")
        st.download_button(
            words("job.spec.save"), text, f"{job.name}.json", "application/json",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def main() -> None:
    """Draw the page."""
    words = language.words()
    wanted = st.query_params.get("id", "")
    if not wanted:
        parts.header(words("job.title"))
        parts.empty(words("job.none"), page="app_pages/jobs.py", action=words("jobs.title"))
        return
    with db.reading() as session:
        job = jobs.find(session, wanted)
        made = queries.made_by(session, job) if job.state == JobState.SUCCEEDED else None
    after_action(words)
    parts.header(job.name)
    actions(words, job, made)
    summary(words, job)
    if JobState(job.state).is_final:
        still(words, job.id)
    else:
        moving(words, job.id, job.state)
    details(words, job)


main()
