"""The parts every page is made of: its heading, badges, empty states, and errors as sentences."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import streamlit as st
from sqlalchemy.exc import OperationalError, ProgrammingError

from dashboard import language, oidc, visitor
from dashboard.language import Words
from shared import schema
from shared.errors import GraftError, Language, NotReachable, Unauthenticated, both, spoken
from shared.people.actors import Actor

Colour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray"]
STATE_COLOURS: dict[str, Colour] = {
    "queued": "blue",
    "running": "violet",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "gray",
}
STATE_ICONS = {
    "queued": ":material/schedule:",
    "running": ":material/play_arrow:",
    "succeeded": ":material/check:",
    "failed": ":material/error:",
    "cancelled": ":material/block:",
}


def actor() -> Actor:
    """Who is acting. Raises Unauthenticated where somebody has to sign in first."""
    return visitor.actor()


def user() -> str:
    """The name of who is acting."""
    return actor().user


def header(title: str, *, lead: str = "", person: bool = True) -> None:
    """The page's heading, with the language switch at its right, and who signed in."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.title(title, anchor=False, width="content")
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            if person:
                signed_in()
            language.switch()
    if lead:
        st.caption(lead)


def signed_in() -> None:
    """Who signed in, and the way out; nothing for the one user of a machine."""
    words = language.words()
    if oidc.signed_in():
        st.caption(plain(user()), width="content")
        st.button(words("people.sign_out"), type="tertiary", on_click=st.logout, key="sign-out")
    elif visitor.session_text():
        st.caption(plain(user()), width="content")
        st.html(f'<a href="/sign-out">{words("people.sign_out")}</a>', width="content")


#: A link that looks like the buttons beside it, and stays in its tab as `st.link_button` would not.
_LINK = """<style>.sign-in a {{display: block; text-align: center; padding: .45rem .75rem;
border: 1px solid var(--st-border-color, #8886); border-radius: 6px; text-decoration: none;
color: inherit;}} .sign-in a:hover, .sign-in a:focus {{text-decoration: underline;}}</style>
<div class="sign-in"><a href="/sign-in">{label}</a></div>"""


def ask_to_sign_in(words: Words, problem: GraftError) -> None:
    """What somebody sees who has to sign in first, or whom the provider knows and we do not."""
    header(words("people.sign_in"), person=False)
    with (
        st.container(horizontal_alignment="center"),
        st.container(border=True, width=440, gap="medium"),
    ):
        if isinstance(problem, Unauthenticated):
            why = words("people.first", problem=spoken(problem.params["problem"], words.language))
        else:
            why = problem.message(words.language)
        st.markdown(f":material/lock: {plain(why)}")
        if oidc.signed_in():
            st.button(
                words("people.other"), icon=":material/logout:", on_click=st.logout, width="stretch"
            )
            return
        if oidc.file() is not None:
            st.button(
                words("people.oidc"), type="primary", icon=":material/key:", on_click=st.login,
                width="stretch",
            )  # fmt: skip
        st.html(_LINK.format(label=words("people.password")))


#: Streamlit's upload cuts the types that it takes on a narrow page, and speaks English only; in
#: Chinese its label says what it takes.
_UPLOADS: dict[Language, str] = {
    "en": '[data-testid="stFileUploaderDropzoneInstructions"] * {white-space: normal;}',
    "zh": """[data-testid="stFileUploaderDropzoneInstructions"] {display: none;}
[data-testid="stFileUploaderDropzone"] button p {font-size: 0;}
[data-testid="stFileUploaderDropzone"] button p::after {content: "上传"; font-size: 0.875rem;}""",
}


def upload_words(words: Words) -> None:
    """Let the page's uploads say whole words in its language."""
    st.html(f"<style>{_UPLOADS[words.language]}</style>")


def state_badge(words: Words, state: str) -> None:
    """A job's state in its colour, with an icon and a word."""
    st.badge(
        words.code("state", state),
        icon=STATE_ICONS.get(state),
        color=STATE_COLOURS.get(state, "gray"),
    )


def empty(text: str, *, page: str = "", action: str = "", query: Mapping[str, str] | None = None):
    """What to do next where there is nothing to show yet."""
    with st.container(border=True, horizontal_alignment="center", gap="small"):
        st.markdown(text, width="content", text_alignment="center")
        if page:
            st.page_link(page, label=action, icon=":material/arrow_forward:", query_params=query)


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Names with their values, several to a line; the values are shown as they are."""
    with st.grid(min_column_width=140, gap="small"):
        for name, value in pairs:
            with st.container(gap=None):
                st.caption(name)
                st.text(value or "–")


def failure(problem: GraftError, words: Words) -> None:
    """An error in the reader's language."""
    # Messages name things people typed, which must not turn into links or images.
    st.error(plain(problem.message(words.language)), icon=":material/error:")


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    for mark in "\\`*_[]<>#$~|:":
        text = text.replace(mark, "\\" + mark)
    return text


@contextmanager
def guard(words: Words) -> Iterator[None]:
    """Show what Graft can name, and a database that is away, instead of breaking the page."""
    try:
        yield
    except GraftError as problem:
        failure(problem, words)
    except (OperationalError, ProgrammingError) as away:
        failure(_database_problem(away), words)


def _database_problem(away: OperationalError | ProgrammingError) -> GraftError:
    """Why a query failed: an old schema, or a database that does not answer."""
    try:
        schema.check()
    except GraftError as problem:
        return problem
    reason = str(away.orig).strip().splitlines()
    return NotReachable(
        what=both("the database", "数据库"), where="-", problem=reason[0] if reason else "-"
    )


def ordinal(place: int, words: Words) -> str:
    """A place in the queue: `3rd`, `第 3 位`."""
    if words.language == "zh":
        return f"第 {place} 位"
    ends = {1: "st", 2: "nd", 3: "rd"}
    tens = 10 <= place % 100 <= 20
    return f"{place}{'th' if tens else ends.get(place % 10, 'th')}"


def back(label: str) -> None:
    """A button from one thing to the list of all of them, on the same page."""
    if st.button(label, icon=":material/arrow_back:", type="tertiary", key="back"):
        st.query_params.clear()
        st.rerun()
