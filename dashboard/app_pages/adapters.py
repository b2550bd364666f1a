"""Adapters: the library, and one adapter's facts, lineage and files."""

from typing import Any

import streamlit as st

from dashboard import address, charts, language, moments, parts, queries
from dashboard.archive import zipped
from dashboard.language import Words
from shared import db, results
from shared.specs import FUSION_METHODS
from shared.storage import store
from shared.tables import Adapter


def open_adapter() -> None:
    """Show the adapter whose name was clicked."""
    click = st.session_state.get("adapters.open")
    if click is not None:
        address.go(name=str(click["label"]))


def listing(words: Words) -> None:
    """Every adapter, newest first."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            words("adapters.search"),
            placeholder=words("adapters.search.hint"),
            icon=":material/search:",
            key=address.seed_text("adapters", "q"),
            persist_state="session",
            width=280,
        )
    address.keep("adapters", "q", [text] if text else [])
    with db.reading() as session:
        found = results.adapters(session, text=text or "")
        now = queries.now(session)
    if not found and not text:
        parts.empty(
            words("adapters.empty"), page="app_pages/submit.py", action=words("jobs.empty.action"),
            query={"kind": "train"},
        )  # fmt: skip
        return
    if not found:
        st.info(words("adapters.nothing"), icon=":material/filter_alt:")
        return
    st.dataframe(
        [
            {
                "name": each.name,
                "method": [words.code("method", each.method)],
                "base": each.base_model,
                "rank": each.rank,
                "parents": ", ".join(each.parents or []),
                "size": moments.size(each.bytes),
                "user": each.user,
                "created": moments.ago(each.created_at, now, words),
            }
            for each in found
        ],
        hide_index=True,
        height="content" if len(found) <= 16 else 600,
        column_config=columns(words),
        key="adapters.table",
        alt=words("adapters.title"),
    )


def columns(words: Words) -> dict[str, Any]:
    """How the table shows each column."""
    config = st.column_config
    return {
        "name": config.ButtonColumn(
            words("adapters.name"), type="tertiary", on_click=open_adapter, key="adapters.open",
            alignment="left",
        ),
        "method": config.MultiselectColumn(
            words("adapters.method"),
            options=[
                words.code("method", each)
                for each in ("train", *FUSION_METHODS)
            ],
            color="auto",
        ),
        "base": words("adapters.base"),
        "rank": words("adapters.rank"),
        "parents": words("adapters.parents"),
        "size": words("datasets.size"),
        "user": words("jobs.user"),
        "created": words("jobs.created"),
    }  # fmt: skip


def fact_text(value: Any) -> str:
    """A fact a job reported, on one line."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else str(value)


def detail(words: Words, name: str) -> None:
    """One adapter."""
    with db.reading() as session:
        found = results.adapter(session, name)
        edges = results.lineage(session, name)
        children = queries.children(session, name)
        compared = queries.comparisons_with(session, name)
        bases = {row.name for row in queries.bases(session)}
    buttons(words, found)
    parts.facts(
        [
            (words("adapters.method"), words.code("method", found.method)),
            (words("adapters.base"), found.base_model),
            (words("adapters.rank"), str(found.rank)),
            (words("datasets.size"), moments.size(found.bytes)),
            (words("jobs.user"), found.user),
            (words("jobs.created"), moments.clock(found.created_at)),
            (words("adapters.digest"), found.sha256[:16]),
        ]
    )
    st.subheader(words("adapters.lineage"), anchor=False)
    edges += [(name, child) for child in children]
    adapters = {child for _, child in edges} | set(found.parents or [])
    kinds = {
        node: "adapter" if node in adapters else "base" if node in bases else "dataset"
        for edge in edges
        for node in edge
    }
    st.mermaid_chart(charts.lineage(edges, kinds), width="content", alt=words("adapters.lineage"))
    links(words, found, children, compared)
    if found.facts:
        st.subheader(words("adapters.facts"), anchor=False)
        parts.facts([(key, fact_text(value)) for key, value in sorted(found.facts.items())])


def buttons(words: Words, found: Adapter) -> None:
    """Download it, see the job that made it, use it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            words("adapters.download"),
            lambda: zipped(store().open_path(found.uri), found.name),
            f"{found.name}.zip",
            "application/zip",
            icon=":material/download:",
            on_click="ignore",
        )
        if found.job_id:
            st.page_link(
                "app_pages/job.py",
                label=words("adapters.job"),
                icon=":material/article:",
                query_params={"id": found.job_id},
            )
        st.page_link(
            "app_pages/playground.py",
            label=words("playground.try"),
            icon=":material/forum:",
            query_params={"adapter": found.name},
        )
        for kind in ("fuse", "evaluate"):
            st.page_link(
                "app_pages/submit.py",
                label=words(f"adapters.{kind}"),
                icon=":material/add_circle:",
                query_params={"kind": kind},
            )


def links(words: Words, found: Adapter, children: list[str], compared: list[str]) -> None:
    """Its neighbours in the lineage, and the comparisons it is part of."""
    rows = (
        ("adapters", "adapters.parents", found.parents or []),
        ("adapters", "adapters.children", children),
        ("compare", "adapters.compared", compared),
    )
    for page, title, names in rows:
        if names:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.caption(words(title), width="content")
                for name in names:
                    st.page_link(f"app_pages/{page}.py", label=name, query_params={"name": name})


def main() -> None:
    """Draw the page."""
    words = language.words()
    name = st.query_params.get("name", "")
    if name:
        parts.header(name)
        parts.back(words("adapters.title"))
        with parts.guard(words):
            detail(words, name)
        return
    parts.header(words("adapters.title"), lead=words("adapters.lead"))
    listing(words)


main()
