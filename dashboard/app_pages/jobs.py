"""Jobs: every job of the pool, live, filtered, fifty to a page; act on several at once."""

from typing import Any

import streamlit as st

from dashboard import (
    address,
    job_actions,
    job_filters,
    job_list,
    job_table,
    job_ticks,
    language,
    parts,
)
from dashboard.job_filters import AFTER
from dashboard.language import Words


@st.fragment(run_every=2)
def listing(words: Words) -> None:
    """The live part: filters with their counts, and the rows that they leave."""
    with parts.guard(words):
        if job_list.matrix():
            rows(words, job_filters.bar(words))
        else:
            parts.empty(
                words("jobs.empty"), page="app_pages/submit.py", action=words("jobs.empty.action")
            )


@st.fragment
def rows(words: Words, filters: job_list.Filters) -> None:
    """Actions, table and pager: a tick or the next page draws these alone anew."""
    with parts.guard(words):
        _rows(words, filters)
    if (opened := st.session_state.pop(job_table.OPENED, None)) is not None:
        st.switch_page("app_pages/job.py", query_params={"id": opened})


def _rows(words: Words, filters: job_list.Filters) -> None:
    cursors = _cursors()
    found = job_list.page(filters, cursors[-1] if cursors else "")
    fresh = tuple(job.id for job in found.rows)
    if held := job_ticks.held(fresh):
        found = job_list.these(tuple(held))
    if not found.rows and not held:
        st.info(words("jobs.nothing"), icon=":material/filter_alt:")
        return
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        job_actions.bar(words, _ticked(found))
        columns = job_filters.looks(words)
    _table(words, found, columns)
    arrived = len(set(fresh) - set(held)) if held else 0
    _pager(words, found, job_list.total(filters), arrived)
    job_ticks.keep()


def _cursors() -> list[str]:
    """The last ids of the pages before this one; a link brings the last of them."""
    linked = address.arrived("jobs", "after")
    cursors = st.session_state.setdefault(AFTER, [])
    if linked and cursors[-1:] != linked[:1]:
        cursors[:] = linked[:1]
    address.keep("jobs", "after", cursors[-1:])
    return cursors


def _ticked(found: job_list.Found) -> list[Any]:
    """The ticked jobs' rows, also those on other pages."""
    chosen = job_ticks.ticked()
    here = {job.id: job for job in found.rows}
    if missing := tuple(job_id for job_id in chosen if job_id not in here):
        here |= {job.id: job for job in job_list.these(missing).rows}
    return [here[job_id] for job_id in chosen if job_id in here]


def _table(words: Words, found: job_list.Found, columns: list[str]) -> None:
    ids = tuple(job.id for job in found.rows)
    key = job_ticks.table_key(ids)
    st.dataframe(
        job_table.table(words, ids, found),
        hide_index=True,
        column_config=job_table.configuration(words),
        column_order=["id", *columns],
        height="content" if len(ids) <= 16 else 600,
        key=key,
        on_select=lambda: job_ticks.take(key, ids),
        selection_mode="multi-row",
        selection_default={"selection": {"rows": job_ticks.places(ids)}},
        placeholder="",
        alt=words("jobs.title"),
    )


def _pager(words: Words, found: job_list.Found, total: int, arrived: int) -> None:
    """Older and newer, from the last row on: a page never shifts while jobs arrive."""
    cursors = st.session_state[AFTER]
    before = len(cursors) * job_list.PAGE
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        last = before + len(found.rows)
        text = words("jobs.shown", first=before + 1, last=last, total=f"{total:,}")
        if arrived:
            text += " · " + words("jobs.arrived", count=arrived)
        st.caption(text, width="content")
        with st.container(horizontal=True, width="content"):
            st.button(
                words("jobs.newer"), disabled=not before, icon=":material/chevron_left:",
                key="jobs.newer", on_click=_newer,
            )  # fmt: skip
            st.button(
                words("jobs.older"), disabled=last >= total, icon=":material/chevron_right:",
                key="jobs.older", on_click=_older, args=(found.rows[-1].id,),
            )  # fmt: skip


def _older(last: str) -> None:
    """Go on after this job."""
    job_ticks.release()
    st.session_state[AFTER].append(last)


def _newer() -> None:
    """Go back a page."""
    job_ticks.release()
    st.session_state[AFTER].pop()


def main() -> None:
    """Draw the page."""
    words = language.words()
    parts.header(words("jobs.title"))
    listing(words)


main()
