"""The claim path on SQLite and PostgreSQL: what the scheduler decides is what is claimed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from pools import add_job
from shared import db, history, hosts, leases, limits, pool_state, usage
from shared.claims import Claim
from shared.dispatch import dispatch
from shared.errors import BadLimit, QueueFull, UnknownHost
from shared.people.actors import Actor
from shared.tables import Attempt, Event, Host, Job, JobDependency, JobState, Outcome, Share
from shared.why import why

GIB = 1024


@pytest.fixture
def session(database: str) -> Iterator[Session]:
    with Session(db.engine(), expire_on_commit=False) as session:
        yield session


def add_host(session: Session, name: str, *cards: int, device: str = "cuda", **kw: Any) -> None:
    now = pool_state.clock(session)
    totals = [size * GIB for size in cards]
    session.add(Host(name=name, device=device, cards=totals, heartbeat_at=now, **kw))
    session.commit()


def look(session: Session, host: str = "h", device: str = "cuda") -> list[Claim]:
    found = dispatch(session, host=host, device=device, lease_seconds=60)
    session.commit()
    return found.claims


def names(claims: list[Claim]) -> list[str]:
    return [claim.name for claim in claims]


def test_one_look_fills_the_host_in_the_order_of_the_queue(session: Session) -> None:
    add_host(session, "h", 24, 24)
    for name, priority, created in (("late", 5, 3.0), ("early", 5, 1.0), ("urgent", 9, 9.0)):
        add_job(session, name=name, priority=priority, created_at=created)
    claims = look(session)
    assert sorted(names(claims)) == ["early", "urgent"]
    assert sorted(claim.cards for claim in claims) == [(0,), (1,)]
    assert look(session) == []
    attempts = session.exec(select(Attempt)).all()
    assert [attempt.share for attempt in attempts] == [1.0, 1.0]


def test_an_owner_who_gets_more_than_was_read_at_first_is_read_on(session: Session) -> None:
    add_host(session, "h", *[24] * 6)
    for number in range(6):
        add_job(session, name=f"j{number}", created_at=float(number))
    found = dispatch(session, host="h", device="cuda", lease_seconds=60, window=14, first=2)
    assert (len(found.claims), found.most, found.more) == (6, 6, False)


def test_jobs_share_a_gpu_by_memory_and_a_cpu_slot_never(session: Session) -> None:
    add_host(session, "h", 24)
    add_host(session, "laptop", 24, device="cpu")
    for number in range(4):
        add_job(session, name=f"j{number}", vram_mb=10 * GIB, created_at=float(number))
    on_gpu = look(session)
    assert len(on_gpu) == 2
    assert all(claim.shares_cards for claim in on_gpu)
    share = session.exec(select(Attempt.share)).all()
    assert share == [pytest.approx(10 / 24)] * 2
    assert len(look(session, "laptop", "cpu")) == 1


def test_a_job_placed_elsewhere_is_left_and_that_host_is_named(session: Session) -> None:
    add_host(session, "h", 24)
    add_host(session, "big", 80, 80)
    job = add_job(session, gpus=2)
    found = dispatch(session, host="h", device="cuda", lease_seconds=60)
    assert (found.claims, found.elsewhere) == ([], {"big"})
    assert [claim.job_id for claim in look(session, "big")] == [job.id]


def test_many_hosts_that_look_at_once_never_take_one_job_twice(session: Session) -> None:
    for name in "abcd":
        add_host(session, name, *[24] * 6)
    for number in range(20):
        add_job(session, name=f"job-{number}")

    def claim_all(host: str) -> list[str]:
        with Session(db.engine()) as mine:
            return [claim.job_id for claim in look(mine, host)]

    with ThreadPoolExecutor(4) as threads:
        taken = [job for mine in threads.map(claim_all, "abcd") for job in mine]
    assert len(taken) == len(set(taken)) == 20


def test_a_drained_host_a_silent_one_and_a_closed_card_get_nothing(session: Session) -> None:
    add_host(session, "h", 24, accepting=False)
    add_job(session)
    assert look(session) == []
    hosts.drain(session, "h", accepting=True, actor=Actor.admin("ann"))
    found = dispatch(session, host="h", device="cuda", lease_seconds=60, closed=[0])
    assert found.claims == []
    session.commit()
    assert len(look(session)) == 1
    with pytest.raises(UnknownHost, match="Known hosts: h"):
        hosts.drain(session, "x", accepting=False, actor=Actor.admin("ann"))


def test_nothing_is_placed_on_a_host_in_trouble_or_on_a_card_it_found_taken(
    session: Session,
) -> None:
    add_host(session, "h", 24, 24)
    # Both would hold the job more tightly than `h`, were they free.
    add_host(session, "full", 20, trouble={"code": "disk-full", "params": {}})
    add_host(session, "busy", 20, closed=[0])
    # What a worker's heartbeat writes: a null of JSON's, not of SQL's.
    table = Host.metadata.tables["host"]
    session.connection().execute(table.update().where(table.c.name == "h").values(trouble=None))
    session.commit()
    add_job(session, vram_mb=10 * GIB)
    found = dispatch(session, host="full", device="cuda", lease_seconds=60)
    session.rollback()
    assert "busy" not in found.elsewhere
    (claim,) = look(session)
    assert claim.host == "h"


def test_a_project_has_no_limit_but_a_weight(session: Session) -> None:
    limits.change(session, "project", "lab", limits.Change(weight=2.0), actor=Actor.admin("root"))
    assert pool_state.rules(limits.listing(session)).project_weights == {"lab": 2.0}
    with pytest.raises(BadLimit, match="gpus are limits of users"):
        limits.change(session, "project", "lab", limits.Change(gpus=4), actor=Actor.admin("root"))


def test_a_users_limit_is_exact_and_why_says_so(session: Session) -> None:
    add_host(session, "h", 24, 24, 24)
    limits.change(
        session, "user", "*", limits.Change(running=1, queued=3), actor=Actor.admin("root")
    )
    first, second = (
        add_job(session, name=name, created_at=at) for name, at in (("a", 1), ("b", 2))
    )
    other = add_job(session, name="c", user="bob", created_at=3.0)
    assert {claim.job_id for claim in look(session)} == {first.id, other.id}
    answer = why(session, second)
    assert (answer.reason, answer.place) == ("limit_running", 1)
    assert "ann may run 1 jobs at once (`graft limits`), and 1 run" in answer.text("en")
    assert "ann" in answer.text("zh")
    with pytest.raises(QueueFull, match="has 1 jobs queued and may have 3"):
        history.opening(session, "ann", "train", "tiny").require_room("ann", 3)


def test_the_gpu_hours_of_thirty_days_are_each_users_own(session: Session) -> None:
    add_host(session, "h", 24, 24)
    limits.change(session, "user", "*", limits.Change(gpu_hours=1.0), actor=Actor.admin("root"))
    now = pool_state.clock(session)
    for user, started_at in (("ann", now - 7200), ("bob", now - 31 * 86400)):
        done = add_job(session, name=f"{user}-before", user=user, state="succeeded")
        session.add(Attempt(job_id=done.id, epoch=1, started_at=started_at, gpu_seconds=3600.0))
        session.commit()
    mine = add_job(session, name="ann-now", user="ann", created_at=1.0)
    add_job(session, name="bob-now", user="bob", created_at=2.0)
    assert names(look(session)) == ["bob-now"]
    assert why(session, mine).reason == "limit_gpu_hours"


def test_a_job_that_waits_for_another_says_for_which(session: Session) -> None:
    add_host(session, "h", 24)
    first, second = add_job(session, name="first"), add_job(session, name="second")
    session.add(JobDependency(job_id=second.id, needs_id=first.id))
    session.commit()
    assert names(look(session)) == ["first"]
    assert why(session, second).text("en") == "It waits for first to succeed."
    session.refresh(first)
    assert why(session, first).reason == "not_queued"


def test_without_a_host_why_names_the_command_that_starts_one(session: Session) -> None:
    answer = why(session, add_job(session))
    assert answer.place == 1
    assert "graft worker" in answer.text("en")
    assert "graft worker" in answer.text("zh")


def test_what_an_attempt_held_is_charged_to_its_owner(session: Session) -> None:
    add_host(session, "h", 20)
    add_job(session, vram_mb=10 * GIB)
    (claim,) = look(session)
    table = Attempt.metadata.tables["attempt"]
    session.connection().execute(table.update().values(started_at=table.c.started_at - 100))
    assert leases.commit(session, claim, Outcome.SUCCEEDED) is JobState.SUCCEEDED
    session.commit()
    share = session.get_one(Share, ("default", "ann"))
    assert share.used == pytest.approx(50, abs=20)
    (line,) = usage.account(session)
    assert (line.user, line.attempts) == ("ann", 1)
    assert line.gpu_seconds == pytest.approx(50, abs=20)
    assert line.running_seconds == 0


def test_past_use_fades_and_the_owner_who_used_less_goes_first(session: Session) -> None:
    add_host(session, "h", 24)
    for user, used, age_hours in (("ann", 5000.0, 168.0), ("bob", 3000.0, 0.0)):
        add_job(session, name=f"of-{user}", user=user, created_at=1.0 if user == "bob" else 2.0)
        share = session.get_one(Share, ("default", user))
        share.used, share.used_at = used, pool_state.clock(session) - age_hours * 3600
    session.commit()
    assert names(look(session)) == ["of-ann"]


def test_an_urgent_job_makes_a_preemptible_one_give_way_once(session: Session) -> None:
    add_host(session, "h", 24)
    soak = add_job(session, name="soak", preemptible=True)
    (running,) = look(session)
    assert running.job_id == soak.id
    add_job(session, name="real", user="bob")
    assert look(session) == []
    assert look(session) == []
    asked = session.exec(select(Event).where(Event.kind == "preempt")).all()
    assert [event.job_id for event in asked] == [soak.id]
    assert leases.commit(session, running, Outcome.PREEMPTED) is JobState.QUEUED
    session.commit()
    assert names(look(session)) == ["real"]
    session.refresh(soak)
    assert (soak.state, soak.failures) == (JobState.QUEUED, 0)
    assert session.get_one(Job, soak.id).epoch == 1


def test_a_deep_queue_of_one_owner_is_read_by_its_first_jobs_alone(session: Session) -> None:
    add_host(session, "h", 24)
    for number in range(40):
        add_job(session, name=f"j{number:02}", created_at=float(number))
    pool = pool_state.load(session, pool_state.clock(session), window=5)
    assert sorted(job.created_at for job in pool.waiting.values()) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_of_jobs_that_fit_alike_the_first_are_read_and_what_differs_is_found_behind_them(
    session: Session, database: str
) -> None:
    add_host(session, "h", 24)
    for number in range(8):
        add_job(session, name=f"j{number}", created_at=float(number), labels=["away"])
    add_job(session, name="fits", created_at=8.0)
    pool = pool_state.load(session, pool_state.clock(session), window=10, alike=3)
    read = [0.0, 1.0, 2.0, 8.0] if database == "postgresql" else [float(n) for n in range(9)]
    assert sorted(job.created_at for job in pool.waiting.values()) == read
    assert names(look(session)) == ["fits"]


def test_short_transactions_are_planned_once_and_read_no_table_whole(database: str) -> None:
    if database == "sqlite":
        pytest.skip("SQLite has no such settings")
    with db.writing() as session:
        asked = [text(f"show {name}") for name in ("enable_seqscan", "plan_cache_mode")]
        told = [session.connection().execute(each).scalar_one() for each in asked]
    assert told == ["off", "force_generic_plan"]
    with db.reading() as session:
        assert session.connection().execute(asked[0]).scalar_one() == "on"
