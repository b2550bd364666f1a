"""The engine and the sessions: SQLite (one host) or PostgreSQL (a team)."""

import math
import select
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import NullPool
from sqlmodel import Session

from shared.config import settings

_READ_ONLY = "graft_read_only"
#: PostgreSQL's engine for short transactions, by the engine for everything else.
_SHORT: WeakKeyDictionary[Engine, Engine] = WeakKeyDictionary()


@lru_cache(maxsize=4)
def engine_for(url: str) -> Engine:
    """The engine of a database URL, one a process."""
    if not url.startswith("sqlite"):
        engine = _postgres(url)
        # What a submission, a look or an end asks is found by an index, in tables of any size. So
        # it is planned once, which takes longer than running it; and never to read a table whole,
        # as seems cheap while there are few jobs, and stays the plan until they are analysed.
        by_index = {"enable_seqscan": "off", "plan_cache_mode": "force_generic_plan"}
        short = _SHORT[engine] = _postgres(url, **by_index)
        event.listen(engine, "engine_disposed", lambda _: short.dispose())
        return engine
    path = url.removeprefix("sqlite:///")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": 30})
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgres(url: str, **server: str) -> Engine:
    """An engine whose sessions have these settings of the server."""
    engine = create_engine(
        _with_driver(url),
        pool_size=5,
        max_overflow=20,
        # The connection used last: its session has the plans of what comes again and again.
        pool_use_lifo=True,
        connect_args=_patience(server),
    )
    _notice_hanging_up(engine)
    return engine


def _with_driver(url: str) -> str:
    """PostgreSQL URLs as people write them, with the driver that Graft installs."""
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def _notice_hanging_up(engine: Engine) -> None:
    """Let the pool connect anew where the server has hung up, mostly without asking it anything.

    A server that stops or is killed says so, and what it said waits at the socket of a connection
    that rests; only then is it asked. Of a cut cable a question would learn no sooner than the
    next statement does.
    """

    @event.listens_for(engine, "checkout")
    def look(connection: Any, _record: Any, _proxy: Any) -> None:
        try:
            waiting = select.poll()
            waiting.register(connection.fileno(), select.POLLIN)
            if waiting.poll(0):
                engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as gone:
            raise DisconnectionError from gone


def _patience(more: dict[str, str]) -> dict[str, Any]:
    """How soon both ends of a connection to PostgreSQL give up on a silent peer.

    By default a cut cable is noticed after a quarter of an hour here, and after two hours by the
    server: its locks, the leader's among them, would be held as long.
    A process that was paused inside a transaction is cut off too.
    """
    lease = settings().lease_seconds
    probe = max(1, round(lease / 6))
    again = max(1, probe // 2)
    server = {
        "tcp_keepalives_idle": probe,
        "tcp_keepalives_interval": again,
        "tcp_keepalives_count": 2,
        "tcp_user_timeout": 2 * probe * 1000,
        "idle_in_transaction_session_timeout": round(2 * lease) * 1000,
        # It compiles for 70 ms what then runs for two: a look at a long queue is estimated dear.
        "jit": "off",
    } | more
    return {
        "application_name": settings().host_name,
        "connect_timeout": max(2, 2 * probe),
        "keepalives_idle": probe,
        "keepalives_interval": again,
        "keepalives_count": 2,
        "tcp_user_timeout": 2 * probe * 1000,
        "options": " ".join(f"-c {name}={value}" for name, value in server.items()),
    }


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # Transactions are begun by _begin_sqlite; the driver's own rules would begin too late.
    connection.isolation_level = None
    # Not every SQLite is built with its own mathematics.
    connection.create_function("graft_power", 2, math.pow, deterministic=True)
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "busy_timeout=30000",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A write transaction that starts as a read can fail to upgrade; IMMEDIATE waits its turn.
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def engine() -> Engine:
    """The engine of this process's settings."""
    return engine_for(settings().database)


def short() -> Engine:
    """The engine for transactions that look up and change a few rows."""
    return _SHORT.get(engine()) or engine()


@contextmanager
def writing() -> Iterator[Session]:
    """One transaction that may change rows; committed at the end, rolled back on an error."""
    with Session(short(), expire_on_commit=False) as session:
        yield session
        session.commit()


@contextmanager
def reading() -> Iterator[Session]:
    """One transaction that only looks; on SQLite it never waits for a writer."""
    with (
        engine().connect().execution_options(**{_READ_ONLY: True}) as connection,
        Session(bind=connection, expire_on_commit=False) as session,
    ):
        yield session
