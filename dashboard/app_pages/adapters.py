"""Adapters: the library, and one adapter's facts, lineage and files."""

from typing import Any

import streamlit as st

from dashboard import adapter_card, address, moments, parts, queries
from dashboard.adapter_upload import upload
from dashboard.archive import zipped
from dashboard.comparing import arms
from dashboard.comparing.modules import modules
from dashboard.frame import framed
from dashboard.language import Words
from dashboard.uses import uses
from shared import adapter_library, comparisons, db, results
from shared.adapter_library import Entry
from shared.cards import AdapterCard
from shared.comparisons.words import score
from shared.metrics import METRICS
from shared.specs import FUSION_METHODS
from shared.storage import store
from shared.tables import Adapter


def open_adapter() -> None:
    """Show the adapter whose name was clicked."""
    click = st.session_state.get("adapters.open")
    if click is not None:
        address.go(name=str(click["label"]))


def listing(words: Words) -> None:
    """Every adapter, newest first, found by what is known or was written about it."""
    with db.reading() as session:
        known = adapter_library.all_tags(session)
    text, tags = "", []
    with st.container(horizontal=True, vertical_alignment="top"):
        text = st.text_input(
            words("adapters.search"),
            placeholder=words("adapters.search.hint"),
            icon=":material/search:",
            key=address.seed_text("adapters", "q"),
            persist_state="session",
            width=280,
        )
        if known:
            tags = st.pills(
                words("adapters.tags"), known, selection_mode="multi",
                key=address.seed("adapters", "tag", known), persist_state="session",
            )  # fmt: skip
    address.keep("adapters", "q", [text] if text else [])
    address.keep("adapters", "tag", tags)
    upload(words)
    with db.reading() as session:
        found = adapter_library.entries(session, text=text or "", tags=tags)
        now = queries.now(session)
    if not found and not text and not tags:
        parts.empty(
            words("adapters.empty"), page="app_pages/submit.py", action=words("jobs.empty.action"),
            query={"kind": "train"},
        )  # fmt: skip
        return
    if not found:
        st.info(words("adapters.nothing"), icon=":material/filter_alt:")
        return
    st.dataframe(
        [_row(words, each, now) for each in found],
        hide_index=True,
        height="content" if len(found) <= 16 else 600,
        column_config=columns(words),
        key="adapters.table",
        alt=words("adapters.title"),
    )


def _row(words: Words, each: Entry, now: float) -> dict[str, Any]:
    own = each.adapter
    return {
        "name": own.name,
        "promoted": "★" if each.card.promoted_by else "",
        "method": [words.code("method", own.method)],
        "base": own.base_model,
        "rank": own.rank or None,
        "tags": each.card.tags,
        "parents": ", ".join(own.parents or []),
        "size": moments.size(own.bytes),
        "user": own.user,
        "created": moments.ago(own.created_at, now, words),
    }


def columns(words: Words) -> dict[str, Any]:
    """How the table shows each column."""
    config = st.column_config
    return {
        "name": config.ButtonColumn(
            words("adapters.name"), type="tertiary", on_click=open_adapter, key="adapters.open",
            alignment="left",
        ),
        "promoted": config.TextColumn("★", help=words("adapters.promoted"), width=45),
        "tags": config.ListColumn(words("adapters.tags")),
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
        children = queries.children(session, name)
        compared = queries.comparisons_with(session, name)
        card, known = adapter_library.card(session, name), adapter_library.all_tags(session)
        others, now = adapter_library.versions(session, name), queries.now(session)
        scores = queries.scores_of(session, name)
        offered = queries.adapter_choices(session)
    adapter_card.say_refusal(words)
    adapter_card.shown(words, card)
    buttons(words, found, card, known, offered)
    parts.facts(
        [
            (words("adapters.method"), words.code("method", found.method)),
            (words("adapters.base"), found.base_model),
            (words("adapters.rank"), str(found.rank or "–")),
            (words("datasets.size"), moments.size(found.bytes)),
            (words("jobs.user"), found.user),
            (words("jobs.created"), moments.clock(found.created_at)),
            (words("adapters.digest"), found.sha256[:16]),
        ]
    )
    adapter_card.versions(words, name, others, now)
    _lineage(words, name, children)
    links(words, found, children, compared)
    _scores(words, scores)
    st.subheader(words("modules.title"), anchor=False)
    with st.container(border=True), parts.guard(words):
        modules(words, name, "adapters")
    arms.curves(words, {name: found})
    if found.facts:
        st.subheader(words("adapters.facts"), anchor=False)
        parts.facts([(key, fact_text(value)) for key, value in sorted(found.facts.items())])


def _lineage(words: Words, name: str, children: list[str]) -> None:
    """The graph above the adapter, and what was made of it."""
    with db.reading() as session:
        edges = comparisons.ancestry(session, [name]) + [(name, child) for child in children]
        found = comparisons.made_by(session, [node for edge in edges for node in edge])
        bases = {row.name for row in queries.bases(session)}
    st.subheader(words("adapters.lineage"), anchor=False)
    arms.lineage(words, edges, found, bases)


def _scores(words: Words, scores: list[queries.AdapterScore]) -> None:
    if not scores:
        return
    st.subheader(words("compare.scores"), anchor=False)
    st.dataframe(
        [
            {
                words("compare.name"): each.comparison,
                words("compare.benchmark"): each.benchmark,
                words("adapters.metric"): METRICS[each.metric].title[words.language],
                words("adapters.score"): score(each.value, METRICS[each.metric]),
            }
            for each in scores
        ],
        hide_index=True,
        height="content" if len(scores) <= 16 else 480,
        alt=words("compare.scores"),
    )


def buttons(
    words: Words, found: Adapter, card: AdapterCard, known: list[str], others: list[queries.Choice]
) -> None:  # fmt: skip
    """Download it, recommend it, write about it, see the job that made it, use it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            words("adapters.download"),
            lambda: zipped(store().open_path(found.uri), found.name),
            f"{found.name}.zip",
            "application/zip",
            icon=":material/download:",
            on_click="ignore",
        )
        adapter_card.edit(words, found.name, card, known)
        if found.job_id:
            st.page_link(
                "app_pages/job.py",
                label=words("adapters.job"),
                icon=":material/article:",
                query_params={"id": found.job_id},
            )
        uses(words, found, others)


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


framed("adapters", listing=listing, detail=detail)
