"""The pool's page: what is held without being used, and who used what by day."""

import re
from datetime import date
from pathlib import Path

import pytest

import filled
from dashboard import pool_use
from dashboard.language import Words
from pages import Open, texts
from shared import db
from shared.people.actors import Actor, Role
from shared.tables import Attempt, Host, Job
from shared.use_by_day import DayUse

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)


def test_a_job_that_lets_its_card_stand_still_is_marked_and_counted(
    pool: Path, open_page: Open
) -> None:
    with db.writing() as session:
        job = session.exec(filled.select(Job).where(Job.name == "longer")).one()
        session.get_one(Attempt, (job.id, 1)).cards = [0]
        session.get_one(Host, "host-1").idle = {job.id: 780.0}
    english, chinese = open_page("hosts"), open_page("hosts", "zh")
    assert "idle for 13 min" in texts(english)
    assert "已闲置 13 分钟" in texts(chinese)
    assert {each.label: each.value for each in english.metric} == {
        "Cards in use": "1 of 2", "Idle but held": "1", "Hosts that answer": "1 of 2",
        "Jobs that wait": "3",
    }  # fmt: skip
    with db.writing() as session:
        session.get_one(Host, "host-1").idle = {job.id: 20.0}
    assert "idle for" not in texts(open_page("hosts"))


def test_an_admin_takes_a_host_out_and_back_and_a_member_is_not_offered_to(
    pool: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wanted, label in ((False, "Take nothing new"), (True, "Take jobs again")):
        button = open_page("hosts").button(key="hosts.drain.host-1")
        assert button.label == label
        button.click().run()
        with db.reading() as session:
            assert session.get_one(Host, "host-1").accepting is wanted
    monkeypatch.setattr("dashboard.visitor.actor", lambda: Actor("bo", Role.MEMBER))
    assert not [each for each in open_page("hosts").button if "hosts.drain" in str(each.key)]


def test_what_was_used_is_added_up_over_the_chosen_days(pool: Path, open_page: Open) -> None:
    with db.writing() as session:
        job = session.exec(filled.select(Job).where(Job.name == "native")).one()
        attempt = session.get_one(Attempt, (job.id, 1))
        began = attempt.started_at - 10 * 86_400
        attempt.started_at, attempt.ended_at, attempt.gpu_seconds = began, began + 60, 36_000.0
    pool_use.read.clear()
    app = open_page("hosts")
    assert re.search(r"\b10\.\d GPU-hours in the last 30 days", texts(app))
    week = next(each for each in app.button_group if each.key == "hosts.use.days")
    assert re.search(r"\b0\.\d GPU-hours in the last 7 days", texts(week.set_value(7).run()))


def test_a_bar_is_parted_by_user_or_project_and_the_small_ones_are_together() -> None:
    found = [DayUse(MONDAY, "p", f"user-{n}", 10.0 - n) for n in range(8)]
    found += [DayUse(TUESDAY, "q", "user-0", 2.5)]
    days = [MONDAY, TUESDAY]
    by_user = pool_use.stacked(Words("en"), days, found, "user")["series"]
    assert [each["name"] for each in by_user][:2] == ["user-0", "user-1"]
    assert by_user[0]["data"] == [10.0, 2.5]
    assert (by_user[-1]["name"], by_user[-1]["data"]) == ("2 others", [7.0, 0])
    assert len({str(each["itemStyle"]) for each in by_user}) == len(by_user)
    by_project = pool_use.stacked(Words("zh"), days, found, "project")
    assert [(each["name"], each["data"]) for each in by_project["series"]] == [
        ("p", [52.0, 0]),
        ("q", [0, 2.5]),
    ]
