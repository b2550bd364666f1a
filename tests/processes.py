"""Python processes for tests that kill them, pausing others, and waiting until they are gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

#: Long enough for a machine that runs other tests too; reached only by a failure.
PATIENCE = 120.0


class Processes:
    """Starts processes and ends them with the test, whatever happened."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def python(self, *words: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """`python words`, with its stdout readable line by line."""
        process = subprocess.Popen(
            [sys.executable, *words], stdout=subprocess.PIPE, text=True, bufsize=1, env=env
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Processes of this test's own."""
    own = Processes()
    yield own
    own.end()


def until(true: Callable[[], bool], what: str) -> None:
    """Look again and again until it is true; fails naming `what` when it never is."""
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"never happened: {what}")
        time.sleep(0.02)


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """However quick or slow this machine is, the process has not ended meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def gone(pid: int) -> bool:
    """Has this process ended (a zombie has)?"""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def mentioning(text: str) -> list[str]:
    """Command lines and environments of live processes other than ours that name `text`."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join([*process.cmdline(), process.environ().get("GRAFT_HOME", "")])
            alive = process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if alive and text in words and process.pid != psutil.Process().pid:
            found.append(f"{process.pid} {words}")
    return found
