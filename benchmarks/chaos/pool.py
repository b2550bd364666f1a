"""A whole pool for a chaos run: servers, hosts in namespaces, and what they are told."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session

from benchmarks.chaos.hosts import Host, Network, can_isolate, can_mount
from benchmarks.chaos.servers import Broker, Postgres, postgres_programs, redis_program
from shared import db, schema
from shared.config import settings
from shared.storage import store
from shared.tables import Dataset, ModelRef

NAMES = ("east", "west", "north")
SLOTS = 3
LEASE = 3.0
#: Impatient settings, so that minutes hold what a team's pool meets in months.
WAITS = {
    "GRAFT_LEASE_SECONDS": str(LEASE), "GRAFT_RENEW_SECONDS": "0.7", "GRAFT_POLL_SECONDS": "0.5",
    "GRAFT_SWEEP_SECONDS": "0.5", "GRAFT_REHINT_SECONDS": "1", "GRAFT_BACKOFF_SECONDS": "0.05",
    "GRAFT_CPU_SLOTS": str(SLOTS), "GRAFT_MIN_FREE_MB": "4", "GRAFT_GARBAGE_SECONDS": "2",
    "OMP_NUM_THREADS": "1",
}  # fmt: skip


@dataclass
class ChaosPool:
    """What a run works on."""

    folder: Path
    hosts: list[Host]
    broker: Broker | None
    postgres: Postgres | None
    store: Path


@contextmanager
def chaos_pool(database: str, folder: Path) -> Iterator[ChaosPool]:
    """Start all of it; end all of it, whatever happened."""
    pool = ChaosPool(folder, [], _broker(folder), None, folder / "store")
    try:
        if database == "postgres":
            programs = postgres_programs()
            if programs is None:
                raise SystemExit("PostgreSQL is not installed; use --database sqlite")
            if os.geteuid() == 0:
                shutil.chown(folder, "nobody", "nogroup")
            folder.chmod(0o755)
            pool.postgres = Postgres(programs, folder, "10.0.0.0/8")
            pool.postgres.start()
        isolate = database == "postgres" and can_isolate()
        disk = can_mount()
        for number, name in enumerate(NAMES):
            network = Network(number) if isolate and number else None
            pool.hosts.append(Host(name, folder, network=network, disk=disk))
        _settle(pool)
        for host in pool.hosts:
            host.start(_environment(pool, host.name, host.address) | {"GRAFT_HOME": str(host.home)})
        yield pool
    finally:
        _end(pool)


def _broker(folder: Path) -> Broker | None:
    program = redis_program()
    if program is None:
        return None
    broker = Broker(program, folder)
    broker.start()
    return broker


def _environment(pool: ChaosPool, name: str, address: str) -> dict[str, str]:
    """What the process of that name is told."""
    if pool.postgres is not None:
        url = pool.postgres.url(address)
    else:
        url = f"sqlite:///{pool.folder / 'graft.db'}"
    # Not a plain folder: hosts share nothing but the database, the broker and this store.
    where = {"GRAFT_DATABASE_URL": url, "GRAFT_STORE_URL": f"local://{pool.store}"}
    if pool.broker is not None:
        where["GRAFT_BROKER_URL"] = pool.broker.url(address)
    return WAITS | where | {"GRAFT_HOST_NAME": name}


def _settle(pool: ChaosPool) -> None:
    """This process becomes a client of the pool; the tables, a base and rows are registered."""
    os.environ |= _environment(pool, "client", "127.0.0.1")
    os.environ["GRAFT_HOME"] = str(pool.folder / "client")
    settings.cache_clear()
    db.engine_for.cache_clear()
    pool.store.mkdir()
    schema.upgrade()
    rows = pool.folder / "rows.jsonl"
    rows.write_text('{"instruction": "Say one", "output": "one"}\n')
    with Session(db.engine()) as session:
        uri = store().put_file(rows, "datasets/rows.jsonl")
        session.add(ModelRef(name="tiny", location=str(pool.folder), fingerprint="none"))
        session.add(Dataset(name="rows", kind="training", format="alpaca", uri=uri,
                            sha256="none", rows=1))  # fmt: skip
        session.commit()


def _end(pool: ChaosPool) -> None:
    """In this order; one that fails does not keep the others."""
    with ExitStack() as stack:
        for host in pool.hosts:
            stack.callback(host.remove)
        if pool.broker is not None:
            stack.callback(pool.broker.wipe)
        if pool.postgres is not None:
            stack.callback(pool.postgres.crash)
        stack.callback(lambda: db.engine().dispose())
        for host in pool.hosts:
            stack.callback(host.kill)
