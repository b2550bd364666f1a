"""Blind votes between two arms of a comparison: which pair is next, and what the votes say."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

from sqlmodel import Session, col, select

from shared import results
from shared.clock import db_now
from shared.comparisons.pairs import questions
from shared.errors import InvalidSpec, both
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.tables import Vote
from shared.winrates import Outcome, WinRates, win_rates

Choice = Literal["first", "second", "tie", "bad"]
#: What a choice is for the strengths; neither being any good prefers neither.
_COUNTS: dict[str, Outcome] = {"first": "a", "second": "b", "tie": "tie", "bad": "tie"}
#: What a judge's votes have before its model's name; no account's name holds a colon.
JUDGE = "judge:"
#: Shapes whose outputs are texts that a person can judge.
WRITTEN = ("generate", "instruct")


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """Two answers to one item; who gave them is not shown before the vote."""

    benchmark: str
    item_hash: str
    question: str
    #: Arm and answer on the left, and on the right.
    first: tuple[str, str]
    second: tuple[str, str]


@dataclass(frozen=True)
class Answers:
    """What the arms of a comparison wrote on one benchmark: {arm: {item hash: text}}."""

    benchmark: str
    by_arm: Mapping[str, Mapping[str, str]]
    questions: Mapping[str, str]


def answers(session: Session, comparison: str) -> list[Answers]:
    """The written answers of a comparison, a benchmark each. Raises UnknownComparison."""
    stored = results.comparison(session, comparison)
    found: dict[str, dict[str, dict[str, str]]] = {}
    for each in results.evaluations(session, stored.evaluations):
        if each.shape in WRITTEN:
            texts = {item.item_hash: item.output for item in results.items(session, each.id)}
            found.setdefault(each.benchmark, {})[each.arm] = texts
    return [Answers(name, arms, questions(session, name)) for name, arms in found.items()]


def cast(session: Session, comparison: str, ballot: Ballot, choice: str, *, actor: Actor) -> Vote:
    """Store a vote. Raises Forbidden, UnknownComparison, InvalidSpec for a choice there is not."""
    authorise(actor, Action.VOTE)
    results.comparison(session, comparison)
    if choice not in get_args(Choice):
        known = ", ".join(get_args(Choice))
        problem = both(f"{choice} is none of {known}", f"{choice} 不在 {known} 之中")
        raise InvalidSpec(field="choice", problem=problem)
    made = Vote(
        comparison=comparison, benchmark=ballot.benchmark, item_hash=ballot.item_hash,
        first=ballot.first[0], second=ballot.second[0], outcome=choice, user=actor.user,
        created_at=session.scalar(select(db_now())) or 0.0,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made


def all_votes(session: Session, comparison: str) -> list[Vote]:
    """All votes on a comparison, people's and judges', the oldest first."""
    query = select(Vote).where(Vote.comparison == comparison)
    return list(session.exec(query.order_by(col(Vote.created_at), Vote.id)).all())


def votes(session: Session, comparison: str) -> list[Vote]:
    """People's votes on a comparison, the oldest first."""
    return [vote for vote in all_votes(session, comparison) if not vote.user.startswith(JUDGE)]


def counted(vote: Vote) -> Outcome:
    """What a vote is for the strengths."""
    return _COUNTS[vote.outcome]


def rates(session: Session, comparison: str) -> WinRates:
    """Strengths and win rates by people's votes on a comparison."""
    return win_rates(
        (vote.first, vote.second, counted(vote)) for vote in votes(session, comparison)
    )


def next_ballot(
    session: Session, comparison: str, found: list[Answers], user: str
) -> Ballot | None:
    """Two different answers this user has not judged, of the arms that met least so far.

    Item and sides are drawn with the user and their votes so far as the seed, so a page that is
    drawn again shows the same ballot. None when every pair has been judged.
    """
    cast_so_far = votes(session, comparison)
    mine = {
        (vote.benchmark, vote.item_hash, frozenset((vote.first, vote.second)))
        for vote in cast_so_far
        if vote.user == user
    }
    met = Counter(frozenset((vote.first, vote.second)) for vote in cast_so_far)
    chance = random.Random(f"{comparison} {user} {len(mine)}")
    pairs = sorted({pair for each in found for pair in combinations(sorted(each.by_arm), 2)})
    chance.shuffle(pairs)
    for one, other in sorted(pairs, key=lambda pair: met[frozenset(pair)]):
        open_items = [
            (each, key)
            for each in found
            if one in each.by_arm and other in each.by_arm
            for key in sorted(each.by_arm[one].keys() & each.by_arm[other].keys())
            if each.by_arm[one][key] != each.by_arm[other][key]
            and (each.benchmark, key, frozenset((one, other))) not in mine
        ]
        if open_items:
            each, key = chance.choice(open_items)
            left, right = chance.sample([one, other], 2)
            return Ballot(
                benchmark=each.benchmark, item_hash=key, question=each.questions.get(key, ""),
                first=(left, each.by_arm[left][key]), second=(right, each.by_arm[right][key]),
            )  # fmt: skip
    return None
