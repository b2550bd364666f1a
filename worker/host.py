"""The agent of one machine: claims jobs for its cards, renews their leases, stops cleanly."""

import gc
import logging
import random
import sys
import threading

from sqlalchemy.exc import DBAPIError, OperationalError

from shared import db, leases, queue
from shared.claims import Claim
from shared.config import settings
from shared.dispatch import BEHIND, FIRST, dispatch, take_turn
from shared.donors import base_of
from worker import adoption, registration, room, sweeper
from worker.cards import Cards, release
from worker.courtesy import Looking
from worker.devices import Devices, find_devices
from worker.ends import Ends
from worker.idling import Held, Idling
from worker.runners import Runners
from worker.supervisor import Supervisor

logger = logging.getLogger(__name__)
#: How long a look waits for attempts that are over to give their cards back.
_LEAVING_SECONDS = 0.05
#: Between two looks at what the jobs' cards do.
_IDLING_SECONDS = 15.0


class HostAgent:
    """Runs jobs until told to stop; hints only make it look sooner."""

    def __init__(self, runners: Runners | None = None) -> None:
        self.devices: Devices = find_devices()
        self.runners = runners or Runners()
        self.stopping = threading.Event()
        self._look = threading.Event()
        self._looking = Looking()
        self._slots = threading.Condition()
        self._busy: list[Supervisor] = []
        self._cards = Cards(self.devices)
        self._incarnation = ""
        #: What one owner got at most at the last look.
        self._most = 0
        #: Set when the next worker shall take over what runs.
        self.leaving = threading.Event()
        self._inherited = adoption.children()
        self.ends = Ends()
        self._idling = Idling(on_gpu=self.devices.device != "cpu")

    def run(self) -> None:
        """Work until `stop` or `leave` is called and every attempt has ended or is left."""
        with registration.lock_host(), registration.be_present():
            self._enter()
            self._work()

    def _enter(self) -> None:
        """Enter this host into the pool, with what an earlier worker left running."""
        left = adoption.left_behind()
        with db.writing() as session:
            adopted = adoption.adopt(session, left)
            claims = [claim for claim, _ in adopted]
            self._incarnation = registration.register(
                session, self.devices, [claim.job_id for claim in claims]
            )
            leases.renew(session, claims, settings().lease_seconds)
        taken = {(claim.job_id, claim.epoch) for claim in claims}
        adoption.discard(trace for trace in left if trace.key not in taken)
        for claim, runner in adopted:
            logger.info("job %s (%s): its runner goes on", claim.job_id, claim.name)
            self._begin(
                Supervisor(
                    claim, self.runners, self.devices.device, [], adopted=runner, ends=self.ends
                )
            )

    def _work(self) -> None:
        loops = [
            threading.Thread(target=self._renew_leases, name="renew"),
            threading.Thread(
                target=sweeper.sweep_until,
                args=(self.stopping, self._looking.give_way),
                name="sweep",
            ),
        ]
        for loop in loops:
            loop.start()
        # Nobody waits for this one: a driver in trouble may never answer it.
        threading.Thread(target=self._watch_cards, name="cards", daemon=True).start()
        logger.info("host %s: %d %s cards", settings().host_name, len(self.devices.cards),
                    self.devices.device)  # fmt: skip
        try:
            self.runners.warm_up(self.stopping.is_set)
            _stay_responsive()
            self._claim_until_stopped()
        finally:
            self.stopping.set()
            self._end_attempts()
            for loop in loops:
                loop.join()
            if self.leaving.is_set():
                self.runners.leave()
            else:
                self._sign_off()
                self.runners.stop()

    def _sign_off(self) -> None:
        try:
            with db.writing() as session:
                registration.sign_off(session, self._incarnation)
        except (OperationalError, DBAPIError) as away:
            logger.warning("not signed off, database away: %s", away.orig)

    def stop(self) -> None:
        """Begin to stop: running jobs save a checkpoint and go back to the queue."""
        self.stopping.set()
        self._look.set()

    def leave(self) -> None:
        """Begin to make way for the next worker of this host: runners go on until it is there."""
        self.leaving.set()
        self.stop()

    def hint(self, timeout: float = 3600.0) -> None:
        """A job may be waiting: look for it as soon as a slot is free.

        Blocks while every card is taken, so that the broker keeps further hints for other hosts.
        """
        with self._slots:
            self._slots.wait_for(self._has_room, timeout)
        self._look.set()

    def look(self) -> None:
        """Look at the queue now, also where there is no room."""
        self._look.set()

    def _has_room(self) -> bool:
        """May another job fit? On GPUs several may share a card, so there it may always."""
        return self._free() > 0

    def _free(self) -> int:
        """How many cards may take a job."""
        cards = len(self.devices.cards)
        if self.devices.device != "cpu":
            return cards
        return cards - sum(len(each.claim.cards) for each in self._busy)

    def _claim_until_stopped(self) -> None:
        hinted = False
        while not self.stopping.is_set():
            self._look.clear()
            with self._slots:
                # Those whose end was committed together leave together: one look for all of them.
                self._slots.wait_for(self._all_have_left, _LEAVING_SECONDS)
            try:
                with self._looking:
                    # Nobody waits for a look that nobody asked for, so it reads further.
                    while not self.stopping.is_set() and self._start_some(deep=not hinted):
                        pass
            except (OperationalError, DBAPIError) as away:
                logger.warning("database away: %s", away.orig)
            # The jitter keeps many hosts from asking in step.
            hinted = self._look.wait(settings().poll_seconds * random.uniform(0.75, 1.25))

    def _all_have_left(self) -> bool:
        return not any(each.is_over for each in self._busy)

    def _start_some(self, *, deep: bool) -> bool:
        """Claim and start what should run here now; True when another look may find more.

        A full host looks too: what waits may make something that runs give way.
        """
        if room.trouble() is not None:
            return False
        closed = self._cards.taken(self._our_cards())
        window = self._free() + BEHIND
        first = window if deep else min(window, max(FIRST, self._most + BEHIND))
        with db.writing() as session:
            turn = take_turn(session, settings().host_name, first=first)
            if not turn.accepting:
                return False
            registration.note_closed(session, turn.closed, closed)
            found = dispatch(
                session,
                host=settings().host_name,
                device=self.devices.device,
                lease_seconds=settings().lease_seconds,
                window=window,
                closed=closed,
                turn=turn,
            )
            self._most = found.most
            used = [base_of(claim.spec) for claim in found.claims]
            registration.remember_bases(session, turn.bases, used)
        for claim in found.claims:
            self._start(claim)
        for host in found.elsewhere:
            queue.hint("", host=host)
        return found.more

    def _our_cards(self) -> set[int]:
        with self._slots:
            return {card for each in self._busy for card in each.claim.cards}

    def _start(self, claim: Claim) -> None:
        # On a CPU the slot is the job's alone; a GPU is, unless the job asked for a part of it.
        whole = self.devices.device == "cpu" or not claim.shares_cards
        locks = self._cards.lock(claim.cards, whole=whole)
        supervisor = self._supervisor(claim, locks or [])
        if locks is None:
            supervisor.refuse_cards()
        self._begin(supervisor)

    def _begin(self, supervisor: Supervisor) -> None:
        with self._slots:
            self._busy.append(supervisor)
        name = f"job-{supervisor.claim.job_id}"
        threading.Thread(target=self._supervise, args=(supervisor,), name=name).start()

    def _supervisor(self, claim: Claim, card_locks: list[int]) -> Supervisor:
        return Supervisor(claim, self.runners, self.devices.device, card_locks, ends=self.ends)

    def _supervise(self, supervisor: Supervisor) -> None:
        claim = supervisor.claim
        logger.info("job %s (%s %s) begins", claim.job_id, claim.kind, claim.name)
        try:
            supervisor.run()
        except Exception:
            # Not the job's doing. Its lease runs out and it is tried again; the host goes on.
            logger.exception("job %s: the supervisor failed", claim.job_id)
        finally:
            release(supervisor.card_locks)
            with self._slots:
                self._busy.remove(supervisor)
                self._slots.notify_all()
            logger.info("job %s ends", claim.job_id)
            self._look.set()

    def _renew_leases(self) -> None:
        """Renew until the last attempt has ended, also while the host is stopping."""
        while not (self.stopping.is_set() and not self._busy):
            try:
                self._renew_once()
            except (OperationalError, DBAPIError) as away:
                logger.warning("leases not renewed, database away: %s", away.orig)
            self.stopping.wait(1.0 if self.stopping.is_set() else settings().renew_seconds)

    def _renew_once(self) -> None:
        with self._slots:
            supervisors = list(self._busy)
        with self.ends.writing, db.writing() as session:
            held = leases.renew(
                session, [each.claim for each in supervisors], settings().lease_seconds
            )
            alive = registration.beat(
                session, self._incarnation, room.trouble(), self._idling.seconds()
            )
        self._inherited = adoption.bury(self._inherited)
        for each in supervisors:
            if (each.claim.job_id, each.claim.epoch) not in held:
                each.lease_lost.set()
        if not alive:
            logger.error("another worker took the name %s; stopping", settings().host_name)
            self.stop()

    def _watch_cards(self) -> None:
        """Look now and then at what jobs do with their cards, for the next heartbeat to say."""
        while not self.stopping.wait(_IDLING_SECONDS):
            with self._slots:
                busy = list(self._busy)
            self._idling.look(
                Held(each.claim.job_id, tuple(each.claim.cards), each.runner_pid()) for each in busy
            )

    def _end_attempts(self) -> None:
        """Ask every attempt to save and end, or let go of it, and wait until that is done."""
        with self._slots:
            for supervisor in self._busy:
                if self.leaving.is_set():
                    supervisor.host_leaving.set()
                else:
                    supervisor.host_stopping.set()
            self._slots.wait_for(lambda: not self._busy)


def _stay_responsive() -> None:
    """Let a look begin soon, whatever the host's other threads are at."""
    # What is loaded by now stays; searching it for garbage stops everybody.
    gc.collect()
    gc.freeze()
    # A thread that computes, such as the one that seals events, keeps the others waiting so long.
    sys.setswitchinterval(0.0005)
