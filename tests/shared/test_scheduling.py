"""The scheduler's promises, on small pools whose every step can be followed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.scheduling import (
    Allowance,
    HostCards,
    Owner,
    Rules,
    Scheduler,
    Shape,
)
from shared.scheduling.forecast import explain
from small_pools import ANN, BOB, GIB, job, names, pool

WHOLE = Shape()


def test_higher_priority_goes_first_then_first_come_first_served() -> None:
    one = pool(24)
    for name, priority, created in (("late", 5, 3.0), ("early", 5, 1.0), ("urgent", 9, 9.0)):
        one.submit(job(name, priority=priority, created_at=created), 10.0)
    order = []
    for step in range(3):
        order += names(list(one.place(10.0 + step)))
        one.finish(order[-1], 10.5 + step)
    assert order == ["urgent", "early", "late"]


def test_of_equal_priority_the_owner_who_used_less_goes_first() -> None:
    used = {ANN: Allowance(used=3600.0), BOB: Allowance(used=60.0)}
    one = pool(24, allowances=used)
    one.submit(job("a", ANN, created_at=1.0), 2.0)
    one.submit(job("b", BOB, created_at=1.5), 2.0)
    assert names(list(one.place(2.0))) == ["b"]


def test_a_weight_of_two_buys_twice_the_share() -> None:
    held = {ANN: 0.0, BOB: 0.0}
    one = pool(24, allowances={ANN: Allowance(weight=2.0), BOB: Allowance()})
    for number in range(300):
        for owner in (ANN, BOB):
            one.submit(job(f"{owner.user}{number}", owner, created_at=float(number)), 0.0)
    now = 0.0
    for _ in range(300):
        (placed,) = one.place(now)
        held[placed.job.owner] += 100.0
        now += 100.0
        one.finish(placed.job.id, now)
    assert held[ANN] / held[BOB] == pytest.approx(2.0, rel=0.05)


def test_what_was_used_a_half_life_ago_counts_half() -> None:
    rules = Rules(half_life=1000.0, entry=0.0)
    one = pool(24, rules=rules)
    for name, owner, at, lasts in (("a", ANN, 0.0, 150.0), ("b", BOB, 1150.0, 100.0)):
        one.submit(job(name, owner, created_at=at), at)
        list(one.place(at))
        one.finish(name, at + lasts)
    # Ann's 150 s are worth 75 by now, so she goes before Bob's 100.
    one.submit(job("b2", BOB, created_at=1250.0), 1250.0)
    one.submit(job("a2", ANN, created_at=1251.0), 1251.0)
    assert names(list(one.place(1251.0))) == ["a2"]


def test_small_jobs_share_the_card_that_they_fill_best() -> None:
    one = pool(80, 24)
    for name, size in (("big", 60), ("s1", 10), ("s2", 10)):
        one.submit(job(name, shape=Shape(vram=size * GIB), priority=9 if size == 60 else 5), 0.0)
    cards = {each.job.id: each.cards for each in one.place(0.0)}
    # The big one leaves 20 GiB on the first card, less than the 24 of the other.
    assert cards == {"big": (0,), "s1": (0,), "s2": (0,)}


def test_a_whole_card_is_one_without_any_job() -> None:
    one = pool(80, 80)
    one.submit(job("small", shape=Shape(vram=GIB), priority=9), 0.0)
    one.submit(job("whole"), 0.0)
    cards = {each.job.id: each.cards for each in one.place(0.0)}
    assert set(cards) == {"small", "whole"}
    assert cards["small"] != cards["whole"]
    one.submit(job("more"), 1.0)
    assert list(one.place(1.0)) == []


def test_several_cards_are_of_one_host() -> None:
    hosts = [HostCards(name, (GIB, GIB, GIB)) for name in ("x", "y")]
    two = Scheduler(hosts)
    two.submit(job("one", priority=9), 0.0)
    two.submit(job("gang", shape=Shape(gpus=3)), 0.0)
    (one, gang) = two.place(0.0)
    assert (one.host, gang.host) in (("x", "y"), ("y", "x"))
    assert gang.cards == (0, 1, 2)


def test_labels_and_a_cached_base_choose_the_host() -> None:
    hosts = [
        HostCards("cold", (GIB,)),
        HostCards("warm", (GIB,), bases=frozenset({"llama"})),
        HostCards("fast", (GIB,), labels=frozenset({"nvlink"})),
    ]
    three = Scheduler(hosts)
    three.submit(job("needs-label", shape=Shape(labels=frozenset({"nvlink"}))), 0.0)
    three.submit(job("has-base", base="llama"), 0.0)
    assert {each.job.id: each.host for each in three.place(0.0)} == {
        "needs-label": "fast",
        "has-base": "warm",
    }


def test_a_short_job_passes_a_blocked_one_only_where_it_cannot_delay_it() -> None:
    one = pool(24, 24)
    one.submit(job("long", limit=1000.0, priority=9), 0.0)
    assert names(list(one.place(0.0))) == ["long"]
    one.submit(job("wide", shape=Shape(gpus=2), priority=8), 1.0)
    one.submit(job("too-long", BOB, limit=2000.0), 1.0)
    one.submit(job("unknown", BOB, created_at=0.5), 1.0)
    one.submit(job("short", Owner("lab", "cid"), limit=900.0, created_at=0.9), 1.0)
    assert names(list(one.place(1.0))) == ["short"]
    one.finish("short", 800.0)
    one.finish("long", 990.0)
    assert names(list(one.place(990.0))) == ["wide"]


def test_limits_hold_a_user_back_and_let_others_pass() -> None:
    one = pool(24, 24, 24, allowances={ANN: Allowance(running=1)})
    for name, owner in (("a1", ANN), ("a2", ANN), ("b1", BOB)):
        one.submit(job(name, owner, created_at=1.0), 2.0)
    assert sorted(names(list(one.place(2.0)))) == ["a1", "b1"]
    one.finish("a1", 3.0)
    assert names(list(one.place(3.0))) == ["a2"]


def test_a_users_limits_count_all_their_projects_together() -> None:
    elsewhere = Owner("other", "ann")
    allowances = {owner: Allowance(running=1) for owner in (ANN, elsewhere)}
    one = pool(24, 24, allowances=allowances)
    one.submit(job("here", ANN), 0.0)
    one.submit(job("there", elsewhere, created_at=1.0), 1.0)
    assert names(list(one.place(1.0))) == ["here"]
    one.finish("here", 2.0)
    assert names(list(one.place(2.0))) == ["there"]


def test_a_job_that_is_withdrawn_and_submitted_again_starts_once() -> None:
    one = pool(24, 24, 24)
    for priority in (5, 5, 9):
        one.submit(job("moved", priority=priority), 0.0)
        if priority == 5:
            one.withdraw("moved", 0.0)
    assert [(each.job.id, each.job.priority) for each in one.place(0.0)] == [("moved", 9)]
    assert list(one.place(1.0)) == []


@pytest.mark.parametrize(
    ("allowance", "limit"),
    [(Allowance(gpus=1), "gpus"), (Allowance(gpu_seconds=0.0), "gpu_hours")],
)
def test_a_limit_says_which_it_is(allowance: Allowance, limit: str) -> None:
    one = pool(24, 24, allowances={ANN: allowance})
    one.submit(job("a", shape=Shape(gpus=2)), 0.0)
    assert list(one.place(0.0)) == []
    found = explain(one, "a", 0.0)
    assert (found.reason, found.facts["limit"]) == ("limit", limit)


def test_who_is_not_served_rises_by_one_priority_after_each_ageing_period() -> None:
    rules = Rules(ageing=100.0)
    for at, first in ((299.0, "new"), (301.0, "old")):
        one = pool(24, rules=rules)
        one.submit(job("old", ANN, priority=3, created_at=0.0), 0.0)
        one.submit(job("new", BOB, priority=6, created_at=290.0), 290.0)
        assert names(list(one.place(at))) == [first]


SHAPES = st.sampled_from(
    [Shape(), Shape(vram=10 * GIB), Shape(vram=30 * GIB), Shape(gpus=2), Shape(gpus=2, vram=GIB)]
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_happens_cards_are_never_overfull_and_all_come_back(data: st.DataObject) -> None:
    hosts = [HostCards("a", (40 * GIB, 40 * GIB)), HostCards("b", (24 * GIB,) * 3)]
    many = Scheduler(hosts)
    now = 0.0
    for number in range(data.draw(st.integers(1, 40))):
        now += 1.0
        if many.running and data.draw(st.booleans()):
            many.finish(data.draw(st.sampled_from(sorted(many.running))), now)
        else:
            owner = data.draw(st.sampled_from([ANN, BOB, Owner("other", "ann")]))
            shape, limit = data.draw(SHAPES), data.draw(st.sampled_from([0.0, 5.0, 500.0]))
            preemptible = data.draw(st.booleans())
            many.submit(
                job(f"{number:03}", owner, shape=shape, limit=limit, created_at=now,
                    preemptible=preemptible), now)  # fmt: skip
        list(many.place(now))
        assert (many.fleet.free >= 0).all()
        assert ((many.fleet.load == 0) <= (many.fleet.free == many.fleet.total)).all()
    while many.running:
        now += 1.0
        many.finish(min(many.running), now)
        list(many.place(now))
    assert not many.waiting
    assert (many.fleet.free == many.fleet.total).all()


def test_old_places_in_the_queue_are_cleared_away() -> None:
    """Each end of a job gives its owner's lanes new places; after days nearly all would be old."""
    one = pool(24)
    for number in range(2000):
        one.submit(job(f"j{number}", created_at=float(number), limit=100.0), 0.0)
    one.submit(job("last", preemptible=True), 0.0)
    for step in range(1000):
        (placed,) = one.place(float(step))
        one.finish(placed.job.id, step + 0.5)
    (heap,) = one.lanes._heaps[WHOLE].values()
    assert len(heap) < 10
