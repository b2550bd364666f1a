"""The agent's own row: one live worker a host name, and what an earlier one left behind."""

import fcntl
import hashlib
import secrets
from pathlib import Path
from typing import IO

from sqlalchemy import update
from sqlmodel import Session, select

from shared import events, leases
from shared.clock import db_now
from shared.config import settings
from shared.errors import HostTaken
from shared.tables import Host
from worker.devices import Devices


def lock_host() -> IO[str]:
    """Hold this data folder's worker lock for the life of the process.

    Raises HostTaken when another worker of this machine has it.
    """
    path = settings().root / "run" / f"worker-{settings().host_name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise HostTaken(host=settings().host_name) from None
    return file


def register(session: Session, devices: Devices) -> str:
    """Enter this host, or take over its row from the worker that ran here before.

    Jobs which that worker left running go back to the queue at once: it held our lock, so it is
    dead, and its runners died with it. Raises HostTaken when a worker elsewhere uses this name.
    """
    name, identity = settings().host_name, _identity()
    now = session.scalar(select(db_now())) or 0.0
    host = session.get(Host, name)
    if host is None:
        host = Host(name=name)
        session.add(host)
    elif host.info.get("identity") != identity:
        if now - host.heartbeat_at < settings().lease_seconds:
            raise HostTaken(host=name)
    else:
        leases.expire(session, host=name)
    host.incarnation = secrets.token_hex(8)
    host.device, host.slots = devices.device, devices.slots
    host.info = devices.info | {"identity": identity}
    host.started_at = host.heartbeat_at = now
    events.record(session, "host-started", actor=name, slots=devices.slots, device=devices.device)
    return host.incarnation


def beat(session: Session, incarnation: str) -> bool:
    """Say that this host is alive; False when another worker has taken its name."""
    table = Host.metadata.tables["host"]
    alive = session.connection().execute(
        update(table)
        .where(table.c.name == settings().host_name, table.c.incarnation == incarnation)
        .values(heartbeat_at=db_now())
    )
    return alive.rowcount == 1


def is_accepting(session: Session) -> bool:
    """May this host claim new jobs, or is it drained?"""
    accepting = session.exec(select(Host.accepting).where(Host.name == settings().host_name))
    return accepting.first() is not False


def _identity() -> str:
    """This machine and data folder, so that equal host names on two machines are noticed."""
    machine = Path("/etc/machine-id")
    known = machine.read_text().strip() if machine.exists() else ""
    return hashlib.sha256(f"{known}:{settings().root}".encode()).hexdigest()[:16]
