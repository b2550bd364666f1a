"""One process of the local pool: started tied to us, restarted when it dies, ended for certain."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from infra.local import tied

#: Seconds before a dead child is started again; doubles each time up to LONGEST_WAIT.
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0
#: A child that lived this long had started well, so its next death is a first one.
SETTLED = 60.0


def tie(command: Sequence[str]) -> list[str]:
    """The command that dies with the thread of this process that starts it."""
    return [sys.executable, "-I", "-S", str(Path(tied.__file__)), str(os.getpid()), *command]


class Child:
    """A command in a process group of its own, its output appended to a log file.

    The kernel kills it when the thread that started it ends, so start it from the main thread.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.environment = dict(environment)
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        self._wait = FIRST_WAIT
        self._started = 0.0
        self._due: float | None = None
        self._log_start = 0

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None else None

    def start(self) -> None:
        """Start the command. Raises OSError when its log cannot be written."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self._log_start = out.tell()
            self.process = subprocess.Popen(
                tie(self.command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        self._started = time.monotonic()
        self._due = None

    def tend(self) -> float | None:
        """Start it again once its wait is over; the wait in seconds when it was just found dead."""
        if self.alive:
            return None
        now = time.monotonic()
        if self._due is None:
            settled = now - self._started > SETTLED
            wait = FIRST_WAIT if settled else self._wait
            self._wait = min(wait * 2, LONGEST_WAIT)
            self._due = now + wait
            return wait
        if now >= self._due:
            self.restarts += 1
            self.start()
        return None

    def ask_to_end(self) -> None:
        """SIGTERM to the command itself; how its own children end is its business."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end(self, grace: float) -> None:
        """Wait up to `grace` seconds for it to end, then kill what is left of its group."""
        if self.process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        # No such group: nothing is left, which is what was wanted.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of what it wrote since its last start."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(max(self._log_start, self.log.stat().st_size - 20_000))
            text = file.read().decode("utf-8", "replace")
        return "\n".join(text.strip().splitlines()[-lines:])
