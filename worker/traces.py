"""What a running attempt leaves on its host's disk, so that the next worker can take it over.

A folder an attempt below the data folder: what the runner says (`events.jsonl`) and prints
(`output.log`), who it is (`runner.json`), how it ended (`exit.json`), and a lock that it and its
children hold for as long as one of them lives. Files and not pipes: a runner can write them while
no worker is there to read.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: Bytes read at a time.
_CHUNK = 1 << 16
#: Where in /proc/PID/stat, behind the name, the state and the start time stand (proc(5): 3, 22).
_STATE, _START = 0, 19


@dataclass(frozen=True)
class Identity:
    """A process that cannot be mistaken for a later one of the same number."""

    pid: int
    #: When it started, in clock ticks since the machine did.
    start: int
    #: Which start of the machine that was.
    boot: str

    def alive(self) -> bool:
        """Does this very process still run?"""
        return self.boot == boot() and started(self.pid) == self.start

    def age(self) -> float:
        """Seconds since it was started, those of a sleeping machine included."""
        return ticking() - self.start / os.sysconf("SC_CLK_TCK")


class Trace:
    """The folder of one attempt's runner."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        job, _, epoch = folder.name.rpartition(".a")
        self.key = (job, int(epoch))
        self.events, self.output = folder / "events.jsonl", folder / "output.log"

    def open(self) -> list[int]:
        """Make the folder; descriptors for a runner to inherit: events, output, the held lock."""
        self.remove()
        self.folder.mkdir(parents=True)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        made = [os.open(path, append, 0o600) for path in (self.events, self.output)]
        made.append(os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        fcntl.flock(made[-1], fcntl.LOCK_EX)
        return made

    def held(self) -> bool:
        """Does any process of the attempt live?"""
        with suppress(FileNotFoundError):
            return is_held(self.folder / "lock")
        return False

    def identify(self) -> Identity | None:
        """The process that said it is the attempt's runner; None when none has (yet)."""
        with suppress(FileNotFoundError):
            return Identity(**json.loads((self.folder / "runner.json").read_text()))
        return None

    def code(self) -> int | None:
        """The exit code that the runner's parent saw; None while there is none."""
        with suppress(FileNotFoundError):
            return json.loads((self.folder / "exit.json").read_text())["code"]
        return None

    def final(self) -> dict[str, Any] | None:
        """The runner's last word (result, error or stopped), if it came to say one."""
        found: list[dict[str, Any]] = []

        def look(line: bytes, _end: int) -> None:
            event = json.loads(line)
            if is_final(event):
                found.append(event)

        with suppress(FileNotFoundError), closing(Tail(self.events, look)) as tail:
            tail.read()
        return found[-1] if found else None

    def remove(self) -> None:
        """Forget the attempt."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Tail:
    """The lines of a file that grows."""

    def __init__(self, path: Path, take: Callable[[bytes, int], None]) -> None:
        self._file = path.open("rb", buffering=0)
        self._take = take
        self._rest = b""
        self._end = 0

    def read(self) -> bool:
        """Hand on each new whole line and the offset behind it; False when nothing was new."""
        new = False
        while data := self._file.read(_CHUNK):
            new = True
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._end += len(line) + 1
                self._take(line, self._end)
        return new

    def close(self) -> None:
        self._file.close()


def traces(folder: Path) -> Iterator[Trace]:
    """Every attempt that left one in a host's folder."""
    for path in sorted(folder.glob("*.a*")):
        yield Trace(path)


def is_final(event: dict[str, Any]) -> bool:
    """Is this the last thing that a runner says?"""
    return event["type"] in ("result", "error", "stopped")


def introduce(folder: Path) -> None:
    """Called by a runner: leave its identity in its trace."""
    start = started(os.getpid())
    if start is not None:
        _put(folder / "runner.json", asdict(Identity(os.getpid(), start, boot())))


def note_exit(folder: Path, code: int) -> None:
    """Called by a runner's parent once it has ended."""
    # On a full disk, or where the attempt was forgotten, nobody learns the code but from a worker.
    with suppress(OSError):
        _put(folder / "exit.json", {"code": code})


def _put(path: Path, content: dict[str, Any]) -> None:
    """Write at once or not at all."""
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(content))
    draft.rename(path)


def is_held(path: Path) -> bool:
    """Does a process hold this lock? Raises FileNotFoundError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def started(pid: int) -> int | None:
    """When a living process began, in clock ticks since the machine did; None without one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[_STATE] in "ZX" else int(fields[_START])


def ticking() -> float:
    """Seconds since the machine started."""
    return float(Path("/proc/uptime").read_text().split()[0])


def boot() -> str:
    """What tells running machines, and starts of one machine, apart; containers of one alike."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""
