"""What an attempt says on its way to the database: buffered, written once a second, kept while
the database is away."""

import logging
import time
from typing import Any, Literal

from sqlalchemy import insert, update
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import Session, SQLModel, select

from shared import db
from shared.claims import Claim
from shared.clock import db_now
from shared.config import settings
from shared.errors import Both, both, spoken
from shared.phases import phase_words
from shared.tables import Attempt, Job, JobState, Outcome

logger = logging.getLogger(__name__)
_TABLES = SQLModel.metadata.tables
_FLUSH_SECONDS = 1.0
#: Lines kept while the database is away; the oldest go first.
_KEPT = 100_000
#: Characters of one line.
_LONGEST = 20_000
_MAX_BACKOFF = 1800.0


class Journal:
    """The progress, metrics, log and checkpoints of one attempt.

    `taken` says how far into each file of the attempt's trace an earlier worker came: it is written
    in the transaction of the rows that were read there, so that each is written once.
    """

    def __init__(self, claim: Claim, taken: dict[str, int] | None = None) -> None:
        self.claim = claim
        self._known = dict(taken or {})
        self._taken = dict(self._known)
        self.progressed = False
        self._key = {"job_id": claim.job_id, "epoch": claim.epoch}
        self._attempt: dict[str, Any] = {}
        self._lines: list[dict[str, Any]] = []
        self._points: list[dict[str, Any]] = []
        self._checkpoints: list[dict[str, Any]] = []
        self._next_flush = 0.0
        self._heard_at = time.monotonic()

    @property
    def away_for(self) -> float:
        """Seconds since the database last answered."""
        return time.monotonic() - self._heard_at

    def knows(self, file: str, end: int) -> bool:
        """Did an earlier worker write the line that ends there?"""
        return end <= self._known.get(file, 0)

    def remember(self, event: dict[str, Any]) -> None:
        """Take an event whose rows are written already."""
        if event["type"] == "progress":
            self.progressed = self.progressed or event["done"] > 0

    def took(self, file: str, end: int) -> None:
        """Everything up to there has been taken; goes out with the rows."""
        self._taken |= {file: end}
        self._attempt |= {"taken": dict(self._taken)}

    def event(self, event: dict[str, Any]) -> None:
        """Take a phase, progress, metrics or log event of the runner."""
        kind = event["type"]
        if kind == "phase":
            self._attempt |= {"phase": event["name"], "done": 0, "total": 0, "unit": ""}
            words = phase_words(event["name"])
            self.log("info", both(f"— {words['en']}", f"— {words['zh']}"), _at(event))
        elif kind == "progress":
            self.progressed = self.progressed or event["done"] > 0
            self._attempt |= {key: event[key] for key in ("done", "total", "unit")}
        elif kind == "metrics":
            point = {"step": event["step"], "values": event["values"], "at": _at(event)}
            self._points.append(self._key | point)
        elif kind == "log":
            self.log(event["level"], event["text"], _at(event))

    def log(self, level: str, text: str | Both, at: float | None = None) -> None:
        """Take one line, said at that time or now."""
        english, chinese = str(spoken(text, "en")), str(spoken(text, "zh"))
        line = {"level": level, "text": english[:_LONGEST], "at": at or time.time()}
        line["zh"] = None if chinese == english else chinese[:_LONGEST]
        self._lines.append(self._key | line)
        del self._lines[:-_KEPT]

    def checkpoint(self, step: int, uri: str) -> None:
        """Take a complete checkpoint; its row goes out with the next flush."""
        self._checkpoints.append(self._key | {"step": step, "uri": uri})
        self._next_flush = 0.0

    def flush(self, *, final: bool = False) -> Literal["held", "cancel", "preempt", "lost", "away"]:
        """Write what came in since the last second; say whether the job is still ours.

        "cancel" means somebody asked the job to end, "preempt" that it should give way, "away" that
        the database did not answer: everything is kept for the next time. With `final` an absent
        database raises.
        """
        if not final and time.monotonic() < self._next_flush:
            return "held"
        self._next_flush = time.monotonic() + _FLUSH_SECONDS
        try:
            if self._lines or self._points or self._checkpoints or self._attempt:
                self._write()
            standing = self._standing()
            self._heard_at = time.monotonic()
            return standing
        except (OperationalError, DBAPIError) as away:
            if final:
                raise
            logger.warning("job %s: database away: %s", self.claim.job_id, away.orig)
            return "away"

    def _write(self) -> None:
        lines, points, saved = self._lines[:], self._points[:], self._checkpoints[:]
        attempt = dict(self._attempt)
        with db.writing() as session:
            connection = session.connection()
            if attempt:
                table = _TABLES["attempt"]
                connection.execute(
                    update(table)
                    .where(table.c.job_id == self.claim.job_id, table.c.epoch == self.claim.epoch)
                    .values(**attempt)
                )
            for name, rows in (("logline", lines), ("metricpoint", points)):
                if rows:
                    connection.execute(insert(_TABLES[name]), rows)
            for row in saved:
                connection.execute(insert(_TABLES["checkpoint"]).values(**row, created_at=db_now()))
        del self._lines[: len(lines)], self._points[: len(points)]
        del self._checkpoints[: len(saved)]
        if self._attempt == attempt:
            self._attempt = {}

    def _standing(self) -> Literal["held", "cancel", "preempt", "lost"]:
        with db.reading() as session:
            row = session.exec(
                select(Job.cancel_requested_at, Job.preempt_requested_at).where(
                    Job.id == self.claim.job_id,
                    Job.epoch == self.claim.epoch,
                    Job.state == JobState.RUNNING,
                )
            ).all()
        if not row:
            return "lost"
        cancelled, preempted = row[0]
        if cancelled is not None:
            return "cancel"
        return "held" if preempted is None else "preempt"

    def retry_delay(self, session: Session, outcome: Outcome) -> float:
        """Seconds before the next try: none after the first failure, then doubling."""
        if outcome is not Outcome.RETRY:
            return 0.0
        retried = session.exec(
            select(Attempt.epoch).where(
                Attempt.job_id == self.claim.job_id, Attempt.outcome == Outcome.RETRY
            )
        ).all()
        if not retried:
            return 0.0
        return min(_MAX_BACKOFF, settings().backoff_seconds * 2.0 ** (len(retried) - 1))


def _at(event: dict[str, Any]) -> float:
    """When the runner said it; it may be read later."""
    return event.get("at") or time.time()
