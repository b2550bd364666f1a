"""The votes of a comparison: a blind ballot, and what all votes say."""

from html import escape

import streamlit as st

from dashboard import language, parts
from dashboard.language import Words
from shared import db, judges, votes
from shared.config import settings
from shared.errors import GraftError
from shared.votes import Answers, Ballot
from shared.winrates import WinRates

CHOICES = ("first", "second", "tie", "bad")
_TABLE = (
    '<div style="overflow-x:auto"><table style="border-collapse:collapse;font-size:.86rem">'
    "{head}{body}</table></div>"
)
_CELL = 'style="border:1px solid rgba(128,140,142,.28);padding:.35rem .6rem;text-align:left"'


@st.cache_data(max_entries=8, ttl=600, show_spinner=False)
def answers_of(database: str, name: str) -> list[Answers]:
    """The written answers of a comparison."""
    with db.reading() as session:
        return votes.answers(session, name)


@st.fragment
def voting(words: Words, name: str) -> None:
    """A ballot, the last vote's names, and the standings."""
    with parts.guard(words):
        found = answers_of(settings().database, name)
        if not any(len(each.by_arm) > 1 for each in found):
            st.caption(words("votes.none"))
            return
        with db.reading() as session:
            ballot = votes.next_ballot(session, name, found, parts.actor().user)
            count = len(votes.votes(session, name))
            standing = votes.rates(session, name)
        reveal(words, name, count)
        if ballot is None:
            st.caption(words("votes.all" if count else "votes.none"))
        else:
            show(words, name, ballot)
        if count:
            standings(words, standing, count)
        judging(words, name)


def judging(words: Words, name: str) -> None:
    """What each judge model said, apart from people, and where to ask one."""
    with db.reading() as session:
        found = judges.judged(session, name)
    for each in found:
        st.markdown(f"**{parts.plain(words('votes.judge', judge=each.judge))}**")
        said = [parts.plain(text) for text in each.sentences(words.language)]
        if each.consistent:
            st.caption(" ".join(said))
        else:
            st.warning(" ".join(said), icon=":material/balance:")
        standings(words, each.rates, each.pairs)
    st.page_link(
        "app_pages/submit.py", label=words("votes.judge.ask"), icon=":material/gavel:",
        query_params={"kind": "judge", "comparison": name},
    )  # fmt: skip


def show(words: Words, name: str, ballot: Ballot) -> None:
    """Two answers side by side, and a button for each choice."""
    st.caption(words("votes.lead"))
    with st.container(border=True):
        st.text(ballot.question or words("compare.gone"), width="stretch")
        for where, letter, (_, text) in zip(
            st.columns(2), "AB", (ballot.first, ballot.second), strict=True
        ):
            where.caption(letter)
            where.text(text or "–", width="stretch")
        with st.container(horizontal=True):
            for choice in CHOICES:
                st.button(
                    words(f"votes.{choice}"), key=f"votes.{choice}", on_click=_vote,
                    args=(name, ballot, choice),
                )  # fmt: skip


def _vote(name: str, ballot: Ballot, choice: str) -> None:
    try:
        with db.writing() as session:
            votes.cast(session, name, ballot, choice, actor=parts.actor())
    except GraftError as refused:
        # A callback runs before the page; what it says must outlive that.
        st.toast(parts.plain(refused.message(language.current())), icon=":material/error:")
        return
    st.session_state[f"votes.last.{name}"] = (ballot.first[0], ballot.second[0], choice)


def reveal(words: Words, name: str, count: int) -> None:
    """Which arms the last ballot was about."""
    if (last := st.session_state.get(f"votes.last.{name}")) is not None:
        first, second, choice = last
        text = words(
            "votes.was", first=first, second=second, count=count, outcome=words(f"votes.{choice}")
        )
        st.info(parts.plain(text), icon=":material/how_to_vote:")


def standings(words: Words, found: WinRates, count: int) -> None:
    """Strengths with their intervals, and who was preferred to whom how often."""
    left, right = st.columns(2)
    with left:
        st.caption(words("votes.strengths"), help=words("votes.strength.help"))
        rows = [
            [each.arm, f"{each.value:+.2f} [{each.low:+.2f}, {each.high:+.2f}]", str(each.votes)]
            for each in found.strengths
        ]
        st.html(_table([words("compare.arm"), "", words("votes.count")], rows))
        if found.smoothed:
            st.caption(words("votes.smoothed"))
    with right:
        st.caption(words("votes.matrix"))
        st.html(matrix(found))
        st.caption(words("votes.side", share=f"{found.first.value:.0%}"))


def matrix(found: WinRates) -> str:
    """A row an arm, a column an arm: the share with its interval and wins:losses:ties."""
    arms = [each.arm for each in found.strengths]
    rows = []
    for arm in arms:
        row = [arm]
        for other in arms:
            rate = found.pairs.get((arm, other))
            row.append(
                "–" if rate is None else
                f"{rate.value:.0%} [{rate.low:.0%}, {rate.high:.0%}] "
                f"{rate.wins}:{rate.losses}:{rate.ties}"
            )  # fmt: skip
        rows.append(row)
    return _table(["", *arms], rows)


def _table(headings: list[str], rows: list[list[str]]) -> str:
    head = "".join(f'<th scope="col" {_CELL}>{escape(each)}</th>' for each in headings)
    body = "".join(
        f'<tr><th scope="row" {_CELL}>{escape(row[0])}</th>'
        + "".join(f"<td {_CELL}>{escape(each)}</td>" for each in row[1:])
        + "</tr>"
        for row in rows
    )
    return _TABLE.format(head=f"<tr>{head}</tr>", body=body)
