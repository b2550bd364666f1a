"""One attempt of one job, from claim to commit: starts the runner, passes on what it says,
stops it when asked, and ends the job in one transaction with everything it made."""

import errno
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
from shared.claims import Claim
from shared.config import settings
from shared.errors import Both, DiskFull, GraftError, Internal, StoreAway, TimeLimit, both
from shared.orders import WorkOrder
from shared.storage import store
from shared.tables import JobState, Outcome
from worker.journal import Journal
from worker.ordering import order_for
from worker.publishing import publish, upload
from worker.runners import Runner, Runners
from worker.verdicts import Verdict, judge

logger = logging.getLogger(__name__)
_TICK = 0.25


class Supervisor:
    """Runs one claim; the agent renews its lease and tells it when the lease is lost."""

    def __init__(self, claim: Claim, runners: Runners, device: str, card_locks: list[int]) -> None:
        self.claim = claim
        self.runners = runners
        self.device = device
        self.card_locks = card_locks
        self.journal = Journal(claim)
        #: Set by the agent when another host holds the job now, or the pool took it back.
        self.lease_lost = threading.Event()
        #: Set by the agent when this host is being stopped.
        self.host_stopping = threading.Event()
        self._final: dict[str, Any] | None = None
        self._asked: Outcome | None = None
        self._over_time: GraftError | None = None
        self._kill_at: float | None = None
        #: Where the result lies in the store, once it does.
        self._uri = ""
        self._no_cards = False

    def refuse_cards(self) -> None:
        """The cards were taken by something outside the pool meanwhile: hand the job back."""
        self._no_cards = True

    def run(self) -> None:
        """Run the attempt to its end; never raises for anything the job did."""
        order: WorkOrder | None = None
        if self._no_cards:
            self.journal.log(
                "warning",
                both(
                    "its cards were taken by another process; queued again",
                    "所分到的显卡被其他进程占用，已重新排队",
                ),
            )
            self._commit(Verdict(outcome=Outcome.STOPPED), None)
            return
        try:
            order = self._order()
            if order is None:
                return
            verdict = self._attempt(order)
        except StoreAway as wrong:
            verdict = Verdict(outcome=Outcome.RETRY, error=wrong.record())
        except GraftError as wrong:
            verdict = Verdict(outcome=Outcome.FAILED, error=wrong.record())
        except OSError as wrong:
            self.journal.log("error", str(wrong))
            verdict = self._broken_off(wrong)
        if not self.lease_lost.is_set():
            self._commit(verdict, order)

    def _broken_off(self, wrong: OSError) -> Verdict:
        """This machine's files would not do: full is final, anything else deserves another try."""
        if wrong.errno in (errno.ENOSPC, errno.EDQUOT):
            full = DiskFull(host=self.claim.host, path=wrong.filename or str(settings().root))
            return Verdict(outcome=Outcome.FAILED, error=full.record())
        return Verdict(outcome=Outcome.RETRY, error=Internal(detail=str(wrong)).record())

    def _order(self) -> WorkOrder | None:
        """The order, once the database and the store answer; None when the lease was lost first."""
        while not self.lease_lost.is_set():
            try:
                with db.reading() as session:
                    order = order_for(session, self.claim, store(), self.device, self._warn)
            except (OperationalError, DBAPIError) as away:
                logger.warning("job %s: database away: %s", self.claim.job_id, away.orig)
                self.lease_lost.wait(1.0)
                continue
            order.folder.mkdir(parents=True, exist_ok=True)
            (order.folder / "order.json").write_text(order.model_dump_json(indent=1))
            return order
        return None

    def _warn(self, text: str | Both) -> None:
        self.journal.log("warning", text)

    def _attempt(self, order: WorkOrder) -> Verdict:
        cards = ",".join(map(str, self.claim.cards))
        # The pool numbers cards as nvidia-smi does; CUDA by itself puts the fastest first.
        numbered = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": cards}
        environment = numbered if self._on_gpu() else {}
        try:
            runner = self.runners.start(order.folder / "order.json", environment, self.card_locks)
        except Internal as wrong:
            # This host's trouble, not the job's: its zygote was killed while it imported, say.
            return Verdict(outcome=Outcome.RETRY, error=wrong.record())
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
        elif self.host_stopping.is_set() or self.journal.away_for > settings().orphan_grace:
            # Cut off for so long, its lease is gone: the checkpoint is all that may still count.
            self._ask(runner, Outcome.STOPPED)
        elif state == "preempt":
            self._ask(runner, Outcome.PREEMPTED)
        elif 0 < order.spec.time_limit < running_for:
            self._over_time = TimeLimit(limit=order.spec.time_limit)
            self._ask(runner, Outcome.FAILED)
        if self._kill_at is not None and time.monotonic() > self._kill_at:
            runner.kill()

    def _ask(self, runner: Runner, why: Outcome) -> None:
        """SIGTERM once; SIGKILL when it has not ended within the grace time."""
        if self._asked is None:
            self._asked = why
            preempted = why is Outcome.PREEMPTED
            grace = (
                settings().preempt_grace_seconds if preempted else settings().cancel_grace_seconds
            )
            self._kill_at = time.monotonic() + grace
            runner.signal(signal.SIGTERM)

    def _event(self, line: bytes) -> None:
        event = json.loads(line)
        if event["type"] in ("result", "error", "stopped"):
            self._final = event
        elif event["type"] == "checkpoint":
            self._keep(event["step"], Path(event["folder"]))
        else:
            self.journal.event(event)

    def _keep(self, step: int, folder: Path) -> None:
        """A checkpoint that cannot be stored now is only one fewer to go on from."""
        key = f"jobs/{self.claim.job_id}/a{self.claim.epoch}/checkpoints/{folder.name}"
        try:
            self.journal.checkpoint(step, store().publish(folder, key))
        except (StoreAway, FileNotFoundError) as wrong:
            self.journal.log(
                "warning",
                both(
                    f"the checkpoint of step {step} was not stored: {wrong}",
                    f"第 {step} 步的检查点未能存入制品库：{wrong}",
                ),
            )

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
            except (OperationalError, DBAPIError, StoreAway) as away:
                logger.warning("job %s: cannot commit yet: %s", self.claim.job_id, away)
                self.lease_lost.wait(1.0)
                continue
            if state is JobState.SUCCEEDED and order is not None:
                _tidy(order)
            return

    def _try_commit(self, verdict: Verdict, order: WorkOrder | None) -> JobState | None:
        made = verdict.described if order is not None else None
        if made is not None and order is not None and not self._uri:
            self._uri = upload(self.claim, order)
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
            if made is not None and order is not None:
                publish(session, self.claim, order, self._uri, made)
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
    """After publishing, this job's checkpoints and earlier attempts are of no more use.

    Beside a remote store, neither is this disk's copy of what was published.
    """
    if store().local is None:
        shutil.rmtree(order.folder.parent, ignore_errors=True)
        return
    shutil.rmtree(order.folder / "checkpoints", ignore_errors=True)
    for folder in order.folder.parent.iterdir():
        if folder != order.folder:
            shutil.rmtree(folder, ignore_errors=True)
