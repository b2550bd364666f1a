"""Cards of this machine, held by file locks that runners inherit: free only when they are gone.

The lock does not depend on leases or the database, and GPUs are locked for the whole machine, so
two pools never share a card by accident. A job with whole cards locks them exclusively, jobs that
share a card by memory lock it together.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from shared.config import settings
from worker.devices import Devices


class Cards:
    """The lock files of the host's cards."""

    def __init__(self, devices: Devices) -> None:
        self._paths = [self._path(devices, name) for name in devices.names]

    def _path(self, devices: Devices, name: str) -> Path:
        if devices.device == "cpu":
            # Slots are a number of this data folder's, not a thing of the machine.
            folder = settings().root / "run"
            folder.mkdir(parents=True, exist_ok=True)
        else:
            folder = Path(tempfile.gettempdir()) / "graft-cards"
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                folder.chmod(0o1777)  # pools of several people; mkdir's own mode obeys the umask
        return folder / f"card-{name}.lock"

    def lock(self, cards: Iterable[int], *, whole: bool) -> list[int] | None:
        """Descriptors of the locked cards, or None when another process has one of them."""
        held: list[int] = []
        for card in cards:
            descriptor = self._lock_one(card, whole)
            if descriptor is None:
                release(held)
                return None
            held.append(descriptor)
        return held

    def _lock_one(self, card: int, whole: bool) -> int | None:
        descriptor = _open(self._paths[card])
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if whole else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def taken(self, ours: Iterable[int]) -> set[int]:
        """Cards that something outside this agent holds: another pool, a runner not yet gone."""
        mine = set(ours)
        found = set()
        for card in range(len(self._paths)):
            if card in mine:
                continue
            held = self.lock([card], whole=True)
            if held is None:
                found.add(card)
            else:
                release(held)
        return found


def release(descriptors: Iterable[int]) -> None:
    """Close locks; a runner that inherited one keeps it until it ends."""
    for descriptor in descriptors:
        os.close(descriptor)


def _open(path: Path) -> int:
    """A descriptor to lock; another user's file may be read, which is all that a lock needs."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
