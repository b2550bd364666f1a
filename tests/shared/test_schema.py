"""Migrations make exactly the tables that the code declares, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlmodel import SQLModel

from pools import fresh_postgres
from shared import schema
from shared.db import engine_for
from shared.errors import NotReachable, SchemaOutdated


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a table."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'graft.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
        fresh_postgres(url)
    yield url
    engine_for(url).dispose()
    engine_for.cache_clear()


def test_the_migrations_make_exactly_the_declared_tables(empty: str) -> None:
    schema.upgrade(empty)
    with engine_for(empty).connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": _comparable}
        )
        assert compare_metadata(context, SQLModel.metadata) == []


def test_the_migrations_declare_the_same_sql_as_the_tables_on_sqlite(tmp_path: Path) -> None:
    migrated, declared = (f"sqlite:///{tmp_path / name}" for name in ("migrated.db", "declared.db"))
    schema.upgrade(migrated)
    SQLModel.metadata.create_all(engine_for(declared))
    assert _columns(migrated) == _columns(declared)


def _comparable(thing: Any, name: str | None, *_rest: Any) -> bool:
    """Alembic cannot read an index with a descending column back; the next test compares it."""
    return name != "job_queue"


def test_the_migrations_make_the_declared_indexes(tmp_path: Path) -> None:
    migrated, declared = (f"sqlite:///{tmp_path / name}" for name in ("migrated.db", "declared.db"))
    schema.upgrade(migrated)
    SQLModel.metadata.create_all(engine_for(declared))
    assert _indexes(migrated) == _indexes(declared)
    assert any("priority desc" in sql for _, sql in _indexes(declared))


def _indexes(url: str) -> set[tuple[str, str]]:
    query = "select name, sql from sqlite_master where type = 'index' and sql is not null"
    with engine_for(url).connect() as connection:
        found = connection.execute(text(query))
        return {(row.name, row.sql.replace('"', "").lower()) for row in found}


def _columns(url: str) -> set[tuple[str, ...]]:
    query = """select t.name, c.name, c.type, c."notnull", c.pk
               from sqlite_master t, pragma_table_info(t.name) c
               where t.type = 'table' and t.name <> 'alembic_version'"""
    with engine_for(url).connect() as connection:
        return {tuple(map(str, row)) for row in connection.execute(text(query))}


def test_upgrading_twice_changes_nothing(empty: str) -> None:
    assert schema.upgrade(empty) == "none"
    assert schema.upgrade(empty) == schema.head()
    assert schema.current(empty) == schema.head()


def test_processes_that_upgrade_at_once_all_find_the_newest_schema(empty: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        before = list(pool.map(lambda _: schema.upgrade(empty), range(4)))
    assert sorted(before) == sorted(["none"] + 3 * [schema.head()])
    schema.check(empty)


def test_a_failed_migration_leaves_nothing_behind(empty: str) -> None:
    with engine_for(empty).begin() as connection:
        # The last table of the first migration is in the way.
        connection.execute(text("create table score (x integer)"))
    with pytest.raises(Exception, match=r"score.* already exists"):
        schema.upgrade(empty)
    assert inspect(engine_for(empty)).get_table_names() == ["score"]


def test_an_old_database_is_refused_with_the_command_that_mends_it(empty: str) -> None:
    with pytest.raises(SchemaOutdated, match="graft db upgrade"):
        schema.check(empty)
    schema.upgrade(empty)
    schema.check(empty)


def test_a_database_that_is_not_there_is_named_without_its_password() -> None:
    url = "postgresql://ann:secret@127.0.0.1:1/graft?connect_timeout=2"
    with pytest.raises(NotReachable, match=r"127\.0\.0\.1") as failure:
        schema.current(url)
    assert "secret" not in str(failure.value)
