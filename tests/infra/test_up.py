"""`graft up` as people run it: it starts everything, runs jobs, and leaves no process behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.local.home import running_pool
from processes import Processes, gone, mentioning, until
from shared.config import settings

pytestmark = pytest.mark.journey


def _up(processes: Processes, home: Path, *words: str, **extra: str) -> subprocess.Popen[str]:
    """`graft up` in `home`, up and ready: it has printed the dashboard's address."""
    environment = os.environ | {"GRAFT_HOME": str(home), "GRAFT_LANG": "en"} | extra
    pool = processes.python("-m", "infra.local.up", *words, env=environment)
    assert pool.stdout is not None
    assert pool.stdout.readline().startswith("http://127.0.0.1:")
    return pool


def _family(pool: subprocess.Popen[str]) -> list[int]:
    return [child.pid for child in psutil.Process(pool.pid).children(recursive=True)]


def test_up_starts_a_pool_once_and_ctrl_c_ends_all_of_it(home: Path, processes: Processes) -> None:
    pool = _up(processes, home)
    family = _family(pool)
    assert len(family) >= 3
    assert settings().broker is not None

    second = subprocess.run(
        [sys.executable, "-m", "infra.local.up"],
        env=os.environ | {"GRAFT_HOME": str(home), "GRAFT_LANG": "en"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 4
    assert f"already running (process {pool.pid}" in second.stderr

    pool.send_signal(signal.SIGINT)
    assert pool.wait(120) == 0
    until(lambda: all(gone(pid) for pid in family), "every process of the pool is gone")
    until(lambda: mentioning(str(home)) == [], "nothing else names the data folder")
    assert running_pool(home) is None
    assert settings().broker is None


def test_a_killed_part_is_started_again_and_killing_up_leaves_no_process(
    home: Path, processes: Processes
) -> None:
    pool = _up(processes, home)
    parts = psutil.Process(pool.pid).children()
    for part in parts:
        part.kill()
    dead = {part.pid for part in parts}

    def all_back() -> bool:
        alive = [each for each in psutil.Process(pool.pid).children() if each.pid not in dead]
        return len(alive) == 3

    until(all_back, "broker, worker and dashboard run again")
    family = _family(pool)
    pool.kill()
    until(lambda: all(gone(pid) for pid in family), "every process of the pool is gone")
    until(lambda: mentioning(str(home)) == [], "nothing names the data folder any more")
