"""Connections of the pool: one that the server hung up on is never handed out."""

from typing import Any

import psycopg
import pytest
from sqlalchemy import literal, select, text
from sqlalchemy.exc import DataError, OperationalError
from sqlmodel import Session

from shared import db, notices
from shared.config import settings
from shared.trips import in_one_trip


def _session_of_the_server() -> int:
    with db.reading() as session:
        return session.connection().execute(text("select pg_backend_pid()")).scalar_one()


@pytest.mark.usefixtures("database")
def test_a_connection_that_the_server_ended_is_replaced_before_it_is_used(database: str) -> None:
    if database == "sqlite":
        pytest.skip("SQLite has no server")
    before = _session_of_the_server()
    assert _session_of_the_server() == before
    _end(before)
    assert _session_of_the_server() != before


def _end(session_of_the_server: int) -> None:
    with psycopg.connect(settings().database, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 10000)", [session_of_the_server])


def _is_cut_off(session: Session, one: Any) -> None:
    asked = select(text("pg_backend_pid() as n"))
    [[first], [second]] = in_one_trip(session, [one, asked], {})
    assert first.n == 1
    _end(second[0])
    in_one_trip(session, [one], {})


@pytest.mark.usefixtures("database")
def test_statements_sent_together_fail_as_one_sent_alone_and_the_next_go_on(database: str) -> None:
    if database == "sqlite":
        pytest.skip("SQLite has no server")
    one, none = select(literal(1).label("n")), select((literal(1) / literal(0)).label("n"))
    with pytest.raises(DataError, match="division"), db.writing() as session:
        in_one_trip(session, [one, none], {})
    with pytest.raises(OperationalError), db.writing() as session:
        _is_cut_off(session, one)
    with db.writing() as session:
        assert in_one_trip(session, [one], {}) == [[(1,)]]


@pytest.mark.usefixtures("database")
def test_a_notice_that_cannot_be_sent_leaves_a_connection_that_can_be_used(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database == "sqlite":
        pytest.skip("SQLite has no notices")
    monkeypatch.setattr(notices, "_told", lambda *, anybody: select(literal(1) / literal(0)))
    with pytest.raises(DataError, match="division"):
        notices.send("h")
    monkeypatch.undo()
    assert notices.send("h")
    with db.writing() as session:
        driver: Any = session.connection().connection.driver_connection
        assert not driver.autocommit
