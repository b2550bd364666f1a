"""A host without room takes nothing new, says why, and goes on by itself; SQLite stays on one."""

import pytest
from sqlmodel import Session, SQLModel, select, update

from pools import add_job, use
from shared import db
from shared.config import settings
from shared.errors import SqliteShared, explain
from shared.tables import Event, Host, Job, JobState
from worker import registration, room
from worker.devices import Devices
from worker.host import HostAgent

CPU = Devices("cpu", [1000], ["slot-0"], {"cores": 2})
#: More than any disk has.
TOO_MUCH = str(10**9)


def register() -> str:
    with db.writing() as session:
        return registration.register(session, CPU)


def beat(incarnation: str) -> Host:
    with db.writing() as session:
        assert registration.beat(session, incarnation, room.trouble())
    with db.reading() as session:
        return session.exec(select(Host)).one()


@pytest.mark.usefixtures("sqlite")
def test_a_host_without_room_claims_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, settings().root, min_free_mb=TOO_MUCH)
    register()
    with Session(db.engine()) as session:
        job = add_job(session).id
    assert not HostAgent()._start_some(deep=True)
    with db.reading() as session:
        assert session.get_one(Job, job).state == JobState.QUEUED


@pytest.mark.usefixtures("database")
def test_people_see_why_a_host_takes_nothing_and_when_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = settings().database
    incarnation = register()
    assert beat(incarnation).trouble is None
    use(monkeypatch, settings().root, database_url=url, min_free_mb=TOO_MUCH)
    host = beat(incarnation)
    assert f"until there are {TOO_MUCH}" in explain(host.trouble)
    assert host.name in explain(host.trouble, "zh")
    beat(incarnation)
    use(monkeypatch, settings().root, database_url=url, min_free_mb="0")
    assert beat(incarnation).trouble is None
    with db.reading() as session:
        kinds = session.exec(select(Event.kind).order_by(Event.kind)).all()
    assert kinds == ["host-in-trouble", "host-recovered", "host-started"]


def far_away(age: float) -> None:
    """A worker on another machine, last heard of that long ago."""
    register()
    table = SQLModel.metadata.tables["host"]
    with db.writing() as session:
        session.connection().execute(
            update(table).values(
                name="far", info={"boot": "another"}, heartbeat_at=table.c.heartbeat_at - age
            )
        )


@pytest.mark.usefixtures("sqlite")
def test_a_sqlite_file_that_another_machine_uses_is_refused() -> None:
    far_away(age=5)
    with pytest.raises(SqliteShared, match=r"far.*GRAFT_DATABASE_URL"):
        register()


@pytest.mark.usefixtures("sqlite")
def test_a_machine_that_fell_silent_long_ago_does_not_keep_sqlite_from_the_next() -> None:
    far_away(age=600)
    assert register()


@pytest.mark.usefixtures("database")
def test_many_machines_may_share_postgresql(database: str) -> None:
    if database == "postgresql":
        far_away(age=5)
        assert register()
