"""The database's schema: which migration it is at, and bringing it to the newest one."""

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import OperationalError

from shared.config import settings
from shared.db import engine_for
from shared.errors import NotReachable, SchemaOutdated, both

#: Beside the package in a checkout, an image and an installed copy alike.
MIGRATIONS = Path(__file__).parents[1] / "infra" / "migrations"
#: Any number will do; every Graft that migrates the same PostgreSQL database waits for this one.
_LOCK = 0x67726166
_EMPTY = "none"
# It announces each database it looks at; every process looks at one when it starts.
logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)


@cache
def head() -> str:
    """The newest revision this Graft knows."""
    revision = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    if revision is None:
        raise FileNotFoundError(f"{MIGRATIONS} holds no migration")
    return revision


def current(url: str = "") -> str:
    """The revision a database is at; `none` before the first. Raises NotReachable."""
    return _within(url or settings().database, _revision)


def upgrade(url: str = "") -> str:
    """Bring a database to `head()`, in one transaction; return the revision it was at.

    Safe to call from many processes at once: one migrates, the others wait and find it done.
    Raises NotReachable.
    """
    return _within(url or settings().database, _upgrade)


def check(url: str = "") -> None:
    """Raises SchemaOutdated unless the database is at `head()`, NotReachable when it is not up."""
    where = url or settings().database
    if (found := current(where)) != (wanted := head()):
        raise SchemaOutdated(where=_shown(where), found=found, wanted=wanted)


def ready() -> None:
    """Check the tables' revision; a SQLite file that is not there yet is made.

    Raises SchemaOutdated with the command that mends it, NotReachable.
    """
    url = make_url(settings().database)
    path = settings().root if url.database is None else url.database
    if url.get_backend_name() == "sqlite" and not Path(path).exists():
        upgrade()
    else:
        check()


def _within(url: str, work: Callable[[Connection], str]) -> str:
    try:
        with engine_for(url).connect() as connection:
            return work(connection)
    except OperationalError as problem:
        raise NotReachable(
            what=both("the database", "数据库"), where=_shown(url), problem=_first_line(problem)
        ) from problem


def _shown(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)


def _first_line(problem: OperationalError) -> str:
    return (str(problem.orig).strip().splitlines() or ["no reason given"])[0]


def _revision(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or _EMPTY


def _upgrade(connection: Connection) -> str:
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        # SQLite alters a table by copying it, which would trip over rows that refer to it; the
        # pragma has no effect inside a transaction. The pool keeps no SQLite connection.
        connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
    # On SQLite every transaction begins IMMEDIATE: that is its lock.
    with connection.begin():
        if not sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        before = _revision(connection)
        command.upgrade(_config(connection), "head")
        if sqlite and (broken := connection.execute(text("PRAGMA foreign_key_check")).all()):
            raise RuntimeError(f"the migration left rows that refer to nothing: {broken[:5]}")
    return before


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
