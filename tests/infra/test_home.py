"""One pool a data folder: a lock that says who holds it and ends with them."""

from pathlib import Path

import pytest

from infra.local.home import HomeLock, running_pool
from processes import Processes, until
from shared.errors import PoolRunning


def test_a_second_pool_is_refused_with_the_address_of_the_first(tmp_path: Path) -> None:
    first = HomeLock(tmp_path)
    first.take()
    first.describe("http://127.0.0.1:8501/")
    with pytest.raises(PoolRunning, match=r"http://127\.0\.0\.1:8501/"):
        HomeLock(tmp_path).take()
    running = running_pool(tmp_path)
    assert running is not None
    assert running.dashboard == "http://127.0.0.1:8501/"
    first.release()
    assert running_pool(tmp_path) is None
    second = HomeLock(tmp_path)
    second.take()
    second.release()


HOLDER = """
import time
from pathlib import Path
from infra.local.home import HomeLock
lock = HomeLock(Path({home!r}))
lock.take()
print("held", flush=True)
time.sleep(600)
"""


def test_the_lock_of_a_killed_pool_is_free(tmp_path: Path, processes: Processes) -> None:
    holder = processes.python("-c", HOLDER.format(home=str(tmp_path)))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    running = running_pool(tmp_path)
    assert running is not None
    assert running.pid == holder.pid
    holder.kill()
    until(lambda: running_pool(tmp_path) is None, "the lock is free")
