"""The table of jobs: its rows as a reader of that language sees them, and its columns."""

from typing import Any

import pyarrow as pa
import streamlit as st

from dashboard import job_list, moments, parts
from dashboard.language import Words
from shared.config import settings
from shared.errors import Language, explain
from shared.tables import JobState

#: Column codes in their order, with their width in pixels.
COLUMNS = {
    "id": 125, "state": 105, "name": 170, "kind": 75, "progress": 110, "note": 240, "user": 95,
    "project": 90, "priority": 70, "host": 90, "created": 120, "took": 110, "sweep": 115,
}  # fmt: skip
SHOWN = ("state", "name", "kind", "progress", "note", "user", "host", "created", "took")
OPEN, OPENED = "jobs.open", "jobs.opened"


def open_job() -> None:
    """Remember the id on the clicked button; a row's place may have changed since it was drawn."""
    click = st.session_state.get(OPEN)
    if click is not None:
        st.session_state[OPENED] = str(click["label"])


def cells(words: Words, job: Any, now: float) -> dict[str, Any]:
    """One line of the table."""
    share = None
    note = explain(job.error, words.language)
    if job.state == JobState.RUNNING and job.phase is not None:
        share = job.done / job.total if job.total else None
        note = words.code("phase", job.phase)
    took = (job.finished_at or now) - job.started_at if job.started_at else None
    return {
        "id": job.id,
        "name": job.name,
        "state": [words.code("state", job.state)],
        "kind": words.code("kind", job.kind),
        "progress": share,
        "note": note,
        "user": job.user,
        "project": job.project,
        "priority": job.priority,
        "host": job.host or "",
        "created": moments.ago(job.created_at, now, words),
        "took": moments.length(took, words) if took is not None else "",
        "sweep": job.sweep or "",
    }


def table(words: Words, ids: tuple[str, ...], found: job_list.Found) -> pa.Table:
    """The rows in Arrow's columns, made once for all viewers of the same rows and language."""
    return _table(settings().database, words.language, ids, found.now, found)


@st.cache_resource(ttl=job_list.FRESH, max_entries=200, show_spinner=False)
def _table(
    database: str, language: Language, ids: tuple[str, ...], now: float, _found: job_list.Found
) -> pa.Table:
    words = Words(language)
    lines = [cells(words, job, now) for job in _found.rows]
    types = {"progress": pa.float64(), "priority": pa.int64(), "state": pa.list_(pa.string())}
    fields = [pa.field(name, types.get(name, pa.string())) for name in COLUMNS]
    return pa.Table.from_pylist(lines, schema=pa.schema(fields))


def configuration(words: Words) -> dict[str, Any]:
    """How the table shows each column."""
    config = st.column_config
    named: dict[str, Any] = {
        name: config.TextColumn(words(f"jobs.{name}"), width=width)
        for name, width in COLUMNS.items()
    }
    return named | {
        "id": config.ButtonColumn(
            words("jobs.id"), on_click=open_job, key=OPEN, width=COLUMNS["id"], alignment="left"
        ),
        "state": config.MultiselectColumn(
            words("jobs.state"),
            options=[words.code("state", state) for state in JobState],
            color=[parts.STATE_COLOURS[state] for state in JobState],
            width=COLUMNS["state"],
        ),
        "progress": config.ProgressColumn(
            words("jobs.progress"), min_value=0.0, max_value=1.0, format="percent",
            width=COLUMNS["progress"],
        ),
        "priority": config.NumberColumn(words("jobs.priority"), width=COLUMNS["priority"]),
    }  # fmt: skip
