"""What holds a card without using it is found, and what works is not."""

import os

import pytest
from sqlmodel import select

from shared import db, hosts
from shared.claims import Claim
from shared.tables import Host
from worker import devices, idling, registration
from worker.host import HostAgent
from worker.idling import Held, Idling
from worker.runners import Runners
from worker.supervisor import Supervisor
from worker.traces import introduce


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_card_that_stands_still_is_counted_until_it_works_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, use = Clock(), {0: 0.0, 1: 97.0, 2: 0.0}
    monkeypatch.setattr(idling, "use_of_cards", lambda: use)
    watch = Idling(on_gpu=True, clock=clock)
    held = [Held("a", (0,), None), Held("b", (1,), None), Held("both", (1, 2), None)]
    watch.look(held)
    clock.now += 400
    watch.look(held)
    assert watch.seconds() == {"a": 400.0}
    use[0] = 50.0
    watch.look(held)
    use[0] = 0.0
    clock.now += 60
    watch.look(held)
    assert watch.seconds() == {"a": 0.0}


def test_a_card_that_does_not_say_what_it_does_is_not_called_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(idling, "use_of_cards", dict)
    watch = Idling(on_gpu=True)
    watch.look([Held("a", (0,), None)])
    assert watch.seconds() == {}


def test_a_runner_on_a_slot_is_idle_while_it_takes_no_processor_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, spent = Clock(), {1: 5.0, 2: 5.0}
    monkeypatch.setattr(idling, "processor_seconds", spent.get)
    watch = Idling(on_gpu=False, clock=clock)
    held = [Held("still", (0,), 1), Held("busy", (1,), 2), Held("gone", (2,), 3)]
    for _ in range(3):
        watch.look(held)
        clock.now += 100
        spent[2] += 90.0
    assert watch.seconds() == {"still": 100.0}


def test_processor_time_is_that_of_the_process_and_nothing_for_one_that_ended() -> None:
    assert (idling.processor_seconds(os.getpid()) or 0.0) > 0
    assert idling.processor_seconds(2**22 + 1) is None


def test_the_driver_says_how_busy_each_card_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [("0", "0"), ("1", "98"), ("2", "[N/A]")]
    rows = [{"index": index, "utilization.gpu": use} for index, use in said]
    monkeypatch.setattr(devices, "_asked", lambda query: rows)
    assert devices.use_of_cards() == {0: 0.0, 1: 98.0}


@pytest.mark.usefixtures("sqlite")
def test_a_heartbeat_says_what_stands_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = HostAgent()
    with db.writing() as session:
        agent._incarnation = registration.register(session, agent.devices)
    monkeypatch.setattr(agent._idling, "seconds", lambda: {"long": 400.0, "short": 20.0})
    agent._renew_once()
    with db.reading() as session:
        host = session.exec(select(Host)).one()
    assert hosts.idle_seconds(host, "long") == 400.0
    assert hosts.idle_seconds(host, "short") is None
    assert hosts.idle_seconds(host, "another") is None


@pytest.mark.usefixtures("sqlite")
def test_the_process_of_an_attempt_is_known_while_it_lives() -> None:
    claim = Claim(job_id="j", epoch=1, host="h", cards=(0,), kind="train", name="a", spec={})
    watched = Supervisor(claim, Runners(), "cpu", [])
    assert watched.runner_pid() is None
    watched.trace.folder.mkdir(parents=True)
    introduce(watched.trace.folder)
    assert watched.runner_pid() == os.getpid()
