"""Jobs: every job of the pool, live, filtered by state, kind and text, fifty to a page."""

from typing import Any

import streamlit as st

from dashboard import address, language, moments, parts, queries
from dashboard.language import Words
from shared import db, jobs
from shared.errors import explain
from shared.specs import SPECS
from shared.tables import Attempt, Job, JobState

PAGE = 50
_CURSORS = "jobs.cursors"


def filters(words: Words, by_state: dict[str, int], by_kind: dict[str, int]) -> dict[str, Any]:
    """The filter row; its choices stand in the address."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="job-filters"):
        states = st.pills(
            words("jobs.state"),
            list(JobState),
            selection_mode="multi",
            format_func=lambda code: f"{words.code('state', code)} {by_state.get(code, 0):,}",
            key=address.seed("jobs", "state", list(JobState)),
            on_change=first_page,
            persist_state="session",
        )
        kinds = st.pills(
            words("jobs.kind"),
            list(SPECS),
            selection_mode="multi",
            format_func=lambda code: f"{words.code('kind', code)} {by_kind.get(code, 0):,}",
            key=address.seed("jobs", "kind", list(SPECS)),
            on_change=first_page,
            persist_state="session",
        )
        text = st.text_input(
            words("jobs.search"),
            placeholder=words("jobs.search.hint"),
            icon=":material/search:",
            key=address.seed_text("jobs", "q"),
            on_change=first_page,
            persist_state="session",
            width=240,
        )
    address.keep("jobs", "state", [str(state) for state in states])
    address.keep("jobs", "kind", [str(kind) for kind in kinds])
    address.keep("jobs", "q", [text] if text else [])
    return {"states": states, "kinds": kinds, "text": text or ""}


def first_page() -> None:
    """Start from the newest job again."""
    st.session_state[_CURSORS] = []


def open_job() -> None:
    """Remember the id on the clicked button; a row's place may have changed since it was drawn."""
    click = st.session_state.get("jobs.open")
    if click is not None:
        st.session_state["jobs.opened"] = str(click["label"])


def row(words: Words, job: Job, attempt: Attempt | None, now: float) -> dict[str, Any]:
    """One line of the table."""
    share = None
    note = explain(job.error, words.language)
    if job.state == JobState.RUNNING and attempt is not None:
        share = attempt.done / attempt.total if attempt.total else None
        note = words.code("phase", attempt.phase)
    return {
        "id": job.id,
        "name": job.name,
        "kind": words.code("kind", job.kind),
        "state": [words.code("state", job.state)],
        "progress": share,
        "note": note,
        "user": job.user,
        "host": job.host or "",
        "created": moments.ago(job.created_at, now, words),
        "took": moments.length((job.finished_at or now) - job.started_at, words)
        if job.started_at
        else "",
    }


def columns(words: Words) -> dict[str, Any]:
    """How the table shows each column."""
    config = st.column_config
    widths = {
        "name": 180, "kind": 90, "note": 260, "user": 100, "host": 110, "created": 110, "took": 90
    }  # fmt: skip
    named = {
        name: config.TextColumn(words(f"jobs.{name}"), width=width)
        for name, width in widths.items()
    }
    return named | {
        "id": config.ButtonColumn(
            words("jobs.id"), on_click=open_job, key="jobs.open", width=140, alignment="left"
        ),
        "state": config.MultiselectColumn(
            words("jobs.state"),
            options=[words.code("state", state) for state in JobState],
            color=[parts.STATE_COLOURS[state] for state in JobState],
            width=110,
        ),
        "progress": config.ProgressColumn(
            words("jobs.progress"), min_value=0.0, max_value=1.0, format="percent", width=120
        ),
    }


def older(last: Job) -> None:
    """Go on after this job."""
    st.session_state[_CURSORS].append((last.created_at, last.id))


def newer() -> None:
    """Go back a page."""
    st.session_state[_CURSORS].pop()


def pager(words: Words, found: list[Job], total: int) -> None:
    """Older and newer, from the last row on: a page never shifts while jobs arrive."""
    before = len(st.session_state[_CURSORS]) * PAGE
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        last = before + min(len(found), PAGE)
        shown = words("jobs.shown", first=before + 1, last=last, total=f"{total:,}")
        st.caption(shown, width="content")
        with st.container(horizontal=True, width="content"):
            st.button(
                words("jobs.newer"), disabled=not before, icon=":material/chevron_left:",
                key="jobs.newer", on_click=newer,
            )  # fmt: skip
            st.button(
                words("jobs.older"), disabled=len(found) <= PAGE, icon=":material/chevron_right:",
                key="jobs.older", on_click=older, args=(found[min(len(found), PAGE) - 1],),
            )  # fmt: skip


@st.fragment(run_every=3)
def listing(words: Words) -> None:
    """The live part: counts, filters, table and pager."""
    with parts.guard(words):
        _listing(words)
    if (opened := st.session_state.pop("jobs.opened", None)) is not None:
        st.switch_page("app_pages/job.py", query_params={"id": opened})


def _listing(words: Words) -> None:
    cursors = st.session_state.setdefault(_CURSORS, [])
    with db.reading() as session:
        by_state, by_kind = jobs.counts(session), queries.kind_counts(session)
    if not sum(by_state.values()):
        parts.empty(
            words("jobs.empty"), page="app_pages/submit.py", action=words("jobs.empty.action")
        )
        return
    chosen = filters(words, by_state, by_kind)
    with db.reading() as session:
        before = cursors[-1] if cursors else None
        found = jobs.listing(session, **chosen, before=before, limit=PAGE + 1)
        total = jobs.total(session, **chosen)
        attempts = queries.latest_attempts(session, [job.id for job in found])
        now = queries.now(session)
    if not found:
        st.info(words("jobs.nothing"), icon=":material/filter_alt:")
        return
    st.dataframe(
        [row(words, job, attempts.get(job.id), now) for job in found[:PAGE]],
        hide_index=True,
        column_config=columns(words),
        height="content" if len(found) <= 16 else 600,
        key="jobs.table",
        alt=words("jobs.title"),
    )
    pager(words, found, total)


def main() -> None:
    """Draw the page."""
    words = language.words()
    parts.header(words("jobs.title"))
    listing(words)


main()
