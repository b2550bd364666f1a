"""One attempt of one job, from claim to commit: starts the runner, passes on what it says,
stops it when asked, and ends the job in one transaction with everything it made."""

import json
import logging
import os
import selectors
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError, OperationalError

from shared import db, leases
from shared.config import settings
from shared.errors import DiskFull, GraftError, TimeLimit
from shared.leases import Claim
from shared.orders import WorkOrder
from shared.storage import store
from shared.tables import JobState, Outcome
from worker.journal import Journal
from worker.ordering import order_for
from worker.publishing import publish
from worker.runners import Runner, Runners
from worker.verdicts import Verdict, judge

logger = logging.getLogger(__name__)
_TICK = 0.25


class Supervisor:
    """Runs one claim; the agent renews its lease and tells it when the lease is lost."""

    def __init__(self, claim: Claim, runners: Runners, device: str, slot_lock: int) -> None:
        self.claim = claim
        self.runners = runners
        self.device = device
        self.slot_lock = slot_lock
        self.journal = Journal(claim)
        #: Set by the agent when another host holds the job now, or the pool took it back.
        self.lease_lost = threading.Event()
        #: Set by the agent when this host is being stopped.
        self.host_stopping = threading.Event()
        self._final: dict[str, Any] | None = None
        self._asked: Outcome | None = None
        self._over_time: GraftError | None = None
        self._kill_at: float | None = None

    def run(self) -> None:
        """Run the attempt to its end; never raises for anything the job did."""
        order: WorkOrder | None = None
        try:
            order = self._order()
            verdict = self._attempt(order)
        except GraftError as wrong:
            verdict = Verdict(outcome=Outcome.FAILED, error=wrong.record())
        except OSError as wrong:
            full = DiskFull(host=self.claim.host, path=wrong.filename or str(settings().root))
            self.journal.log("error", str(wrong))
            verdict = Verdict(outcome=Outcome.FAILED, error=full.record())
        if not self.lease_lost.is_set():
            self._commit(verdict, order)

    def _order(self) -> WorkOrder:
        with db.reading() as session:
            order = order_for(session, self.claim, store(), self.device)
        order.folder.mkdir(parents=True, exist_ok=True)
        path = order.folder / "order.json"
        path.write_text(order.model_dump_json(indent=1))
        return order

    def _attempt(self, order: WorkOrder) -> Verdict:
        environment = {"CUDA_VISIBLE_DEVICES": str(self.claim.slot)} if self._on_gpu() else {}
        runner = self.runners.start(order.folder / "order.json", environment, self.slot_lock)
        try:
            code = self._watch(runner, order)
        finally:
            runner.kill()
            runner.close()
        return judge(
            self._final,
            code,
            asked_to_stop=self._asked,
            time_limit=self._over_time,
            progressed=self.journal.progressed,
            halvings=order.halvings,
        )

    def _on_gpu(self) -> bool:
        return self.device.startswith("cuda")

    def _watch(self, runner: Runner, order: WorkOrder) -> int:
        """Read the runner's pipes until it has ended; return its exit code."""
        started = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for descriptor, take in ((runner.events, self._event), (runner.log, self._output)):
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ, _Lines(descriptor, take))
            while True:
                code = runner.wait(0)
                ready = selector.select(0 if code is not None else _TICK)
                for key, _ in ready:
                    if not key.data.read():
                        selector.unregister(key.fileobj)
                if code is not None and not ready:
                    return code
                self._tick(runner, order, time.monotonic() - started)

    def _tick(self, runner: Runner, order: WorkOrder, running_for: float) -> None:
        state = self.journal.flush()
        if state == "lost":
            self.lease_lost.set()
        if self.lease_lost.is_set():
            runner.kill()
        elif state == "cancel":
            self._ask(runner, Outcome.CANCELLED)
        elif self.host_stopping.is_set():
            self._ask(runner, Outcome.STOPPED)
        elif 0 < order.spec.time_limit < running_for:
            self._over_time = TimeLimit(limit=order.spec.time_limit)
            self._ask(runner, Outcome.FAILED)
        if self._kill_at is not None and time.monotonic() > self._kill_at:
            runner.kill()

    def _ask(self, runner: Runner, why: Outcome) -> None:
        """SIGTERM once; SIGKILL when it has not ended within the grace time."""
        if self._asked is None:
            self._asked = why
            self._kill_at = time.monotonic() + settings().cancel_grace_seconds
            runner.signal(signal.SIGTERM)

    def _event(self, line: bytes) -> None:
        event = json.loads(line)
        if event["type"] in ("result", "error", "stopped"):
            self._final = event
        elif event["type"] == "checkpoint":
            folder = Path(event["folder"])
            root = store()
            key = f"jobs/{self.claim.job_id}/a{self.claim.epoch}/checkpoints/{folder.name}"
            self.journal.checkpoint(event["step"], root.publish(folder, key))
        else:
            self.journal.event(event)

    def _output(self, line: bytes) -> None:
        """What libraries print; kept, since it is often the only hint to what went wrong."""
        text = line.decode(errors="replace").rstrip()
        if text:
            self.journal.log("output", text)

    def _commit(self, verdict: Verdict, order: WorkOrder | None) -> None:
        """End the attempt; while the database is away, hold the result and try again.

        When the lease runs out first, the guard of the commit matches no row and nothing is
        published.
        """
        while not self.lease_lost.is_set():
            try:
                self.journal.flush(final=True)
                state = self._try_commit(verdict, order)
            except (OperationalError, DBAPIError) as away:
                logger.warning("job %s: cannot commit yet: %s", self.claim.job_id, away.orig)
                self.lease_lost.wait(1.0)
                continue
            if state is JobState.SUCCEEDED and order is not None:
                _tidy(order)
            return

    def _try_commit(self, verdict: Verdict, order: WorkOrder | None) -> JobState | None:
        with db.writing() as session:
            state = leases.commit(
                session,
                self.claim,
                verdict.outcome,
                error=verdict.error,
                retry_in=self.journal.retry_delay(session, verdict.outcome),
            )
            if state is None:
                session.rollback()
                return None
            if verdict.described is not None and order is not None:
                publish(session, self.claim, order, verdict.described)
            return state


class _Lines:
    """Splits a descriptor's bytes into lines."""

    def __init__(self, descriptor: int, take: Any) -> None:
        self._descriptor = descriptor
        self._take = take
        self._rest = b""

    def read(self) -> bool:
        """Take what is there; False at the end."""
        data = os.read(self._descriptor, 1 << 16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        if not data and self._rest:
            self._take(self._rest)
        return bool(data)


def _tidy(order: WorkOrder) -> None:
    """After publishing, this job's checkpoints and earlier attempts are of no more use."""
    shutil.rmtree(order.folder / "checkpoints", ignore_errors=True)
    for folder in order.folder.parent.iterdir():
        if folder != order.folder:
            shutil.rmtree(folder, ignore_errors=True)
