"""The faults: each picks a victim by a seeded draw, does its harm, and says when it is undone."""

import contextlib
import heapq
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from itertools import count

import psutil
from sqlalchemy.exc import DBAPIError

from benchmarks.chaos.hosts import Host
from benchmarks.chaos.servers import Broker, Postgres
from shared import db
from worker.sweeper import leader

#: How often each kind is drawn, out of their sum.
WEIGHTS = {
    "runner kill -9": 62,
    "worker kill -9": 8,
    "zygote kill -9": 7,
    "sweeping leader kill -9": 4,
    "SIGSTOP past the lease": 4,
    "broker wiped": 7,
    "PostgreSQL immediate": 4,
    "link down": 3,
    "disk full": 3,
}


class Nemesis:
    """Strikes and mends from one thread; `undo` actions wait on an agenda."""

    def __init__(
        self,
        hosts: list[Host],
        broker: Broker | None,
        postgres: Postgres | None,
        lease: float,
        rng: random.Random,
    ) -> None:
        self.hosts = hosts
        self.broker = broker
        self.postgres = postgres
        self.lease = lease
        self.rng = rng
        self.done: Counter[str] = Counter()
        self._order = count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._strikes: dict[str, Callable[[], bool]] = {
            "runner kill -9": self._kill_runner,
            "worker kill -9": self._kill_worker,
            "zygote kill -9": self._kill_zygote,
            "sweeping leader kill -9": self._kill_leader,
            "SIGSTOP past the lease": self._pause,
            "broker wiped": self._wipe_broker,
            "PostgreSQL immediate": self._crash_postgres,
            "link down": self._cut_link,
            "disk full": self._fill_disk,
        }

    def possible(self) -> dict[str, str]:
        """Fault kinds that cannot happen here, with the reason."""
        reasons = {}
        if self.broker is None:
            reasons["broker wiped"] = "no Redis server is installed"
        if self.postgres is None:
            reasons["PostgreSQL immediate"] = "this run is on SQLite"
        if not any(host.network for host in self.hosts):
            reasons["link down"] = "no network namespaces here, or SQLite"
        if not any(host.disk for host in self.hosts):
            reasons["disk full"] = "no file systems can be mounted here"
        return reasons

    def strike(self) -> None:
        """One fault of a drawn kind; another kind when that one has no victim now."""
        impossible = self.possible()
        kinds = [kind for kind in WEIGHTS if kind not in impossible]
        while kinds:
            (kind,) = self.rng.choices(kinds, [WEIGHTS[each] for each in kinds])
            if self._strikes[kind]():
                self.done[kind] += 1
                return
            kinds.remove(kind)

    def tend(self, *, everything: bool = False) -> None:
        """Undo what is due, or everything at once."""
        while self._agenda and (everything or self._agenda[0][0] <= time.monotonic()):
            _, _, undo = heapq.heappop(self._agenda)
            undo()
        for host in self.hosts:
            # One that ended by itself (it lost its name, say) is started by whoever runs hosts.
            if not host.alive and not host.busy:
                host.start()

    def _later(self, seconds: float, undo: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (time.monotonic() + seconds, next(self._order), undo))

    def _idle_host(self) -> Host | None:
        free = [host for host in self.hosts if not host.busy and host.alive]
        return self.rng.choice(free) if free else None

    def _kill_runner(self) -> bool:
        runners = [each for host in self.hosts if not host.busy for each in host.runners()]
        return bool(runners) and _signal(self.rng.choice(runners), signal.SIGKILL)

    def _kill_zygote(self) -> bool:
        zygotes = [each for host in self.hosts if not host.busy for each in host.zygotes()]
        return bool(zygotes) and _signal(self.rng.choice(zygotes), signal.SIGKILL)

    def _kill_worker(self) -> bool:
        host = self._idle_host()
        return host is not None and self._down(host)

    def _kill_leader(self) -> bool:
        """The host that holds the leader's lock now."""
        name = self._leader()
        found = [host for host in self.hosts if host.name == name and host.alive and not host.busy]
        return bool(found) and self._down(found[0])

    def _leader(self) -> str | None:
        try:
            return leader(db.engine())
        except DBAPIError:
            return None

    def _down(self, host: Host) -> bool:
        host.kill()
        host.busy = True

        def up() -> None:
            host.start()
            host.busy = False

        self._later(self.rng.uniform(0.0, 1.0), up)
        return True

    def _pause(self) -> bool:
        """The agent alone, or the whole machine: a zombie that wakes up after its lease."""
        host = self._idle_host()
        if host is None:
            return False
        family = host.family() if self.rng.random() < 0.5 else host.family()[:1]
        for process in family:
            _signal(process, signal.SIGSTOP)
        host.busy = True

        def go_on() -> None:
            for process in family:
                _signal(process, signal.SIGCONT)
            host.busy = False

        self._later(self.lease + self.rng.uniform(0.5, 2.5), go_on)
        return True

    def _wipe_broker(self) -> bool:
        if self.broker is None:
            return False
        self.broker.wipe()
        self.broker.start()
        return True

    def _crash_postgres(self) -> bool:
        if self.postgres is None:
            return False
        self.postgres.crash()
        self.postgres.start()
        return True

    def _cut_link(self) -> bool:
        linked = [host for host in self.hosts if host.network and host.alive and not host.busy]
        if not linked:
            return False
        host = self.rng.choice(linked)
        network = host.network
        assert network is not None
        network.cut()
        host.busy = True

        def join() -> None:
            network.join()
            host.busy = False

        self._later(self.rng.uniform(0.5, 2 * self.lease), join)
        return True

    def _fill_disk(self) -> bool:
        host = self._idle_host()
        if host is None or not host.disk:
            return False
        host.fill_disk()
        host.busy = True

        def free() -> None:
            host.free_disk()
            host.busy = False

        self._later(self.rng.uniform(1.0, 3.0), free)
        return True


def _signal(process: psutil.Process, number: int) -> bool:
    """Send it; False when the process has ended meanwhile."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
        return True
    return False
