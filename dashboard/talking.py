"""A playground session as it moves: where it stands, questions, answers side by side, votes."""

import random
from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard import feedback, live, parts, queries, voting
from dashboard.language import Words
from shared import chats, db, jobs
from shared.errors import GraftError
from shared.specs import ChatSpec
from shared.tables import ChatTurn, ChatVote, Job, JobState
from shared.why import why

#: Seconds between two looks: while something is being written or waited for, and otherwise.
FAST, SLOW = 0.5, 3.0
LETTERS = "ABCDEFGH"
_REFUSED = "playground.refused"


def arms_of(job: Job) -> list[str]:
    """The arms of a session."""
    return list(ChatSpec.model_validate(job.spec).arms())


def pace(job: Job, asked: Sequence[ChatTurn]) -> float | None:
    """How often to look; None once it has ended."""
    if JobState(job.state).is_final:
        return None
    busy = job.state == JobState.QUEUED or any(not turn.answered for turn in asked)
    return FAST if busy else SLOW


def moving(words: Words, job_id: str, state: str, looking: float | None) -> None:
    """Everything that changes; the whole page is drawn anew when the state or the pace has."""
    with parts.guard(words):
        with db.reading() as session:
            job = jobs.find(session, job_id)
            asked, cast = chats.turns(session, job.id), chats.votes(session, job.id)
        if job.state != state or pace(job, asked) != looking:
            st.rerun()
        if (refused := st.session_state.pop(_REFUSED, None)) is not None:
            parts.failure(refused, words)
        standing(words, job, bool(asked))
        mine = {each.number: each for each in cast if each.user == parts.user()}
        for turn in asked:
            show(words, job, turn, mine.get(turn.number))
        if cast:
            with st.expander(words("playground.votes", count=len(cast))):
                voting.standings(words, chats.rates(cast), len(cast))


def standing(words: Words, job: Job, asked: bool) -> None:
    """Its place in the queue, what it is doing, or how it ended and what to do then."""
    with db.reading() as session:
        attempt = queries.latest_attempts(session, [job.id]).get(job.id)
        waits, needed = why(session, job), jobs.needs(session, job.id)
    live.failure(words, job)
    live.why_waiting(words, job, waits, needed)
    if job.state == JobState.RUNNING and (attempt is None or attempt.phase != "answering"):
        phase = words.code("phase", attempt.phase) if attempt is not None else ""
        st.progress(0.0, text=phase or words("job.starting"))
    elif job.state == JobState.RUNNING and not asked:
        st.info(words("playground.ready"), icon=":material/chat:")
    elif JobState(job.state).is_final:
        idle = ChatSpec.model_validate(job.spec).idle_timeout
        key = "playground.ended.idle" if job.state == JobState.SUCCEEDED else "playground.ended"
        st.info(words(key, minutes=f"{idle / 60:.3g}"), icon=":material/info:")


def show(words: Words, job: Job, turn: ChatTurn, vote: ChatVote | None) -> None:
    """A question, its answers in columns, and what can be done with them."""
    with st.chat_message("user"):
        st.text(turn.question, width="stretch")
    names, titles = shown_names(job, turn, vote)
    with st.container(border=True):
        for where, name in zip(st.columns(len(names)), names, strict=True):
            with where:
                answer(words, job, turn, name, titles[name])
        if turn.answered and len(names) > 1:
            ballot(words, turn, names, titles, vote)
        feedback.form(words, turn)


def shown_names(
    job: Job, turn: ChatTurn, vote: ChatVote | None
) -> tuple[list[str], dict[str, str]]:
    """The arms in the order of the screen, and what each is called there.

    Blind, they are shuffled and called A, B, … until the reader has voted.
    """
    names = arms_of(job)
    if not st.session_state.get("playground.blind"):
        return names, {name: name for name in names}
    random.Random(f"{job.id} {turn.number}").shuffle(names)
    letters = dict(zip(names, LETTERS, strict=False))
    return names, letters if vote is None else {n: f"{letters[n]} · {n}" for n in names}


def answer(words: Words, job: Job, turn: ChatTurn, name: str, title: str) -> None:
    """What one arm has written so far, and how fast."""
    told: dict[str, Any] = turn.answers.get(name, {})
    st.markdown(f"**{parts.plain(title)}**")
    over = bool(told.get("done"))
    writing = not over and not JobState(job.state).is_final
    st.text((told.get("text") or "") + (" ▍" if writing else "") or "–", width="stretch")
    if not over:
        return
    speed = told["tokens"] / told["seconds"] if told["seconds"] else 0.0
    key = "playground.cost" if told.get("finished") else "playground.cost.cut"
    st.caption(words(key, tokens=told["tokens"], speed=f"{speed:.1f}"))
    if told.get("samples"):
        st.caption(words("playground.samples", samples=", ".join(told["samples"])))
    st.button(
        words("playground.feedback"), key=f"playground.feedback.{turn.number}.{name}",
        icon=":material/add_notes:", type="tertiary", on_click=feedback.choose,
        args=(turn.number, name, told.get("text") or ""),
    )  # fmt: skip


def ballot(
    words: Words, turn: ChatTurn, names: list[str], titles: dict[str, str], vote: ChatVote | None
) -> None:
    """A button for each answer, and for none; or the vote that was cast."""
    with st.container(horizontal=True, vertical_alignment="center"):
        for outcome in (*names, chats.TIE, chats.BAD):
            label = (
                words("playground.best", arm=parts.plain(titles[outcome]))
                if outcome in titles
                else words(f"votes.{outcome}")
            )
            st.button(
                label, key=f"playground.vote.{turn.number}.{outcome}", on_click=_vote,
                args=(turn.job_id, turn.number, outcome, names),
                type="primary" if vote is not None and vote.outcome == outcome else "secondary",
            )  # fmt: skip


def _vote(job_id: str, number: int, outcome: str, names: list[str]) -> None:
    try:
        with db.writing() as session:
            chats.vote(session, job_id, number, outcome, names, actor=parts.actor())
    except GraftError as problem:
        st.session_state[_REFUSED] = problem
