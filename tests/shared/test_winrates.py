"""Votes as strengths: closed forms, symmetry, arms that only win, groups nobody compared."""

import math

import numpy as np
import pytest

from shared.winrates import Outcome, Vote, win_rates


def cast(one: str, other: str, outcome: Outcome, times: int = 1) -> list[Vote]:
    return [(one, other, outcome)] * times


def test_two_arms_have_the_closed_form_of_a_logit_and_its_error():
    found = win_rates(cast("new", "old", "a", 30) + cast("old", "new", "a", 10))
    new, old = found.strengths
    assert (new.arm, old.arm) == ("new", "old")
    assert new.value - old.value == pytest.approx(math.log(30 / 10))
    # Var of the difference is 1/30 + 1/10; each strength is half of the difference.
    error = math.sqrt(1 / 30 + 1 / 10) / 2
    assert new.high - new.value == pytest.approx(1.959964 * error, rel=1e-5)
    assert found.pairs["new", "old"].value == pytest.approx(0.75)
    assert found.pairs["old", "new"].value == pytest.approx(0.25)
    assert not found.smoothed


def test_a_tie_is_half_a_vote_for_each():
    ties = win_rates(cast("a", "b", "tie", 20) + cast("a", "b", "a", 10))
    halves = win_rates(cast("a", "b", "a", 20) + cast("a", "b", "b", 10))
    assert ties.strengths[0].value == pytest.approx(halves.strengths[0].value)
    assert ties.pairs["a", "b"].ties == 20


def test_strengths_of_many_votes_are_those_that_made_them():
    truth = {"base": -0.8, "fused": 0.1, "native": 0.7}
    generator, votes = np.random.default_rng(0), list[Vote]()
    names = sorted(truth)
    for _ in range(6000):
        one, other = generator.choice(names, 2, replace=False)
        likely = 1 / (1 + math.exp(truth[other] - truth[one]))
        votes.append((str(one), str(other), "a" if generator.random() < likely else "b"))
    found = win_rates(votes)
    assert [each.arm for each in found.strengths] == ["native", "fused", "base"]
    for each in found.strengths:
        assert each.low < truth[each.arm] < each.high
        assert each.high - each.low < 0.25


def test_an_arm_that_always_wins_stays_finite_and_is_said_to_be_smoothed():
    found = win_rates(cast("good", "bad", "a", 12))
    assert found.smoothed
    assert found.strengths[0].arm == "good"
    assert found.strengths[0].value - found.strengths[1].value == pytest.approx(math.log(25))


def test_arms_that_no_chain_of_votes_links_are_groups_of_their_own():
    votes: list[Vote] = [("a", "b", "a"), ("b", "a", "a"), ("c", "d", "tie")]
    found = win_rates(votes)
    groups = {each.arm: each.group for each in found.strengths}
    assert groups["a"] == groups["b"] != groups["c"] == groups["d"]


def test_the_place_on_the_screen_is_counted_and_order_changes_no_strength():
    votes: list[Vote] = cast("a", "b", "a", 9) + cast("b", "a", "b", 1)
    swapped: list[Vote] = cast("b", "a", "b", 9) + cast("a", "b", "a", 1)
    assert win_rates(votes).first.value == pytest.approx(0.9)
    assert win_rates(votes).strengths == win_rates(swapped).strengths


def test_no_votes_are_no_strengths_and_nonsense_is_refused():
    assert win_rates([]).strengths == []
    with pytest.raises(ValueError, match="not a vote"):
        win_rates([("a", "a", "tie")])
