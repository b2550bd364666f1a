"""A pool's database with many jobs, one of them with a long curve, and the dashboard on it."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlmodel import Session, SQLModel

from shared import db, schema
from shared.config import settings
from shared.specs import parse_spec

#: The job whose curve grows while a browser looks at it.
CURVE = "job-with-a-curve"
_USERS = ("ann", "bo", "chen", "dai", "eva")
_CHUNK = 2000


def use(home: Path) -> None:
    """Make `home` this process's data folder, with every table."""
    os.environ["GRAFT_HOME"] = str(home)
    settings.cache_clear()
    db.engine_for.cache_clear()
    schema.upgrade()


def fill(jobs: int, points: int) -> None:
    """Add `jobs` jobs with an attempt each, mostly ended, and a running one with `points` steps."""
    now, chance = time.time(), random.Random(1)
    with db.writing() as session:
        for first in range(0, jobs, _CHUNK):
            rows = [_job(n, jobs, now, chance) for n in range(first, min(first + _CHUNK, jobs))]
            _insert(session, "job", rows)
            _insert(session, "attempt", [_attempt(row) for row in rows if row["epoch"]])
        row = _job(jobs, jobs, now, chance) | {"id": CURVE, "name": "long", "kind": "train"}
        row |= {"state": "running", "epoch": 1, "started_at": now - 9e3, "finished_at": None}
        _insert(session, "job", [row])
        _insert(session, "attempt", [_attempt(row) | {"total": 2 * points, "done": points}])
        _insert(session, "share", [{"project": "lab", "user": user} for user in _USERS])
        for first in range(0, points, _CHUNK):
            add_points(session, first, min(first + _CHUNK, points))


def add_points(session: Session, first: int, last: int) -> None:
    """The numbers of steps `first` to `last` of the job with the curve."""
    chance = random.Random(first)
    _insert(
        session,
        "metricpoint",
        [
            {
                "job_id": CURVE, "epoch": 1, "step": step, "at": time.time(),
                "values": {
                    "loss": 4 / (1 + step / 500) + chance.random() / 5,
                    "grad_norm": chance.random(), "learning_rate": 2e-4,
                    "tokens_per_s": 900 + 50 * chance.random(),
                },
            }
            for step in range(first, last)
        ],
    )  # fmt: skip


def _insert(session: Session, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        made = SQLModel.metadata.tables[table]
        defaults = {"attempt": {"cards": [0]}, "job": {"labels": []}}.get(table, {})
        session.connection().execute(made.insert(), [defaults | row for row in rows])


def _job(n: int, of: int, now: float, chance: random.Random) -> dict[str, Any]:
    left = of - n
    state = "queued" if left < 100 else "running" if left < 130 else "succeeded"
    if state == "succeeded":
        state = chance.choices(("succeeded", "failed", "cancelled"), (92, 6, 2))[0]
    kind = chance.choices(("train", "fuse", "evaluate"), (6, 2, 2))[0]
    created = now - 60.0 * left
    ended = state not in ("queued", "running")
    return {
        "id": f"j{n:011}", "kind": kind, "name": f"{kind}-{n}", "spec": _SPECS[kind],
        "user": chance.choice(_USERS), "project": "lab", "state": state, "created_at": created,
        "epoch": 0 if state == "queued" else 1, "host": "gpu-1" if state == "running" else None,
        "started_at": None if state == "queued" else created + 20,
        "finished_at": created + 1000 if ended else None,
    }  # fmt: skip


_SPECS = {
    spec["kind"]: parse_spec(spec).model_dump(mode="json")
    for spec in (
        {"kind": "train", "name": "x", "base_model": "base", "dataset": "rows"},
        {"kind": "fuse", "name": "x", "adapters": ["a", "b"], "params": {"method": "weighted_sum"}},
        {"kind": "evaluate", "name": "x", "base_model": "base", "benchmarks": ["b"]},
    )
}


def _attempt(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "job_id": job["id"], "epoch": 1, "host": "gpu-1", "device": "cuda", "phase": "training",
        "done": 300, "total": 1000, "unit": "steps", "started_at": job["started_at"],
        "ended_at": job["finished_at"], "gpu_seconds": 980.0,
        "outcome": None if job["state"] == "running" else job["state"],
    }  # fmt: skip


@contextmanager
def serving(home: Path) -> Iterator[tuple[str, int]]:
    """`python -m dashboard` on that data folder: its address and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = os.environ | {"GRAFT_DASHBOARD_PORT": str(port), "GRAFT_USER": "ann"}
    with (home / "dashboard.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard"], env=environment, stdout=log, stderr=log
        )
    try:
        await_port(port, process)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(20)


def await_port(port: int, process: "subprocess.Popen[bytes]", seconds: float = 90.0) -> None:
    """Return when something listens there; SystemExit when the process ended or time is up."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")
