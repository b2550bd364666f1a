"""A database of a test's own, on SQLite and on PostgreSQL, and jobs to put into it."""

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, select, text, update
from sqlmodel import Session, SQLModel

from shared import db, leases, schema
from shared.claims import Choice, Claim
from shared.config import settings
from shared.tables import Job, Share


def use(monkeypatch: pytest.MonkeyPatch, home: Path, **environment: str) -> None:
    """Point this process's settings at a fresh data folder and database."""
    monkeypatch.setenv("GRAFT_HOME", str(home))
    monkeypatch.delenv("GRAFT_BROKER_URL", raising=False)
    monkeypatch.delenv("GRAFT_DATABASE_URL", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(f"GRAFT_{name.upper()}", value)
    forget()


def forget() -> None:
    """Drop the cached settings and engines."""
    if settings.cache_info().currsize:
        db.engine().dispose()
    settings.cache_clear()
    db.engine_for.cache_clear()


def fresh_postgres(url: str) -> None:
    """A PostgreSQL database without a table."""
    with db.engine_for(url).begin() as connection:
        connection.execute(text("drop schema public cascade"))
        connection.execute(text("create schema public"))


@functools.cache
def _migrated_file() -> bytes:
    """A SQLite database with all migrations and no row; they take longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graft.db"
        url = f"sqlite:///{path}"
        schema.upgrade(url)
        db.engine_for(url).dispose()
        return path.read_bytes()


def upgrade() -> None:
    """The settings' database at the newest revision; an empty one of PostgreSQL is migrated."""
    url = make_url(settings().database)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
        Path(url.database or "").write_bytes(_migrated_file())
    elif schema.current() != schema.head():
        schema.upgrade()


def emptied_postgres(url: str) -> None:
    """A PostgreSQL database at the newest revision without a row, numbering from 1 again."""
    if schema.current(url) != schema.head():
        fresh_postgres(url)
        schema.upgrade(url)
        return
    names = ", ".join(f'"{name}"' for name in SQLModel.metadata.tables)
    with db.engine_for(url).begin() as connection:
        connection.execute(text(f"truncate {names} restart identity cascade"))


def _database(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[str]:
    kind = request.param
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
        use(monkeypatch, tmp_path, database_url=url)
        emptied_postgres(url)
    else:
        use(monkeypatch, tmp_path)
        upgrade()
    yield kind
    forget()


database = pytest.fixture(params=["sqlite", "postgresql"])(_database)
sqlite = pytest.fixture(params=["sqlite"])(_database)


def add_job(session: Session, **columns: Any) -> Job:
    """A queued job; times count from 1 so that earlier jobs go first."""
    defaults: dict[str, Any] = {"kind": "train", "name": "a", "spec": {}, "user": "ann"}
    job = Job(**defaults | columns)
    session.add(job)
    if session.get(Share, (job.project, job.user)) is None:
        session.add(Share(project=job.project, user=job.user))
    session.commit()
    return job


def age_lease(session: Session, job_id: str, seconds: float) -> None:
    """Let a lease be that much older, instead of waiting."""
    table = SQLModel.metadata.tables["job"]
    session.connection().execute(
        update(table).where(table.c.id == job_id).values(lease_until=table.c.lease_until - seconds)
    )
    session.commit()


def claim_next(
    session: Session, host: str = "h", *, leases: Any = leases, seconds: float = 60
) -> Claim | None:
    """Claim the first ready job, whatever the scheduler would say; does not commit."""
    table = SQLModel.metadata.tables["job"].c
    order = (table.priority.desc(), table.created_at, table.id)
    first = select(table.id).where(leases.is_ready()).order_by(*order).limit(1)
    job_id = session.connection().execute(first).scalar()
    if job_id is None:
        return None
    chosen = [Choice(job_id=job_id)]
    claims = leases.claim(session, chosen, host=host, device="cpu", lease_seconds=seconds)
    return claims[0] if claims else None
