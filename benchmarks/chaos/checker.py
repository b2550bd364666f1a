"""After a chaos run: what was lost, published twice or leaked, by the client's own log."""

import fcntl
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from benchmarks.chaos.engine import RESULT, expected
from shared import audit, db
from shared.storage import MANIFEST, file_sha256
from shared.tables import Adapter, Attempt, Event, Job, JobState

#: The only ways a job may end other than by succeeding: a fault that the run itself made.
_EXCUSED = {"disk-full": "failed: disk full", "dependency-failed": "cancelled: its donor failed"}


@dataclass
class Findings:
    """Counts, and a line for each thing that is wrong."""

    jobs: int = 0
    lost: int = 0
    twice: int = 0
    leaked: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    sealed: int = 0
    chain: str = "whole"
    wrong: list[str] = field(default_factory=list)


def check(promised: list[dict[str, Any]], store: Path) -> Findings:
    """Hold the database and the store against what the pool acknowledged."""
    found = Findings(jobs=len(promised))
    with db.reading() as session:
        rows = {job.id: job for job in session.exec(select(Job)).all()}
        adapters = session.exec(select(Adapter)).all()
        published = Counter(adapter.job_id for adapter in adapters)
        succeeded = Counter(
            session.exec(select(Event.job_id).where(Event.kind == "succeeded")).all()
        )
        attempts = session.exec(select(Attempt)).all()
        report = audit.verify(session)
    found.sealed = report.sealed
    found.chain = "whole" if report.broken is None else str(report.broken)
    found.attempts = Counter(str(attempt.outcome) for attempt in attempts)
    by_job = {adapter.job_id: adapter for adapter in adapters}
    for entry in promised:
        problem = _lost(entry, rows.get(entry["id"]), by_job.get(entry["id"]), store, found)
        if problem:
            found.lost += 1
            found.wrong.append(f"lost: {entry['id']} {problem}")
        if published[entry["id"]] > 1 or succeeded[entry["id"]] > 1:
            found.twice += 1
            found.wrong.append(f"twice: {entry['id']}")
    for attempt in attempts:
        if attempt.outcome is None:
            found.leaked += 1
            found.wrong.append(f"leaked: attempt {attempt.job_id} a{attempt.epoch} never ended")
    _running_without_lease(list(rows.values()), found)
    return found


def _lost(
    entry: dict[str, Any], job: Job | None, adapter: Adapter | None, store: Path, found: Findings
) -> str:
    """Why an acknowledged job counts as lost; empty when it came to a proper end."""
    if job is None:
        return "has no row"
    if job.state == JobState.SUCCEEDED:
        found.ends["succeeded"] += 1
        return _damaged(entry, adapter, store)
    code = str((job.error or {}).get("code"))
    if JobState(job.state).is_final and code in _EXCUSED:
        found.ends[_EXCUSED[code]] += 1
        return ""
    found.ends[job.state] += 1
    return f"is {job.state} ({job.error})"


def _damaged(entry: dict[str, Any], adapter: Adapter | None, store: Path) -> str:
    """What is wrong with a published adapter's files."""
    if adapter is None:
        return "succeeded without an adapter"
    folder = store / adapter.uri
    if not (folder / MANIFEST).exists() or file_sha256(folder / MANIFEST) != adapter.sha256:
        return "has no manifest, or another attempt's"
    for file in json.loads((folder / MANIFEST).read_text())["files"]:
        if file_sha256(folder / file["path"]) != file["sha256"]:
            return f"has a damaged {file['path']}"
    spec = entry["spec"]
    if spec["kind"] == "train":
        wanted = expected(spec["seed"], spec["max_steps"])
        if (folder / RESULT).read_text() != wanted:
            return "has another result than an undisturbed run"
    return ""


def _running_without_lease(rows: list[Job], found: Findings) -> None:
    for job in rows:
        running = job.state == JobState.RUNNING
        if running != (job.lease_until is not None):
            found.leaked += 1
            found.wrong.append(f"leaked: {job.id} is {job.state}, lease until {job.lease_until}")


def held_locks(folders: list[Path]) -> set[str]:
    """Slot locks that some process still holds."""
    held = set()
    for path in [path for folder in folders for path in folder.glob("card-*.lock")]:
        descriptor = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.add(str(path))
        finally:
            os.close(descriptor)
    return held


def unfinished() -> list[Job]:
    """Jobs that have not come to an end."""
    live = (JobState.QUEUED, JobState.RUNNING)
    with db.reading() as session:
        return list(session.exec(select(Job).where(col(Job.state).in_(live))).all())
