"""LocalPool: the database, a broker, a worker and the dashboard of one machine, as one thing."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from sqlmodel import col, select

from infra.local.address import answers, is_free, listens
from infra.local.broker import find_broker, start_broker
from infra.local.child import Child
from infra.local.home import HomeLock
from shared import db, schema
from shared.clock import db_now
from shared.config import Settings, settings
from shared.errors import AddressTaken, StartFailed
from shared.language import say
from shared.tables import Host

#: The worker imports torch and transformers first; on a busy machine that takes a while.
READY_SECONDS = 180.0
#: A worker ends its jobs' processes before it ends itself.
WORKER_GRACE = 12.0
GRACE = 3.0
#: Ports tried when nobody chose one.
PORTS = 20
DASHBOARD = (sys.executable, "-m", "dashboard")


class LocalPool:
    """Everything `graft up` starts, in one data folder; a context manager that leaves nothing.

    Use it from the main thread: its processes die with the thread that started them.
    """

    def __init__(
        self,
        *,
        dashboard: bool = True,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
        tell: Callable[[str], None] = print,
        configuration: Settings | None = None,
    ) -> None:
        self.settings = configuration or settings()
        self.wants_dashboard = dashboard
        self.port = port
        #: Variables of the children where this process's environment does not set them.
        self.extra = dict(environment or {})
        self.tell = tell
        self.lock = HomeLock(self.settings.root)
        self.children: list[Child] = []
        self.url: str | None = None
        self._since = 0.0

    def __enter__(self) -> Self:
        """Start all of it. Raises PoolRunning, AddressTaken, StartFailed."""
        self.lock.take()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        schema.upgrade()
        self._since = self._database_time()
        has_broker = self._start_broker()
        worker = self._child(
            "worker", [sys.executable, "-m", "worker"], self._worker_env(has_broker)
        )
        if self.wants_dashboard:
            self._start_dashboard()
        self._wait(worker, self._worker_is_ready)

    def _start_broker(self) -> bool:
        path = self.settings.broker_socket
        found = find_broker(self.settings.broker_url, path)
        if found.server is not None:
            child = start_broker(found.server, path, self._environment())
            if child is None:
                path.unlink(missing_ok=True)
                log = path.with_name("broker.log")
                self.tell(
                    say(
                        f"{found.server} did not start ({log}); the worker polls instead",
                        f"{found.server} 未能启动（{log}）；改为轮询",
                    )
                )
                return False
            self.children.append(child)
            self.tell(say(f"broker: {found.server}", f"消息代理：{found.server}"))
            return True
        if found.source == "none":
            # A dead server's socket would look like a broker to everybody who hints.
            path.unlink(missing_ok=True)
            self.tell(say("broker: none, the worker polls", "消息代理：无，改为轮询"))
            return False
        self.tell(say("broker: already running", "消息代理：已在运行"))
        return True

    def _start_dashboard(self) -> None:
        address = self.settings.dashboard_address
        first = self.settings.dashboard_port
        ports = [self.port] if self.port else range(first, first + PORTS)
        for port in ports:
            if is_free(address, port) and self._dashboard_at(address, port):
                self.port, self.url = port, f"http://{address}:{port}/"
                self.lock.describe(self.url)
                return
        named = f"{ports[0]}" if len(ports) == 1 else f"{ports[0]}-{ports[-1]}"
        raise AddressTaken(address=f"{address}:{named}")

    def _dashboard_at(self, address: str, port: int) -> bool:
        """Start it there; False when somebody else took the port while it was starting."""
        environment = self._environment() | {"GRAFT_DASHBOARD_PORT": str(port)}
        child = self._child("dashboard", list(DASHBOARD), environment)

        def ready() -> bool:
            # The answer alone may be that of another dashboard, which was quicker to take the port.
            mine = child.pid is not None and listens(child.pid, port)
            return mine and answers(address, port, "/_stcore/health")

        try:
            self._wait(child, ready)
        except StartFailed:
            if is_free(address, port):
                raise
            child.end(GRACE)
            self.children.remove(child)
            return False
        return True

    def _child(self, name: str, command: list[str], environment: dict[str, str]) -> Child:
        log = self.settings.root / "run" / f"{name}.log"
        child = Child(name, command, log, environment)
        self.children.append(child)
        child.start()
        return child

    def _environment(self) -> dict[str, str]:
        return (
            self.extra
            | dict(os.environ)
            | {"GRAFT_HOME": str(self.settings.root), "PYTHONUNBUFFERED": "1"}
        )

    def _worker_env(self, has_broker: bool) -> dict[str, str]:
        environment = self._environment()
        if not has_broker:
            environment.setdefault("GRAFT_POLL_SECONDS", "1")
        return environment

    def _wait(self, child: Child, ready: Callable[[], bool]) -> None:
        """Until `ready`. Raises StartFailed with the child's last words when it dies first."""
        until = time.monotonic() + READY_SECONDS
        while not ready():
            if not child.alive or time.monotonic() > until:
                words = child.last_words(3) or "it said nothing"
                raise StartFailed(what=child.name, problem=words, log=str(child.log))
            time.sleep(0.1)

    def _database_time(self) -> float:
        with db.reading() as session:
            return session.scalar(select(db_now())) or 0.0

    def _worker_is_ready(self) -> bool:
        with db.reading() as session:
            beating = select(Host.name).where(
                Host.name == self.settings.host_name, col(Host.heartbeat_at) > self._since
            )
            return session.exec(beating).first() is not None

    def tend(self) -> None:
        """Start dead processes again, later each time, and say so. Call it every second or so."""
        for child in self.children:
            wait = child.tend()
            if wait is not None:
                self.tell(
                    say(
                        f"{child.name} ended unexpectedly; starting it again in {wait:.0f} s "
                        f"({child.log})",
                        f"{child.name} 意外退出；{wait:.0f} 秒后重新启动（{child.log}）",
                    )
                )

    def stop(self) -> None:
        """End every process, the broker last, and give the data folder back."""
        broker = [child for child in self.children if child.name == "broker"]
        others = [child for child in self.children if child.name != "broker"]
        for group in (others, broker):
            for child in group:
                child.ask_to_end()
            for child in group:
                child.end(WORKER_GRACE if child.name == "worker" else GRACE)
        self.children.clear()
        if broker:
            self.settings.broker_socket.unlink(missing_ok=True)
        self.lock.release()
