"""What an engine says while it works: progress, metrics, log lines and finished checkpoints."""

from pathlib import Path
from typing import Any, Protocol

from shared.errors import Both, spoken


class Stopped(Exception):
    """The job was asked to stop and has saved what it could."""


class Report(Protocol):
    """Where an engine sends what it has to say; the runner passes it on to the supervisor."""

    def phase(self, name: str) -> None:
        """A new part of the work begins, e.g. "loading base", "training"."""

    def progress(self, done: int, total: int, unit: str) -> None:
        """So many of `total` steps, items or modules are done."""

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Numbers of one step, for the job page's curves."""

    def log(self, text: str | Both, level: str = "info") -> None:
        """One line for the job's log; level is info, warning or error."""

    def checkpoint(self, step: int, folder: Path) -> None:
        """A checkpoint was written, synced and renamed into place at `folder`."""

    def stop_requested(self) -> bool:
        """True once the job should save a checkpoint and raise Stopped."""
        ...


class Silent:
    """A Report for notebooks and tests: it keeps everything and stops when told to."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.steps: list[tuple[int, dict[str, float]]] = []
        self.lines: list[str] = []
        self.checkpoints: list[tuple[int, Path]] = []
        self.done: tuple[int, int, str] | None = None
        self.stop = False

    def phase(self, name: str) -> None:
        self.phases.append(name)

    def progress(self, done: int, total: int, unit: str) -> None:
        self.done = (done, total, unit)

    def metrics(self, step: int, values: dict[str, float]) -> None:
        self.steps.append((step, values))

    def log(self, text: str | Both, level: str = "info") -> None:
        self.lines.append(f"{level}: {spoken(text, 'en')}")

    def checkpoint(self, step: int, folder: Path) -> None:
        self.checkpoints.append((step, folder))

    def stop_requested(self) -> bool:
        return self.stop


class Unheard(Report):
    """A Report that nobody reads: of a process whose fellows say the same."""

    def stop_requested(self) -> bool:
        return False


class AdapterResult:
    """What a train or fuse engine hands back besides the adapter folder it wrote."""

    def __init__(self, folder: Path, rank: int, facts: dict[str, Any]) -> None:
        self.folder = folder
        self.rank = rank
        self.facts = facts
