"""One attempt of one job, from claim to commit: starts the runner, or takes over one that an
earlier worker started; passes on what it says, stops it when asked, and ends the job in one
transaction with everything it made."""

import errno
import logging
import shutil
import signal
import threading
import time
from functools import partial
from typing import Any

from sqlalchemy.exc import DBAPIError, OperationalError

from shared import db
from shared.claims import Claim
from shared.config import settings
from shared.errors import Both, DiskFull, GraftError, Internal, StoreAway, TimeLimit, both
from shared.orders import WorkOrder
from shared.storage import store
from shared.tables import JobState, Outcome
from worker.adoption import Adopted, trace_of
from worker.ends import End, Ends
from worker.following import Follower
from worker.journal import Journal
from worker.ordering import order_for
from worker.publishing import publish, upload
from worker.runner import NO_ROOM
from worker.runners import Runner, Runners
from worker.talk import Talk
from worker.verdicts import Verdict, judge

logger = logging.getLogger(__name__)
_TICK = 0.25


class Supervisor:
    """Runs one claim; the agent renews its lease and tells it when the lease is lost."""

    def __init__(
        self,
        claim: Claim,
        runners: Runners,
        device: str,
        card_locks: list[int],
        adopted: Adopted | None = None,
        ends: Ends | None = None,
    ) -> None:
        self.claim = claim
        #: The host's, so that attempts which end together are committed together.
        self.ends = ends or Ends()
        self.runners = runners
        self.device = device
        self.card_locks = card_locks
        self.adopted = adopted
        self.trace = trace_of(claim.job_id, claim.epoch)
        self.journal = Journal(claim, adopted.taken if adopted is not None else None)
        #: Set by the agent when another host holds the job now, or the pool took it back.
        self.lease_lost = threading.Event()
        #: Set by the agent when this host is being stopped.
        self.host_stopping = threading.Event()
        #: Set by the agent when it makes way for the next one: the runner goes on for that.
        self.host_leaving = threading.Event()
        self._final: dict[str, Any] | None = None
        self._asked: Outcome | None = None
        self._over_time: GraftError | None = None
        self._kill_at: float | None = None
        #: Where the result lies in the store, once it does.
        self._uri = ""
        self._no_cards = False
        self._talk: Talk | None = None
        self.end: End | None = None

    @property
    def is_over(self) -> bool:
        """Has its end been committed? Its cards are free a moment later."""
        return self.end is not None and self.end.done.is_set()

    def runner_pid(self) -> int | None:
        """The process that runs it; None before there is one, and once it has ended."""
        who = self.trace.identify()
        return who.pid if who is not None and who.alive() else None

    def refuse_cards(self) -> None:
        """The cards were taken by something outside the pool meanwhile: hand the job back."""
        self._no_cards = True

    def run(self) -> None:
        """Run the attempt to its end; never raises for anything the job did."""
        self._run()
        if not self.host_leaving.is_set():
            self.trace.remove()

    def _run(self) -> None:
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
            if verdict is None:
                return
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
        if self.adopted is not None:
            return self.adopted.order
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

    def _attempt(self, order: WorkOrder) -> Verdict | None:
        """Watch a runner to its end; None when it goes on under the next worker."""
        if self.adopted is None and self.host_leaving.is_set():
            self.host_leaving.clear()  # it has no runner yet that could be left
            return Verdict(outcome=Outcome.STOPPED)
        try:
            runner = self.adopted or self._start(order)
        except Internal as wrong:
            # This host's trouble, not the job's: its zygote was killed while it imported, say.
            return Verdict(outcome=Outcome.RETRY, error=wrong.record())
        code: int | None = 0
        try:
            code = self._watch(runner, order)
        finally:
            if code is not None:
                runner.kill()
        if code is None:
            return None
        if self._final is None and code == NO_ROOM:
            return self._broken_off(OSError(errno.ENOSPC, "", str(self.trace.folder)))
        return judge(
            self._final,
            code,
            asked_to_stop=self._asked or self._asked_before(),
            time_limit=self._over_time,
            progressed=self.journal.progressed,
            halvings=order.halvings,
        )

    def _start(self, order: WorkOrder) -> Runner:
        cards = ",".join(map(str, self.claim.cards))
        # The pool numbers cards as nvidia-smi does; CUDA by itself puts the fastest first.
        numbered = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": cards}
        environment = numbered if self._on_gpu() else {}
        path = order.folder / "order.json"
        return self.runners.start(path, self.trace, environment, self.card_locks)

    def _asked_before(self) -> Outcome | None:
        """An adopted runner that stopped well was asked to by the worker before this one."""
        stopped = self._final is not None and self._final["type"] == "stopped"
        return Outcome.STOPPED if stopped and self.adopted is not None else None

    def _on_gpu(self) -> bool:
        return self.device.startswith("cuda")

    def _watch(self, runner: Runner, order: WorkOrder) -> int | None:
        """Follow the runner until it has ended; its exit code, None when it is left running."""
        began = time.monotonic() - (self.adopted.age() if self.adopted is not None else 0.0)
        if order.spec.kind == "chat":
            self._talk = Talk(self.claim, order.folder)
        with Follower(self.claim, self.journal, self.trace, self._talk) as follower:
            while True:
                code = runner.wait(_TICK)
                follower.read()
                self._final = follower.final
                if code is not None:
                    return code
                if self.host_leaving.is_set():
                    self.journal.flush()
                    return None
                self._tick(runner, order, time.monotonic() - began)

    def _tick(self, runner: Runner, order: WorkOrder, running_for: float) -> None:
        state = self.journal.flush()
        if self._talk is not None:
            self._talk.tick()
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

    def _commit(self, verdict: Verdict, order: WorkOrder | None) -> None:
        """End the attempt; while the database is away, hold the result and try again.

        When the lease runs out first, the guard of the commit matches no row and nothing is
        published.
        """
        while not self.lease_lost.is_set():
            try:
                self.journal.flush(final=True)
                if self._talk is not None:
                    self._talk.flush()
                state = self._try_commit(verdict, order)
            except (OperationalError, DBAPIError, StoreAway) as away:
                logger.warning("job %s: cannot commit yet: %s", self.claim.job_id, away)
                if self.host_leaving.is_set():
                    return  # the next worker finds how it ended, and commits that
                self.lease_lost.wait(1.0)
                continue
            if state is JobState.SUCCEEDED and order is not None:
                _tidy(order)
            return

    def _try_commit(self, verdict: Verdict, order: WorkOrder | None) -> JobState | None:
        made = verdict.described if order is not None else None
        if made is not None and order is not None and not self._uri:
            self._uri = upload(self.claim, order)
        self.end = End(self.claim, verdict, self.journal.retry_delay)
        if made is not None and order is not None:
            self.end.publish = partial(
                publish, claim=self.claim, order=order, uri=self._uri, described=made
            )
        return self.ends.commit(self.end)


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
