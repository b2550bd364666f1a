"""Playground sessions: asking, reading answers as they grow, and what people preferred."""

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

from sqlalchemy import exists, update
from sqlmodel import Session, SQLModel, col, func, select

from shared.claims import Claim
from shared.clock import db_now
from shared.errors import ChatEnded, InvalidSpec, UnknownJob, both
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.tables import ChatTurn, ChatVote, Job, JobState
from shared.winrates import Vote, WinRates, win_rates

#: A vote that prefers no arm.
TIE, BAD = "tie", "bad"
_TABLES = SQLModel.metadata.tables


def ask(session: Session, job_id: str, question: str, *, actor: Actor) -> ChatTurn:
    """Put a question to every arm of a session; one that still waits answers when it runs.

    Only its owner and admins may: the owner is charged. Raises Forbidden, InvalidSpec for an empty
    question, UnknownJob, or ChatEnded.
    """
    if not question.strip():
        raise InvalidSpec(field="question", problem=both("it is empty", "内容为空"))
    job = session.get(Job, job_id, with_for_update=True)
    if job is None or job.kind != "chat":
        raise UnknownJob(job=job_id)
    authorise(actor, Action.CHAT, owner=job.user)
    if JobState(job.state).is_final:
        raise ChatEnded(job=job.name, state=job.state)
    last = session.scalar(select(func.max(ChatTurn.number)).where(ChatTurn.job_id == job_id))
    made = ChatTurn(
        job_id=job_id, number=(last or 0) + 1, question=question.strip(), user=actor.user,
        created_at=session.scalar(select(db_now())) or 0.0,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made


def turns(session: Session, job_id: str, *, after: int = 0) -> list[ChatTurn]:
    """The questions of a session from the one after number `after` on, in their order."""
    query = select(ChatTurn).where(ChatTurn.job_id == job_id, ChatTurn.number > after)
    return list(session.exec(query.order_by(col(ChatTurn.number))).all())


def write_answers(
    session: Session, claim: Claim, number: int, answers: dict[str, Any], *, answered: bool
) -> bool:
    """Write what the arms have said so far; False where the attempt's epoch is over."""
    turn, job = _TABLES["chatturn"], _TABLES["job"]
    ours = exists().where(
        job.c.id == claim.job_id, job.c.epoch == claim.epoch, job.c.state == JobState.RUNNING
    )
    done = session.connection().execute(
        update(turn)
        .where(turn.c.job_id == claim.job_id, turn.c.number == number, ours)
        .values(answers=answers, answered=answered)
    )
    return done.rowcount == 1


def vote(
    session: Session, job_id: str, number: int, outcome: str, arms: Iterable[str], *, actor: Actor
) -> ChatVote:
    """Store which arm's answer a person preferred, `tie` or `bad`; it replaces an earlier vote.

    Raises Forbidden, or InvalidSpec for an outcome that is none of these.
    """
    authorise(actor, Action.VOTE)
    shown = list(arms)
    if outcome not in (*shown, TIE, BAD):
        known = ", ".join((*shown, TIE, BAD))
        problem = both(f"{outcome} is none of {known}", f"{outcome} 不在 {known} 之中")
        raise InvalidSpec(field="outcome", problem=problem)
    made = ChatVote(
        job_id=job_id, number=number, user=actor.user, outcome=outcome, arms=shown,
        created_at=session.scalar(select(db_now())) or 0.0,
    )  # fmt: skip
    made = session.merge(made)
    session.flush()
    return made


def votes(session: Session, job_id: str) -> list[ChatVote]:
    """All votes of a session, by question."""
    query = select(ChatVote).where(ChatVote.job_id == job_id)
    return list(session.exec(query.order_by(col(ChatVote.number), ChatVote.user)).all())


def rates(found: Iterable[ChatVote]) -> WinRates:
    """Strengths and win rates by votes: the preferred arm won against each other one shown."""
    return win_rates(pair for each in found for pair in _pairs(each))


def _pairs(cast: ChatVote) -> Iterator[Vote]:
    # In the order of the screen, so that the share of wins on the left means something.
    for one, other in combinations(cast.arms, 2):
        if cast.outcome in (TIE, BAD):
            yield one, other, "tie"
        elif cast.outcome == one:
            yield one, other, "a"
        elif cast.outcome == other:
            yield one, other, "b"


def sessions(session: Session, user: str, most: int) -> list[Job]:
    """A person's sessions, the newest first."""
    query = select(Job).where(Job.kind == "chat", Job.user == user)
    return list(session.exec(query.order_by(col(Job.created_at).desc()).limit(most)).all())
