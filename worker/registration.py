"""The agent's own row: one live worker a host name, and what an earlier one left behind."""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

from sqlalchemy import update
from sqlmodel import Session, select

from shared import events, leases
from shared.clock import db_now
from shared.config import settings
from shared.errors import HostTaken, SqliteShared
from shared.tables import Host
from worker.devices import Devices
from worker.runners import presence
from worker.traces import boot

#: Bases a host is taken to have at hand.
_REMEMBERED = 8


def lock_host() -> IO[str]:
    """Hold this data folder's worker lock for the life of the process.

    It holds the worker's process id. Raises HostTaken when another worker of this machine has it.
    """
    path = settings().worker_lock
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise HostTaken(host=settings().host_name) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def be_present() -> IO[str]:
    """Tell orphaned runners that this host has a worker, for as long as the file stays open.

    Shared, and waited for: zygotes try the lock to see whether somebody has it.
    """
    file = presence().open("a")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def register(session: Session, devices: Devices, adopted: Collection[str] = ()) -> str:
    """Enter this host, or take over its row from the worker that ran here before.

    Jobs which that worker left running go back to the queue at once, but for the adopted ones: it
    held our lock, so it is dead. Raises HostTaken when a worker elsewhere uses this name,
    SqliteShared when one on another machine uses this SQLite file.
    """
    name, identity = settings().host_name, _identity()
    now = session.scalar(select(db_now())) or 0.0
    if session.get_bind().dialect.name == "sqlite":
        _require_one_machine(session, now)
    host = session.get(Host, name)
    if host is None:
        host = Host(name=name)
        session.add(host)
    elif host.info.get("identity") != identity:
        if now - host.heartbeat_at < settings().lease_seconds:
            raise HostTaken(host=name)
    else:
        leases.expire(session, host=name, but=adopted)
    host.incarnation = secrets.token_hex(8)
    host.device, host.slots, host.cards = devices.device, len(devices.cards), devices.cards
    host.labels = labels()
    host.info = devices.info | {"identity": identity, "boot": boot()}
    host.started_at = host.heartbeat_at = now
    host.trouble, host.idle = None, {}
    events.record(
        session, "host-started", actor=name, cards=len(devices.cards), device=devices.device
    )
    return host.incarnation


def beat(
    session: Session,
    incarnation: str,
    trouble: dict[str, Any] | None = None,
    idle: dict[str, float] | None = None,
) -> bool:
    """Say that this host is alive, why it takes nothing new when it does not, and what stands idle.

    False when another worker has taken its name.
    """
    host = session.exec(
        select(Host).where(Host.name == settings().host_name, Host.incarnation == incarnation)
    ).first()
    if host is None:
        return False
    if (trouble is None) != (host.trouble is None):
        kind = "host-recovered" if trouble is None else "host-in-trouble"
        events.record(session, kind, actor=host.name, trouble=trouble)
    table = Host.metadata.tables["host"]
    alive = session.connection().execute(
        update(table)
        .where(table.c.name == host.name, table.c.incarnation == incarnation)
        .values(heartbeat_at=db_now(), trouble=trouble, idle=idle or {})
    )
    return alive.rowcount == 1


def sign_off(session: Session, incarnation: str) -> None:
    """This worker stops: place nothing more here, as if it had been silent for a lease."""
    table = Host.metadata.tables["host"]
    session.connection().execute(
        update(table)
        .where(table.c.name == settings().host_name, table.c.incarnation == incarnation)
        .values(heartbeat_at=db_now() - settings().lease_seconds)
    )


def labels() -> list[str]:
    """What jobs can ask this host for: its name, and the labels of its settings."""
    own = [settings().host_name, *settings().host_labels.split(",")]
    return sorted({label.strip() for label in own if label.strip()})


def note_closed(session: Session, known: list[int], cards: set[int]) -> None:
    """Tell the other hosts which cards cannot be used, so that they place nothing there."""
    if known != sorted(cards):
        _change(session, closed=sorted(cards))


def remember_bases(session: Session, known: list[str], used: list[str]) -> None:
    """Note that these bases were just used here: jobs that need one are sent here first."""
    bases = known
    for name in used:
        if name:
            bases = [name, *(base for base in bases if base != name)][:_REMEMBERED]
    if bases != known:
        _change(session, bases=bases)


def _change(session: Session, **columns: Any) -> None:
    table = Host.metadata.tables["host"]
    mine = update(table).where(table.c.name == settings().host_name)
    session.connection().execute(mine.values(**columns))


def _require_one_machine(session: Session, now: float) -> None:
    for host in session.exec(select(Host)).all():
        alive = now - host.heartbeat_at < settings().lease_seconds
        if alive and host.info.get("boot", boot()) != boot():
            raise SqliteShared(other=host.name)


def _identity() -> str:
    """This machine and data folder, so that equal host names on two machines are noticed."""
    machine = Path("/etc/machine-id")
    known = machine.read_text().strip() if machine.exists() else ""
    return hashlib.sha256(f"{known}:{settings().root}".encode()).hexdigest()[:16]
