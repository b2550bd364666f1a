"""The frame of a page that lists things and shows one of them: `?name=` says which."""

from collections.abc import Callable

import streamlit as st

from dashboard import language, parts
from dashboard.language import Words


def framed(
    page: str, *, listing: Callable[[Words], None], detail: Callable[[Words, str], None]
) -> None:
    """Draw the thing that the address names, below a way back, or the list of all of them.

    `page` is the page's own name, whose words are `PAGE.title` and `PAGE.lead`.
    """
    words = language.words()
    title = words(f"{page}.title")
    name = st.query_params.get("name", "")
    if not name:
        parts.header(title, lead=words(f"{page}.lead"))
        listing(words)
        return
    parts.header(name)
    parts.back(title)
    with parts.guard(words):
        detail(words, name)
