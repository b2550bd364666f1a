"""Child: restarted with growing waits, ended for certain, and dead when its parent is."""

import os
import sys
from pathlib import Path

import pytest

from infra.local import child as module
from infra.local.child import FIRST_WAIT, Child
from processes import Processes, gone, until

FOREVER = "import time\nprint('here', flush=True)\ntime.sleep(600)"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOREVER
FAMILY = (
    "import subprocess, sys\n"
    f"child = subprocess.Popen([sys.executable, '-c', {FOREVER!r}])\n"
    "print(child.pid, flush=True)\nchild.wait()"
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that a Child sees, in a list of one."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def _child(tmp_path: Path, program: str) -> Child:
    return Child("one", [sys.executable, "-c", program], tmp_path / "one.log", os.environ)


def test_a_dead_child_starts_again_after_waits_that_double(
    tmp_path: Path, clock: list[float]
) -> None:
    child = _child(tmp_path, "raise SystemExit(3)")
    child.start()
    waits = []
    for _ in range(4):
        assert child.process is not None
        child.process.wait()
        wait = child.tend()
        assert wait is not None
        waits.append(wait)
        clock[0] += wait / 2
        assert child.tend() is None
        before = child.restarts
        clock[0] += wait
        child.tend()
        assert child.restarts == before + 1
    child.end(grace=5)
    assert waits == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT, 8 * FIRST_WAIT]


def test_a_child_that_lived_long_is_started_again_soon(tmp_path: Path, clock: list[float]) -> None:
    child = _child(tmp_path, "raise SystemExit(3)")
    child.start()
    for _ in range(3):
        assert child.process is not None
        child.process.wait()
        child.tend()
        clock[0] += module.LONGEST_WAIT
        child.tend()
    assert child.process is not None
    child.process.wait()
    clock[0] += module.SETTLED + 1
    assert child.tend() == FIRST_WAIT


def test_a_living_child_is_left_alone(tmp_path: Path) -> None:
    child = _child(tmp_path, FOREVER)
    child.start()
    pid = child.pid
    assert child.tend() is None
    assert child.pid == pid
    child.ask_to_end()
    child.end(grace=5)
    assert not child.alive


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    child = _child(tmp_path, STUBBORN)
    child.start()
    until(lambda: "here" in child.last_words(), "the child runs")
    child.ask_to_end()
    child.end(grace=0.1)
    assert not child.alive


def test_its_own_children_are_killed_with_it(tmp_path: Path) -> None:
    child = _child(tmp_path, FAMILY)
    child.start()
    # Both write into one log, in either order.
    until(lambda: len(child.last_words().split()) == 2, "the grandchild runs")
    (grandchild,) = (int(word) for word in child.last_words().split() if word != "here")
    child.ask_to_end()
    child.end(grace=5)
    until(lambda: gone(grandchild), "the grandchild is gone")


def test_last_words_are_those_since_the_last_start(tmp_path: Path) -> None:
    (tmp_path / "one.log").write_text("from an earlier day\n")
    child = _child(tmp_path, "print('today')")
    child.start()
    child.end(grace=10)
    assert child.last_words() == "today"


PARENT = """
import os, sys, time
from pathlib import Path
from infra.local.child import Child
child = Child("one", [sys.executable, "-c", {program!r}], Path({log!r}), os.environ)
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's tie to the parent is Linux's")
def test_a_child_dies_with_a_parent_that_was_killed(tmp_path: Path, processes: Processes) -> None:
    log = tmp_path / "one.log"
    parent = processes.python("-c", PARENT.format(program=STUBBORN, log=str(log)))
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    until(lambda: log.exists() and "here" in log.read_text(), "the child runs")
    parent.kill()
    until(lambda: gone(pid), "the child is gone")
