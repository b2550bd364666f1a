"""The client of a chaos run: submits jobs and keeps its own log of what the pool acknowledged."""

import json
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlmodel import func, select

from shared import db, jobs
from shared.errors import UserError
from shared.people.actors import Actor
from shared.specs import parse_spec
from shared.tables import Job, JobState

#: Submitting waits while this many jobs are queued: every slot has work, and a fault has victims.
BACKLOG = 15
_FUSIONS = 0.1
_LOOK_SECONDS = 0.1


class Client(threading.Thread):
    """Submits until told to stop; every acknowledgement is on disk before the next submission."""

    def __init__(self, log: Path, seed: int) -> None:
        super().__init__(name="client", daemon=True)
        self.enough = threading.Event()
        self.log = log
        self.refused = 0
        #: Jobs that the pool acknowledged.
        self.promised = 0
        self._rng = random.Random(seed)
        self._trained: list[str] = []

    def run(self) -> None:
        number = 0
        with self.log.open("a") as log:
            while not self.enough.is_set():
                for _ in range(BACKLOG - self._backlog()):
                    self._submit(number, log)
                    number += 1
                self.enough.wait(_LOOK_SECONDS)

    def _backlog(self) -> int:
        try:
            with db.reading() as session:
                queued = select(func.count()).select_from(Job).where(Job.state == JobState.QUEUED)
                return session.scalar(queued) or 0
        except DBAPIError:
            return BACKLOG

    def _submit(self, number: int, log: Any) -> None:
        """Try until the pool has answered; the key makes one job of however many tries.

        Without an answer before the end the job was never promised.
        """
        spec = self._spec(number)
        while not self.enough.is_set():
            try:
                job = jobs.submit(
                    parse_spec(spec),
                    actor=Actor.admin("ann"),
                    max_attempts=1000,
                    idempotency_key=f"key-{number}",
                )
            except UserError:
                # A donor whose training failed on a full disk, say.
                self.refused += 1
                return
            except DBAPIError:
                time.sleep(0.1)
                continue
            entry = {"id": job.id, "key": f"key-{number}", "spec": spec}
            log.write(json.dumps(entry) + "\n")
            log.flush()
            os.fsync(log.fileno())
            self.promised += 1
            if spec["kind"] == "train":
                self._trained.append(spec["name"])
            return

    def _spec(self, number: int) -> dict[str, Any]:
        if len(self._trained) >= 2 and self._rng.random() < _FUSIONS:
            return {
                "kind": "fuse", "name": f"f{number}", "adapters": self._trained[-2:],
                "params": {"method": "weighted_sum"},
            }  # fmt: skip
        return train(number, self._rng.randint(4, 16))


def train(number: int, steps: int) -> dict[str, Any]:
    """A training of the stand-in engine."""
    return {
        "kind": "train", "name": f"t{number}", "base_model": "tiny", "dataset": "rows",
        "rank": 4, "max_steps": steps, "checkpoint_every": 3, "seed": number,
    }  # fmt: skip


def acknowledged(log: Path) -> list[dict[str, Any]]:
    """What the pool promised."""
    return [json.loads(line) for line in log.read_text().splitlines()]
