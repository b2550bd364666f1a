"""The jobs page's filters with their counts, the columns people choose, and their saved views."""

from collections import Counter
from urllib.parse import parse_qs, urlencode

import streamlit as st

from dashboard import address, job_list, job_table, job_ticks, parts
from dashboard.language import Words
from shared import db, saved_views
from shared.config import settings
from shared.specs import SPECS
from shared.tables import JobState, SavedView

_CODES = ("state", "kind", "user", "q", "columns")
AFTER = "jobs.after"


def restart() -> None:
    """Start from the newest job again, with rows that move."""
    st.session_state[AFTER] = []
    job_ticks.release()


def bar(words: Words) -> job_list.Filters:
    """Draw the filters with their counts; returns what is chosen."""
    found = job_list.matrix()
    with st.container(horizontal=True, vertical_alignment="top", key="job-filters"):
        states = _pills(words, "state", list(JobState), _sum(found, 1))
        kinds = _pills(words, "kind", list(SPECS), _sum(found, 2))
        user = _user(words, _sum(found, 0))
        text = st.text_input(
            words("jobs.search"),
            placeholder=words("jobs.search.hint"),
            icon=":material/search:",
            key=address.seed_text("jobs", "q"),
            on_change=restart,
            persist_state="session",
            width=190,
        )
    sweep = next(iter(st.query_params.get_all("sweep")), "")
    address.keep("jobs", "state", states)
    address.keep("jobs", "kind", kinds)
    address.keep("jobs", "user", [user] if user else [])
    address.keep("jobs", "q", [text] if text else [])
    return job_list.Filters(tuple(states), tuple(kinds), user, text or "", sweep)


def looks(words: Words) -> list[str]:
    """Draw which columns are shown and the saved views; returns the columns."""
    with st.container(horizontal=True, width="content"):
        columns = _columns(words)
        views(words)
    address.keep("jobs", "columns", [] if tuple(columns) == job_table.SHOWN else columns)
    return columns


def _sum(found: job_list.Matrix, place: int) -> Counter[str]:
    """The matrix added up by one of its three sides."""
    sums: Counter[str] = Counter()
    for key, count in found.items():
        sums[key[place]] += count
    return sums


def _pills(words: Words, name: str, codes: list[str], counts: Counter[str]) -> list[str]:
    chosen = st.pills(
        words(f"jobs.{name}"),
        codes,
        selection_mode="multi",
        format_func=lambda code: f"{words.code(name, code)} {counts[code]:,}",
        key=address.seed("jobs", name, codes),
        on_change=restart,
        persist_state="session",
    )
    return [str(code) for code in chosen]


def _user(words: Words, counts: Counter[str]) -> str:
    names = sorted(counts, key=lambda name: (name != parts.user(), name))
    key = address.seed_text("jobs", "user")
    if st.session_state[key] not in names:
        st.session_state[key] = None
    return st.selectbox(
        words("jobs.user"),
        names,
        format_func=lambda name: f"{name} · {counts[name]:,}",
        placeholder=words("jobs.user.all"),
        key=key,
        on_change=restart,
        persist_state="session",
        width=150,
    ) or ""  # fmt: skip


def _columns(words: Words) -> list[str]:
    """Which columns to show, in the table's order; the first one opens the job and stays."""
    offered = [name for name in job_table.COLUMNS if name != "id"]
    key = address.seed("jobs", "columns", offered)
    if not st.session_state[key]:
        st.session_state[key] = list(job_table.SHOWN)
    with st.popover(words("jobs.columns"), icon=":material/view_column:"):
        chosen = st.multiselect(
            words("jobs.columns"),
            offered,
            format_func=lambda name: words(f"jobs.{name}"),
            placeholder=words("submit.choose"),
            key=key,
            label_visibility="collapsed",
            persist_state="session",
        )
    return [name for name in offered if name in chosen]


def views(words: Words) -> None:
    """Saved views: links to open, one to save, and one to forget."""
    mine = _views(settings().database, parts.user())
    with st.popover(words("jobs.views"), icon=":material/bookmark:"):
        for view in mine:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.page_link(
                    "app_pages/jobs.py",
                    label=parts.plain(view.name),
                    icon=":material/bookmark:",
                    query_params=parse_qs(view.query),
                )
                st.button(
                    words("jobs.views.forget"), icon=":material/close:", type="tertiary",
                    key=f"jobs.view.{view.name}", on_click=_forget, args=(view.name,),
                )  # fmt: skip
        if not mine:
            st.caption(words("jobs.views.none"))
        st.text_input(words("jobs.views.name"), key="jobs.view", max_chars=40)
        st.button(words("jobs.views.save"), icon=":material/save:", on_click=_save)


@st.cache_resource(ttl=10, max_entries=200, show_spinner=False)
def _views(database: str, user: str) -> list[SavedView]:
    with db.reading() as session:
        return saved_views.listing(session, "jobs", user)


def _save() -> None:
    name = str(st.session_state["jobs.view"]).strip()
    if not name:
        return
    query = {code: values for code in _CODES if (values := st.query_params.get_all(code))}
    with db.writing() as session:
        saved_views.keep(
            session, "jobs", name, urlencode(query, doseq=True), actor=parts.actor()
        )  # fmt: skip
    st.session_state["jobs.view"] = ""
    _views.clear()


def _forget(name: str) -> None:
    with db.writing() as session:
        saved_views.forget(session, "jobs", name, actor=parts.actor())
    _views.clear()
