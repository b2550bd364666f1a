"""An answer of the playground as feedback: a sample proposed to a knowledge base."""

import streamlit as st

from dashboard import parts
from dashboard.language import Words
from shared import db, knowledge
from shared.errors import GraftError
from shared.knowledge.edits import Text
from shared.tables import ChatTurn

_CHOSEN, _DONE = "playground.feedback.chosen", "playground.feedback.done"


def choose(number: int, arm: str, text: str) -> None:
    """Open the form below that question, with this answer in it."""
    st.session_state[_CHOSEN] = number, arm, text
    st.session_state.pop(_DONE, None)


def form(words: Words, turn: ChatTurn) -> None:
    """Correct the answer and propose it; drawn only below the question that was chosen."""
    if st.session_state.get(_DONE, (0, ""))[0] == turn.number:
        name = parts.plain(st.session_state[_DONE][1])
        st.success(words("playground.feedback.done", name=name), icon=":material/check:")
    number, arm, text = st.session_state.get(_CHOSEN, (0, "", ""))
    if number != turn.number:
        return
    with db.reading() as session:
        names = [each.name for each in knowledge.listing(session)]
    if not names:
        parts.empty(
            words("playground.feedback.none"), page="app_pages/knowledge.py",
            action=words("knowledge.title"),
        )  # fmt: skip
        return
    st.caption(words("playground.feedback.lead"))
    with st.form(f"playground.feedback.form.{number}", enter_to_submit=False):
        name = st.selectbox(words("knowledge.name"), names, key="playground.feedback.base")
        question = st.text_area(
            words("knowledge.question"), turn.question, key=f"playground.feedback.q.{number}"
        )
        answer = st.text_area(
            words("knowledge.answer"), text, key=f"playground.feedback.a.{number}.{arm}"
        )
        sent = st.form_submit_button(words("playground.feedback.send"), type="primary")
    if not sent:
        return
    try:
        with db.writing() as session:
            knowledge.propose(
                session, name, Text(question or "", answer or ""), actor=parts.actor()
            )
    except GraftError as problem:
        parts.failure(problem, words)
        return
    st.session_state.pop(_CHOSEN)
    st.session_state[_DONE] = number, name
    st.rerun()
