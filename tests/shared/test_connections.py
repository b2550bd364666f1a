"""Connections of the pool: one that the server hung up on is never handed out."""

import psycopg
import pytest
from sqlalchemy import text

from shared import db
from shared.config import settings


def _session_of_the_server() -> int:
    with db.reading() as session:
        return session.connection().execute(text("select pg_backend_pid()")).scalar_one()


@pytest.mark.usefixtures("database")
def test_a_connection_that_the_server_ended_is_replaced_before_it_is_used(database: str) -> None:
    if database == "sqlite":
        pytest.skip("SQLite has no server")
    before = _session_of_the_server()
    assert _session_of_the_server() == before
    with psycopg.connect(settings().database, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 10000)", [before])
    assert _session_of_the_server() != before
