"""Cancel, retry and reprioritise, one job or many: asked once more by name, done by id."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard import job_list, job_ticks, parts
from dashboard.language import Words
from shared import jobs
from shared.errors import GraftError
from shared.tables import JobState

#: In which states an action makes sense.
STATES: dict[str, tuple[JobState, ...]] = {
    "cancel": (JobState.QUEUED, JobState.RUNNING),
    "retry": (JobState.FAILED, JobState.CANCELLED),
    "priority": (JobState.QUEUED,),
}
ICONS = {
    "cancel": ":material/stop_circle:",
    "retry": ":material/replay:",
    "priority": ":material/low_priority:",
}
_DONE = "jobs.done"
#: Jobs that a question names one by one; more are counted.
_NAMED = 12


@dataclass(frozen=True)
class Done:
    """What came of an action: how many it was done to, and why not to others."""

    action: str
    #: Ids of the jobs that a retry made, or that were changed.
    ids: tuple[str, ...]
    refused: tuple[tuple[str, GraftError], ...]


def fitting(action: str, chosen: Sequence[Any]) -> list[Any]:
    """Those jobs that the action can be done to in their state."""
    return [job for job in chosen if job.state in STATES[action]]


def bar(words: Words, chosen: Sequence[Any]) -> None:
    """The row above the table: what can be done to the ticked jobs."""
    outcome(words)
    with st.container(horizontal=True, vertical_alignment="center", key="job-bar"):
        if not chosen:
            st.caption(words("jobs.bar.hint"), width="content")
            return
        st.markdown(words("jobs.bar", count=len(chosen)), width="content")
        for action, icon in ICONS.items():
            fit = fitting(action, chosen)
            if st.button(
                words(f"jobs.bar.{action}", count=len(fit)), icon=icon, disabled=not fit,
                key=f"jobs.bar.{action}",
            ):  # fmt: skip
                ask(words, action, fit)
        st.button(
            words("jobs.bar.clear"), icon=":material/close:", type="tertiary",
            key="jobs.bar.clear", on_click=job_ticks.clear,
        )  # fmt: skip


def ask(words: Words, action: str, fit: Sequence[Any]) -> None:
    """Ask once more in a window of its own, naming the jobs and whose they are."""
    title = words(f"jobs.ask.{action}", count=len(fit))
    st.dialog(title, width="small")(_question)(words, action, fit)


def _question(words: Words, action: str, fit: Sequence[Any]) -> None:
    mine = [job for job in fit if job.user == parts.user()]
    theirs = [job for job in fit if job.user != parts.user()]
    _named(mine)
    if theirs:
        names = ", ".join(sorted({job.user for job in theirs}))
        asked = words("jobs.ask.others", count=len(theirs), users=names)
        if st.checkbox(asked, key="jobs.ask.others", value=not mine):
            _named(theirs)
            mine = [*mine, *theirs]
    st.caption(words(f"jobs.ask.{action}.help"))
    priority = None
    if action == "priority":
        priority = st.slider(words("jobs.priority"), 0, 9, 5, key="jobs.ask.priority")
    with st.container(horizontal=True):
        done = st.button(
            words(f"jobs.ask.{action}.yes", count=len(mine)), type="primary", disabled=not mine,
            key=f"confirm.{action}", on_click=act,
            args=(action, [(job.id, job.name) for job in mine], priority),
        )  # fmt: skip
        if st.button(words("job.keep"), key="confirm.no") or done:
            st.rerun()


def _named(some: Sequence[Any]) -> None:
    lines = [f"{job.name} ({job.id}) · {job.user}" for job in some[:_NAMED]]
    if len(some) > _NAMED:
        lines.append(f"+ {len(some) - _NAMED}")
    st.text("\n".join(lines))


def act(action: str, named: Sequence[tuple[str, str]], priority: int | None) -> None:
    """Do it to each job by its id; what came of it is shown by the next run."""
    ids, refused = [], []
    for job_id, name in named:
        try:
            ids.append(_one(action, job_id, priority))
        except GraftError as problem:
            refused.append((name, problem))
    st.session_state[_DONE] = Done(action, tuple(ids), tuple(refused))
    job_list.forget()
    job_ticks.clear()


def _one(action: str, job_id: str, priority: int | None) -> str:
    if action == "retry":
        return jobs.retry(job_id, actor=parts.actor()).id
    if action == "priority":
        return jobs.reprioritise(job_id, priority or 0, actor=parts.actor()).id
    jobs.cancel(job_id, actor=parts.actor())
    return job_id


def outcome(words: Words, then: Callable[[Done], None] | None = None) -> None:
    """Say once what came of the last action."""
    done: Done | None = st.session_state.pop(_DONE, None)
    if done is None:
        return
    if done.ids:
        st.toast(words(f"jobs.did.{done.action}", count=len(done.ids)), icon=":material/check:")
    for name, problem in done.refused:
        text = f"{name}: {problem.message(words.language)}"
        st.error(parts.plain(text), icon=":material/error:")
    if then is not None:
        then(done)
