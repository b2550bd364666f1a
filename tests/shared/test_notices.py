"""PostgreSQL's notices: the host with most room is told, at once, and nobody else."""

from typing import Any

import pytest
from sqlmodel import Session

from pools import add_job, claim_next
from shared import db, notices, queue
from shared.config import settings
from shared.tables import Host


def add_host(session: Session, name: str, slots: int, *, silent: bool = False) -> None:
    heard = 0.0 if silent else 2e9
    session.add(Host(name=name, slots=slots, cards=[1] * slots, heartbeat_at=heard))
    session.commit()


def told(connection: Any, count: int) -> list[str]:
    """Who was named by so many notices."""
    return [notice.payload for notice in connection.notifies(timeout=30, stop_after=count)]


@pytest.mark.usefixtures("database")
def test_a_hint_names_the_host_with_most_free_slots(database: str) -> None:
    if database == "sqlite":
        assert not notices.send()
        return
    with Session(db.engine()) as session, notices.listening() as connection:
        add_host(session, "small", 1)
        add_host(session, "large", 2)
        add_host(session, "gone", 9, silent=True)
        assert queue.hint("any")
        for number in range(2):
            add_job(session, id=f"{number}")
            claim_next(session, "large")
            session.commit()
        assert queue.hint("any")
        assert queue.hint("any", host="large")
        assert told(connection, 3) == ["large", "small", "large"]


@pytest.mark.usefixtures("database")
def test_a_host_hears_its_own_name_only(database: str) -> None:
    if database == "sqlite":
        pytest.skip("SQLite has no notices")
    with notices.listening() as connection:
        notices.send("another")
        assert not notices.heard(connection, 30.0)
        notices.send(settings().host_name)
        assert notices.heard(connection, 30.0)
