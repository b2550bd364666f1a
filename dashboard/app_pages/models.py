"""Base models: what is registered, and registering one by its folder."""

import streamlit as st

from dashboard import language, moments, parts, queries
from dashboard.language import Words
from shared import base_models, db
from shared.errors import GraftError


def register(words: Words) -> None:
    """The form that adds a base model."""
    with st.form("models.add", border=True, enter_to_submit=False):
        left, right = st.columns([1, 2])
        name = left.text_input(
            words("models.name"), placeholder="my-base", key="models.name", max_chars=64
        )
        folder = right.text_input(
            words("models.folder"),
            placeholder="/models/my-base",
            help=words("models.folder.help"),
            key="models.folder",
        )
        sent = st.form_submit_button(
            words("models.register"), type="primary", icon=":material/add:"
        )
    if not sent:
        return
    try:
        with db.writing() as session:
            added = base_models.register(session, name, folder, actor=parts.actor())
    except GraftError as problem:
        parts.failure(problem, words)
        return
    st.success(words("models.registered", name=added.name), icon=":material/check:")


def listing(words: Words) -> None:
    """Every base model with what its files say."""
    with db.reading() as session:
        found, now = queries.bases(session), queries.now(session)
    if not found:
        parts.empty(words("models.empty"))
        return
    st.dataframe(
        [
            {
                words("models.name"): each.name,
                words("models.family"): each.family,
                words("models.architecture"): each.architecture,
                words("models.parameters"): f"{each.parameters / 1e6:,.4g} M",
                words("models.width"): each.hidden_size,
                words("models.layers"): each.layers,
                words("models.vocabulary"): each.vocabulary,
                words("models.fingerprint"): each.fingerprint[:12],
                words("models.folder"): each.location,
                words("jobs.created"): moments.ago(each.created_at, now, words),
            }
            for each in found
        ],
        hide_index=True,
        height="content",
        column_config={
            words("models.vocabulary"): st.column_config.NumberColumn(format="localized")
        },
        alt=words("models.title"),
    )


def main() -> None:
    """Draw the page."""
    words = language.words()
    parts.header(words("models.title"), lead=words("models.lead"))
    register(words)
    listing(words)


main()
