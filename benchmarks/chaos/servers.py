"""PostgreSQL and Redis of a chaos run's own, to be killed, wiped and started again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
from redis import Redis
from redis.exceptions import RedisError

from infra.local.child import tie

_DEBIAN = Path("/usr/lib/postgresql")
_PATIENCE = 60.0


def postgres_programs() -> Path | None:
    """The folder with initdb and postgres: on PATH, or where Debian keeps them."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


def redis_program() -> str | None:
    """A server that speaks Redis, or None."""
    return shutil.which("valkey-server") or shutil.which("redis-server")


def free_port() -> int:
    """A TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postgres:
    """One cluster with fsync on; a crash is `immediate` (SIGQUIT): no flushing, then recovery."""

    def __init__(self, programs: Path, folder: Path, subnet: str) -> None:
        self.programs = programs
        self.data = folder / "pg"
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        command = [f"{programs}/initdb", f"--pgdata={self.data}", "--username=graft",
                   "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]  # fmt: skip
        subprocess.run(self._user(command), check=True, stdout=subprocess.DEVNULL, cwd=folder)
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {subnet} trust\n")

    def url(self, address: str) -> str:
        """The database as one host reaches it."""
        return f"postgresql://graft@{address}:{self.port}/postgres"

    def start(self) -> None:
        """Start (and recover); up when this returns."""
        settings = ("listen_addresses=*", f"port={self.port}", "max_connections=200",
                    f"unix_socket_directories={self.folder}")  # fmt: skip
        options = [word for setting in settings for word in ("-c", setting)]
        command = self._user([f"{self.programs}/postgres", "-D", str(self.data), *options])
        self._process = _start(command, self.folder / "pg.log")
        url = self.url("127.0.0.1")
        _wait(self._process, lambda: psycopg.connect(url).close(), psycopg.OperationalError)

    def crash(self) -> None:
        """What `pg_ctl -m immediate stop` does."""
        if self._process is not None:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGQUIT)
            self._process.wait()

    def _user(self, command: Sequence[str]) -> list[str]:
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return list(command)
        return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", *command]


class Broker:
    """A Redis without persistence: a kill loses every message."""

    def __init__(self, program: str, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, address: str) -> str:
        return f"redis://{address}:{self.port}/0"

    def start(self) -> None:
        command = [self.program, "--port", str(self.port), "--bind", "0.0.0.0", "--save", "",
                   "--protected-mode", "no", "--appendonly", "no",
                   "--dir", str(self.folder)]  # fmt: skip
        self._process = _start(command, self.folder / "redis.log")
        with Redis(port=self.port) as client:
            _wait(self._process, client.ping, RedisError)

    def wipe(self) -> None:
        """Kill it; everything in it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _start(command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """In a process group of its own, and killed when this thread ends."""
    with log.open("ab") as out:
        return subprocess.Popen(tie(_found(command)), stdout=out, stderr=out, process_group=0)


def _found(command: Sequence[str]) -> list[str]:
    """With the program's whole path: the tie does not search PATH."""
    return [shutil.which(command[0]) or command[0], *command[1:]]


def _wait(
    server: "subprocess.Popen[bytes]", ask: Callable[[], object], not_yet: type[Exception]
) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            ask()
            return
        except not_yet:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
