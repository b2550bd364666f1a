"""Submitting the form: one job, or a job for each point of a grid, and where they stand then."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard import drafting, parts
from dashboard.language import Words
from dashboard.sweep_fields import Grid
from shared import db, jobs, why
from shared.config import settings
from shared.errors import GraftError
from shared.queueing import Request, submit_many
from shared.specs import parse_spec
from shared.sweeps import submit_sweep

_DONE, _CLEAR, _MADE = "submit.done", "submit.clear", "submit.made"


def clear_name() -> None:
    """Empty the name that was just used up, before its field is drawn."""
    if (key := st.session_state.pop(_CLEAR, None)) is not None:
        st.session_state[key] = ""


def send(words: Words, values: Mapping[str, Any], grid: Grid, gpus: int) -> None:
    """Submit the spec, or say what is wrong with it."""
    try:
        request = Request(actor=parts.actor(), project=settings().project, gpus=gpus)
        if grid:
            made = submit_sweep(values, grid, request)
        else:
            made = submit_many([parse_spec(dict(values))], request)
    except GraftError as problem:
        parts.failure(problem, words)
        return
    st.session_state[_DONE], st.session_state[_MADE] = made[0].id, len(made)
    st.session_state[_CLEAR] = f"draft.{made[0].kind}.name"
    drafting.forget_note()
    st.rerun()


def confirmation(words: Words, kind: str) -> None:
    """Where what this form just submitted stands."""
    job_id = st.session_state.get(_DONE)
    if job_id is None:
        return
    with db.reading() as session:
        job = jobs.find(session, job_id)
        place = why.place(session, job)
    if job.kind != kind:
        return
    text = (
        words("submit.running", name=job.name, state=words.code("state", job.state))
        if place is None
        else words("submit.queued", name=job.name, place=parts.ordinal(place, words))
    )
    made = st.session_state.get(_MADE, 1)
    if job.sweep:
        text = words("submit.many", count=made) + " " + text
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        st.badge(text, icon=":material/check:", color="green")
        st.page_link(
            f"app_pages/{'jobs' if job.sweep else 'job'}.py",
            label=words("submit.open.all" if job.sweep else "submit.open"),
            icon=":material/arrow_forward:",
            query_params={"sweep": job.sweep} if job.sweep else {"id": job.id},
        )
