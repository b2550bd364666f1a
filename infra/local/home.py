"""The data folder of a local pool: one pool at a time, said by a lock that dies with its holder."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from shared.errors import PoolRunning


@dataclass(frozen=True)
class Running:
    """What the holder of the lock wrote about itself."""

    pid: int
    dashboard: str


class HomeLock:
    """The right to run the pool of a data folder; the kernel gives it back when we die."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "run" / "pool.lock"
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raises PoolRunning, naming the process that has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self.path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(file)
            file.close()
            raise PoolRunning(
                home=str(self.root),
                pid=holder.pid if holder else "?",
                dashboard=(holder.dashboard if holder else "") or "-",
            ) from None
        self._file = file
        self.describe("")

    def describe(self, dashboard: str) -> None:
        """Write who holds the lock and where its dashboard is."""
        if self._file is None:
            raise RuntimeError("the lock is not held")
        self._file.truncate(0)
        self._file.write(json.dumps(asdict(Running(pid=os.getpid(), dashboard=dashboard))))
        self._file.flush()

    def release(self) -> None:
        """Let others have it."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def running_pool(root: Path) -> Running | None:
    """The pool that runs in this data folder now, or None."""
    path = root / "run" / "pool.lock"
    if not path.exists():
        return None
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(file) or Running(pid=0, dashboard="")
    return None


def _read(file: IO[str]) -> Running | None:
    """What the holder wrote; None in the moment before it has."""
    file.seek(0)
    text = file.read()
    return Running(**json.loads(text)) if text else None
