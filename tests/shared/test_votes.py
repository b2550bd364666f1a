"""Votes: which pair comes next, and what is counted."""

from collections import Counter
from pathlib import Path

import pytest

import filled
from pools import forget, use
from shared import db, votes
from shared.errors import InvalidSpec, UnknownComparison
from shared.people.actors import Actor
from shared.votes import Ballot


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A small pool with a comparison of three arms."""
    use(monkeypatch, tmp_path / "home", user=filled.USER)
    filled.fill(tmp_path, items=9, arms=("base", "native", "fused"))
    yield
    forget()


def _next(user: str) -> Ballot | None:
    with db.reading() as session:
        found = votes.answers(session, filled.COMPARISON)
        return votes.next_ballot(session, filled.COMPARISON, found, user)


def _cast(ballot: Ballot, choice: str, user: str = "ann") -> None:
    with db.writing() as session:
        votes.cast(session, filled.COMPARISON, ballot, choice, actor=Actor.admin(user))


def test_every_pair_of_different_answers_is_asked_once_of_each_user(pool: None) -> None:
    seen: list[tuple[str, frozenset[str]]] = []
    while (ballot := _next("ann")) is not None:
        assert ballot.first[1] != ballot.second[1]
        assert ballot.question
        assert _next("ann") == ballot
        seen.append((ballot.item_hash, frozenset((ballot.first[0], ballot.second[0]))))
        _cast(ballot, "first")
    assert len(seen) == len(set(seen)) > 3
    met = Counter(pair for _, pair in seen[:3])
    assert set(met.values()) == {1}, "the arms that met least go first"
    assert _next("bob") is not None


def test_strengths_follow_the_votes_and_both_bad_prefers_neither(pool: None) -> None:
    for place in range(6):
        ballot = _next("ann")
        assert ballot is not None
        side = "first" if ballot.first[0] > ballot.second[0] else "second"
        _cast(ballot, "bad" if place == 5 else side)
    with db.reading() as session:
        rates = votes.rates(session, filled.COMPARISON)
        assert len(votes.votes(session, filled.COMPARISON)) == 6
    assert [each.arm for each in rates.strengths] == ["native", "fused", "base"]
    assert sum(pair.ties for pair in rates.pairs.values()) == 2


def test_a_choice_or_comparison_that_is_none_is_refused(pool: None) -> None:
    ballot = _next("ann")
    assert ballot is not None
    with pytest.raises(InvalidSpec, match="first, second, tie, bad"):
        _cast(ballot, "left")
    with db.writing() as session, pytest.raises(UnknownComparison):
        votes.cast(session, "nothing", ballot, "tie", actor=Actor.admin("ann"))
