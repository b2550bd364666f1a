"""Private PostgreSQL and Redis servers for the tests that need a real one.

Where a server's programs are missing such a test is skipped; in CI it fails instead.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest
from redis import Redis
from redis.exceptions import RedisError

#: Debian keeps PostgreSQL's programs off PATH.
_DEBIAN = Path("/usr/lib/postgresql")


def missing(what: str) -> NoReturn:
    """Skip the test; in CI, where the servers are installed first, fail it."""
    message = f"{what} is not installed; infra/install-test-servers.sh installs it"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def postgres_programs() -> Path | None:
    """The folder with initdb and pg_ctl: on PATH, or where Debian keeps them."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


def redis_program() -> str | None:
    """A server that speaks Redis, or None."""
    return shutil.which("valkey-server") or shutil.which("redis-server")


def _tied(*command: str, signal_name: str = "KILL", as_nobody: bool = False) -> list[str]:
    """A server's command as one that ends with this process, however that ends."""
    if shutil.which("setpriv") is None:
        return list(command)
    user = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"] if as_nobody else []
    return ["setpriv", *user, f"--pdeathsig={signal_name}", "--", *command]


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder that servers of another user may enter, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="graft-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        yield folder


@pytest.fixture(scope="session")
def postgres_url(short_folder: Path) -> Iterator[str]:
    """The URL of an empty database on a PostgreSQL server of this test session's own."""
    programs = postgres_programs()
    if programs is None:
        missing("PostgreSQL")
    data = short_folder / "pg"
    # PostgreSQL refuses to run as root.
    root = os.geteuid() == 0
    subprocess.run(
        _tied(
            f"{programs}/initdb", f"--pgdata={data}", "--username=graft", "--auth=trust",
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", as_nobody=root,
        ),
        cwd=short_folder, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    # It listens on a socket in its own folder and on no port, so that sessions never meet. A
    # transaction that a test left open must fail the next test, not block it.
    settings = ("listen_addresses=", f"unix_socket_directories={short_folder}", "fsync=off",
                "lock_timeout=30s")  # fmt: skip
    options = [word for setting in settings for word in ("-c", setting)]
    command = _tied(
        f"{programs}/postgres", "-D", str(data), *options, signal_name="QUIT", as_nobody=root
    )
    url = f"postgresql://graft@/postgres?host={short_folder}"
    server = _start(command, short_folder / "pg.log")
    with server:
        try:
            _wait_until_up(server, lambda: psycopg.connect(url).close(), psycopg.OperationalError)
            yield url
        finally:
            server.send_signal(signal.SIGQUIT)


@pytest.fixture(scope="session")
def redis_url(short_folder: Path) -> Iterator[str]:
    """The broker URL of a Redis server of this test session's own, on a socket."""
    with start_redis(short_folder) as server:
        yield broker_url(short_folder)
        server.terminate()


def start_redis(folder: Path) -> "subprocess.Popen[bytes]":
    """A Redis server on a socket in that folder (see `broker_url`), up when this returns."""
    program = redis_program()
    if program is None:
        missing("a Redis or Valkey server")
    socket = folder / "redis.sock"
    command = _tied(
        program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no",
        "--dir", str(folder),
    )  # fmt: skip
    server = _start(command, folder / "redis.log")
    with Redis(unix_socket_path=str(socket)) as client:
        _wait_until_up(server, client.ping, RedisError)
    return server


def broker_url(folder: Path) -> str:
    """The broker URL of the server that `start_redis` starts there."""
    return f"redis+socket://{folder}/redis.sock?virtual_host=0"


def _start(command: list[str], log: Path) -> "subprocess.Popen[bytes]":
    """The server in the background, in a process group of its own."""
    with log.open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, process_group=0)


def _wait_until_up(
    server: "subprocess.Popen[bytes]", ask: Callable[[], object], not_yet: type[Exception]
) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            ask()
            return
        except not_yet:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
