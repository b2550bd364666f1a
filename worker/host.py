"""The agent of one machine: claims jobs for its free slots, renews their leases, stops cleanly."""

import fcntl
import logging
import os
import random
import threading

from sqlalchemy.exc import DBAPIError, OperationalError

from shared import db, leases
from shared.config import settings
from shared.leases import Claim
from worker import registration, sweeper
from worker.devices import Devices, find_devices
from worker.runners import Runners
from worker.supervisor import Supervisor

logger = logging.getLogger(__name__)


class HostAgent:
    """Runs jobs until told to stop; hints only make it look sooner."""

    def __init__(self) -> None:
        self.devices: Devices = find_devices()
        self.runners = Runners()
        self.stopping = threading.Event()
        self._look = threading.Event()
        self._slots = threading.Condition()
        self._busy: dict[int, Supervisor] = {}
        self._incarnation = ""

    def run(self) -> None:
        """Work until `stop` is called and every attempt has ended."""
        lock = registration.lock_host()
        with db.writing() as session:
            self._incarnation = registration.register(session, self.devices)
        self.runners.warm_up()
        loops = [
            threading.Thread(target=self._renew_leases, name="renew"),
            threading.Thread(target=sweeper.sweep_until, args=(self.stopping,), name="sweep"),
        ]
        for loop in loops:
            loop.start()
        logger.info("host %s: %d %s slots", settings().host_name, self.devices.slots,
                    self.devices.device)  # fmt: skip
        try:
            self._claim_until_stopped()
        finally:
            self.stopping.set()
            self._end_attempts()
            for loop in loops:
                loop.join()
            self.runners.stop()
            lock.close()

    def stop(self) -> None:
        """Begin to stop: running jobs save a checkpoint and go back to the queue."""
        self.stopping.set()
        self._look.set()

    def hint(self, timeout: float = 3600.0) -> None:
        """A job may be waiting: look for it as soon as a slot is free.

        Blocks while every slot is busy, so that the broker keeps further hints for other hosts.
        """
        with self._slots:
            self._slots.wait_for(lambda: self._free_slot() is not None, timeout)
        self._look.set()

    def _free_slot(self) -> int | None:
        free = (slot for slot in range(self.devices.slots) if slot not in self._busy)
        return next(free, None)

    def _claim_until_stopped(self) -> None:
        while not self.stopping.is_set():
            self._look.clear()
            try:
                while not self.stopping.is_set() and self._start_one():
                    pass
            except (OperationalError, DBAPIError) as away:
                logger.warning("database away: %s", away.orig)
            # The jitter keeps many hosts from asking in step.
            self._look.wait(settings().poll_seconds * random.uniform(0.75, 1.25))

    def _start_one(self) -> bool:
        """Claim and start one job; False when no slot is free or nothing is ready."""
        slot = self._free_slot()
        if slot is None:
            return False
        lock = self._lock_slot(slot)
        if lock is None:
            return False
        claim = None
        try:
            claim = self._claim(slot)
        finally:
            if claim is None:
                os.close(lock)
        if claim is None:
            return False
        supervisor = Supervisor(claim, self.runners, self.devices.device, lock)
        with self._slots:
            self._busy[slot] = supervisor
        name = f"job-{claim.job_id}"
        threading.Thread(target=self._supervise, args=(supervisor, lock), name=name).start()
        return True

    def _claim(self, slot: int) -> Claim | None:
        with db.writing() as session:
            if not registration.is_accepting(session):
                return None
            return leases.claim(
                session,
                host=settings().host_name,
                slot=slot,
                device=self.devices.device,
                lease_seconds=settings().lease_seconds,
            )

    def _lock_slot(self, slot: int) -> int | None:
        """The slot's file lock, which its runner inherits: free only when that process is gone."""
        path = settings().root / "run" / f"slot-{settings().host_name}-{slot}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _supervise(self, supervisor: Supervisor, lock: int) -> None:
        claim = supervisor.claim
        logger.info("job %s (%s %s) begins", claim.job_id, claim.kind, claim.name)
        try:
            supervisor.run()
        except Exception:
            # Not the job's doing. Its lease runs out and it is tried again; the host goes on.
            logger.exception("job %s: the supervisor failed", claim.job_id)
        finally:
            os.close(lock)
            with self._slots:
                del self._busy[claim.slot]
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
            supervisors = list(self._busy.values())
        with db.writing() as session:
            held = leases.renew(
                session, [each.claim for each in supervisors], settings().lease_seconds
            )
            alive = registration.beat(session, self._incarnation)
        for each in supervisors:
            if (each.claim.job_id, each.claim.epoch) not in held:
                each.lease_lost.set()
        if not alive:
            logger.error("another worker took the name %s; stopping", settings().host_name)
            self.stop()

    def _end_attempts(self) -> None:
        """Ask every attempt to save and end, and wait until it has."""
        with self._slots:
            for supervisor in self._busy.values():
                supervisor.host_stopping.set()
            self._slots.wait_for(lambda: not self._busy)
