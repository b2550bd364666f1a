"""Statements to PostgreSQL without SQLAlchemy, which sends one and waits: several in one trip, or
one with less around it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from psycopg.rows import namedtuple_row
from sqlalchemy import Dialect, Engine
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session


def in_one_trip(
    session: Session, statements: Sequence[Any], values: Mapping[str, Any]
) -> list[list[Any]]:
    """The rows of statements that are made once and kept; sent together, BEGIN too.

    The server runs one after another. `values` are parameters of any of them; lists in IN (…) have
    no place here. Rows are named tuples.
    Raises the DBAPIError that executing one would raise.
    """
    connection = session.connection()
    driver: Any = connection.connection.driver_connection
    asked = [_written(each, connection.dialect, values) for each in statements]
    with told(connection.dialect):
        with driver.pipeline():
            cursors = [driver.cursor(row_factory=namedtuple_row).execute(*each) for each in asked]
        return [cursor.fetchall() for cursor in cursors]


def alone(engine: Engine, statement: Any, values: Mapping[str, Any]) -> None:
    """Run a statement that is made once and kept, in a transaction of its own.

    Raises the DBAPIError that executing it would raise.
    """
    pooled = engine.raw_connection()
    driver: Any = pooled.driver_connection
    try:
        with told(engine.dialect):
            driver.autocommit = True
            driver.execute(*_written(statement, engine.dialect, values))
            driver.autocommit = False
    except DBAPIError:
        pooled.invalidate()
        raise
    finally:
        pooled.close()


def _written(statement: Any, dialect: Dialect, values: Mapping[str, Any]) -> tuple[str, Any]:
    """The statement as the driver takes it, and its parameters."""
    text, fixed, later = _compiled(statement, dialect)
    return text, fixed | {name: adapt(values[name]) for name, adapt in later.items()}


@lru_cache(maxsize=256)
def _compiled(statement: Any, dialect: Dialect) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Its text, the parameters that are written into it, and how the others are adapted."""
    made = statement.compile(dialect=dialect)
    fixed, later = {}, {}
    for bind, name in made.bind_names.items():
        adapt = bind.type.dialect_impl(dialect).bind_processor(dialect) or _as_it_is
        if bind.required:
            later[name] = adapt
        else:
            fixed[name] = adapt(bind.effective_value)
    return made.string, fixed, later


def _as_it_is(value: Any) -> Any:
    return value


@contextmanager
def told(dialect: Dialect) -> Iterator[None]:
    """Errors of the driver as SQLAlchemy tells them."""
    dbapi: Any = dialect.loaded_dbapi
    try:
        yield
    except dbapi.Error as problem:
        raise DBAPIError.instance(None, None, problem, dbapi.Error, dialect=dialect) from problem
