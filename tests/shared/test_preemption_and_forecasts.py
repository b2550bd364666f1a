"""Who has to give way, and what those who wait are told."""

import pytest

from shared.scheduling import Allowance, Rules, Running, Shape
from shared.scheduling.forecast import explain
from shared.scheduling.preemption import victims
from shared.why import reason_of
from small_pools import ANN, BOB, GIB, job, pool, running

WHOLE = Shape()


def test_a_preemptible_job_gives_way_to_any_other_the_latest_first() -> None:
    one = pool(24, 24)
    one.resume(running("soak-1", card=0, at=0.0, preemptible=True), 100.0)
    one.resume(running("soak-2", card=1, at=50.0, preemptible=True), 100.0)
    one.submit(job("real", BOB, created_at=99.0), 100.0)
    assert list(one.place(100.0)) == []
    assert [each.job.id for each in victims(one, 100.0)] == ["soak-2"]


def test_nobody_is_asked_twice_for_one_start() -> None:
    one = pool(24, 24)
    one.resume(running("soak-1", card=0, preemptible=True), 100.0)
    leaving = Running(job("soak-2", preemptible=True), "h", (1,), 50.0, preempting=True)
    one.resume(leaving, 100.0)
    one.submit(job("real", BOB), 100.0)
    assert list(one.place(100.0)) == []
    assert victims(one, 100.0) == []


def test_a_normal_job_is_safe_from_higher_priorities_for_the_guaranteed_time() -> None:
    for started, stopped in ((0.0, ["low"]), (900.0, [])):
        one = pool(24, rules=Rules(guaranteed=600.0))
        one.resume(running("low", at=started, priority=2), 1000.0)
        one.submit(job("high", BOB, priority=7), 1000.0)
        assert list(one.place(1000.0)) == []
        assert [each.job.id for each in victims(one, 1000.0)] == stopped


def test_equal_priority_never_stops_anybody() -> None:
    one = pool(24, rules=Rules(guaranteed=0.0))
    one.resume(running("first", priority=5), 1000.0)
    one.submit(job("second", BOB, priority=5), 1000.0)
    assert list(one.place(1000.0)) == []
    assert victims(one, 1000.0) == []


def test_a_forecast_adds_up_what_is_expected_to_run_before() -> None:
    one = pool(24)
    one.resume(running("now", expected=100.0), 40.0)
    one.submit(job("next", BOB, expected=30.0, created_at=1.0), 40.0)
    one.submit(job("mine", ANN, expected=30.0, created_at=2.0), 40.0)
    found = explain(one, "mine", 40.0)
    assert (found.reason, found.facts["ahead"]) == ("behind", 1)
    assert found.starts_in == pytest.approx(90.0)


def test_nobody_knows_when_something_without_an_end_ends() -> None:
    one = pool(24)
    one.resume(running("now"), 40.0)
    one.submit(job("mine", BOB), 40.0)
    found = explain(one, "mine", 40.0)
    assert (found.reason, found.starts_in) == ("room", None)


def test_what_takes_longer_than_such_jobs_did_is_not_expected_to_end_at_once() -> None:
    for limit, starts_in in ((0.0, None), (100.0, 60.0)):
        one = pool(24)
        one.resume(running("now", expected=10.0, limit=limit), 40.0)
        one.submit(job("mine", BOB), 40.0)
        assert explain(one, "mine", 40.0).starts_in == starts_in


def test_who_waits_for_a_limit_waits_for_that_users_job_and_not_for_a_card() -> None:
    one = pool(24, 24, allowances={ANN: Allowance(running=1)})
    one.submit(job("first", ANN, expected=50.0), 0.0)
    one.submit(job("mine", ANN, created_at=1.0), 0.0)
    found = explain(one, "mine", 0.0)
    assert (found.reason, found.facts["allowed"], found.facts["held"]) == ("limit", 1, 1)
    assert found.starts_in == pytest.approx(50.0)


def test_what_no_host_could_ever_hold_is_said_so() -> None:
    one = pool(24)
    one.submit(job("mine", shape=Shape(vram=48 * GIB)), 0.0)
    found = explain(one, "mine", 0.0)
    assert (found.reason, found.facts["largest"]) == ("too_large", 24 * GIB)


def test_a_label_or_a_number_of_cards_that_no_host_has_is_named() -> None:
    for shape, reason in (
        (Shape(labels=frozenset({"a100"})), "no_label"),
        (Shape(gpus=5), "too_many"),
    ):
        one = pool(24)
        one.submit(job("mine", shape=shape), 0.0)
        found = explain(one, "mine", 0.0)
        assert found.reason == reason
        assert all(reason_of(found).text(language) for language in ("en", "zh"))
    assert found.facts["most"] == 1
