"""An adapter's card on its page: note and tags to edit, its versions, and the one to use."""

import streamlit as st

from dashboard import moments, parts
from dashboard.language import Words
from shared import adapter_library, db
from shared.adapter_library import Entry
from shared.cards import AdapterCard
from shared.errors import GraftError

_REFUSED = "adapters.refused"


def say_refusal(words: Words) -> None:
    """Why the last press changed nothing."""
    problem = st.session_state.pop(_REFUSED, None)
    if isinstance(problem, GraftError):
        parts.failure(problem, words)


def shown(words: Words, card: AdapterCard) -> None:
    """The card as everybody reads it; nothing where it is empty."""
    if card.tags or card.promoted_by:
        with st.container(horizontal=True, gap="small"):
            if card.promoted_by:
                st.badge(
                    words("adapters.promoted.by", user=card.promoted_by),
                    icon=":material/star:", color="violet",
                )  # fmt: skip
            for tag in card.tags:
                st.badge(tag, color="blue")
    if card.note:
        # People's own words: shown as they were written.
        st.text(card.note, width="stretch")


def edit(words: Words, name: str, card: AdapterCard, known: list[str]) -> None:
    """Buttons to recommend the adapter and to change its note and tags."""
    if card.promoted_by:
        st.button(
            words("adapters.demote"), icon=":material/star_border:", on_click=_promote,
            args=(name, False), key="adapters.demote",
        )  # fmt: skip
    else:
        st.button(
            words("adapters.promote"), icon=":material/star:", on_click=_promote,
            args=(name, True), key="adapters.promote", help=words("adapters.promote.help"),
        )  # fmt: skip
    with st.popover(words("adapters.edit"), icon=":material/edit:"):
        tags = st.multiselect(
            words("adapters.tags"), sorted({*known, *card.tags}), default=card.tags,
            accept_new_options=True, placeholder=words("adapters.tags.hint"),
            key=f"adapters.tags.{name}",
        )  # fmt: skip
        note = st.text_area(
            words("adapters.note"), value=card.note, key=f"adapters.note.{name}",
            max_chars=adapter_library.LONGEST_NOTE, placeholder=words("adapters.note.hint"),
        )  # fmt: skip
        st.button(
            words("knowledge.save"), type="primary", on_click=_describe, args=(name, note, tags),
            key="adapters.save",
        )  # fmt: skip


def _promote(name: str, wanted: bool) -> None:
    change = adapter_library.promote if wanted else adapter_library.demote
    try:
        with db.writing() as session:
            change(session, name, actor=parts.actor())
    except GraftError as problem:
        st.session_state[_REFUSED] = problem


def _describe(name: str, note: str, tags: list[str]) -> None:
    try:
        with db.writing() as session:
            adapter_library.describe(session, name, note=note, tags=tags, actor=parts.actor())
    except GraftError as problem:
        st.session_state[_REFUSED] = problem


def versions(words: Words, name: str, found: list[Entry], now: float) -> None:
    """The other versions of the adapter, the recommended one marked; nothing without any."""
    if len(found) < 2:
        return
    st.subheader(words("adapters.versions"), anchor=False)
    with st.container(border=True, gap="small"):
        for each in found:
            own = each.adapter
            with st.container(horizontal=True, vertical_alignment="center"):
                if own.name == name:
                    st.markdown(f"**{parts.plain(own.name)}**", width="content")
                else:
                    st.page_link(
                        "app_pages/adapters.py", label=own.name, query_params={"name": own.name}
                    )
                note = [words.code("method", own.method), moments.ago(own.created_at, now, words)]
                st.caption(" · ".join(note), width="content")
                if each.card.promoted_by:
                    st.badge(words("adapters.promoted"), icon=":material/star:", color="violet")
