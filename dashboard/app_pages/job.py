"""One job, by `?id=`: progress, curves, log, attempts, events, spec; cancel and retry."""

import streamlit as st

from dashboard import job_details, language, live, moments, parts, queries
from dashboard.language import Words
from shared import db, jobs
from shared.errors import GraftError
from shared.tables import Job, JobState

_AGAIN, _REFUSED = "job.again", "job.refused"


def summary(words: Words, job: Job) -> None:
    """Who asked for it, when, and how long it took."""
    ended = job.started_at is not None and job.finished_at is not None
    project = "" if job.project == "default" else f" · {job.project}"
    host = job.host or "–"
    if job.gpus > 1:
        host = words("job.cards", host=host, count=job.gpus)
    took = (job.finished_at or 0.0) - (job.started_at or 0.0) if ended else None
    parts.facts(
        [
            (words("jobs.id"), job.id),
            (words("jobs.kind"), words.code("kind", job.kind)),
            (
                words("jobs.user"),
                job.user + project,
            ),
            (words("jobs.host"), host),
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
        st.page_link(
            f"app_pages/{'playground' if job.kind == 'chat' else 'submit'}.py",
            label=words("job.clone"),
            icon=":material/content_copy:",
            query_params={"like": job.id},
        )
        if job.kind == "chat":
            made = ("playground", job.id)
        if made is not None:
            page, name = made
            st.page_link(
                f"app_pages/{page}.py",
                label=words(f"job.made.{page}"),
                icon=":material/arrow_forward:",
                query_params={"id" if page == "playground" else "name": name},
            )


def moving(words: Words, job: Job) -> None:
    """The live parts; the whole page is drawn again when the job's state has changed."""
    ended = JobState(job.state).is_final
    drawn: list[live.Drawn] = []

    def head(words: Words, job_id: str) -> None:
        found = live.head(words, job_id)
        if not drawn:
            drawn.append(found)
        elif drawn[0] != found:
            st.rerun()

    fast, slow = (None, None) if ended else (live.REFRESH, live.SLOWLY)
    live.part(head, words, job.id, fast)
    if drawn and drawn[0].curves:
        left, right = st.columns([3, 2], gap="medium")
        with left:
            live.part(live.losses, words, job.id, fast)
            live.part(live.others, words, job.id, slow)
        with right:
            live.part(live.log, words, job.id, fast)
    else:
        live.part(live.log, words, job.id, fast)
    live.part(live.audit, words, job.id, slow)


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
    moving(words, job)
    job_details.show(words, job)


main()
