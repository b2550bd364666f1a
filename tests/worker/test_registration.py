"""One live worker a host name, and what a dead one leaves is taken up at once."""

import pytest
from sqlalchemy import update
from sqlmodel import Session, SQLModel, select

from pools import add_job, claim_next
from shared import db
from shared.errors import HostTaken
from shared.tables import Host, Job, JobState
from worker import registration
from worker.devices import Devices

CPU = Devices("cpu", [1000], ["slot-0"], {"cores": 2})


def register() -> str:
    with db.writing() as session:
        return registration.register(session, CPU)


def elsewhere(age: float) -> None:
    """Let the row belong to another machine, whose last heartbeat is that old."""
    with db.writing() as session:
        table = SQLModel.metadata.tables["host"]
        session.connection().execute(
            update(table).values(info={"identity": "x"}, heartbeat_at=table.c.heartbeat_at - age)
        )


@pytest.mark.usefixtures("database")
def test_a_restarted_worker_queues_again_what_its_predecessor_ran() -> None:
    first = register()
    with Session(db.engine()) as session:
        job = add_job(session).id
        name = session.exec(select(Host.name)).one()
        claim = claim_next(session, name, seconds=600)
        session.commit()
        assert claim is not None
    assert register() != first
    with db.reading() as session:
        assert session.get_one(Job, job).state == JobState.QUEUED


@pytest.mark.usefixtures("sqlite")
def test_a_name_used_on_another_machine_is_refused_until_that_worker_is_silent() -> None:
    register()
    elsewhere(age=5)
    with pytest.raises(HostTaken, match="GRAFT_HOST_NAME"):
        register()
    elsewhere(age=600)
    assert register()


@pytest.mark.usefixtures("sqlite")
def test_a_second_worker_of_the_same_data_folder_is_refused() -> None:
    lock = registration.lock_host()
    with pytest.raises(HostTaken):
        registration.lock_host()
    lock.close()
    registration.lock_host().close()


@pytest.mark.usefixtures("sqlite")
def test_a_worker_whose_name_was_taken_over_notices_at_its_next_heartbeat() -> None:
    old = register()
    new = register()
    with db.writing() as session:
        assert not registration.beat(session, old)
        assert registration.beat(session, new)
