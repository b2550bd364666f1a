"""Forking the processes of a crew, and ending them all together.

The process that forks them computes nothing, so it can listen to all of them whatever they wait
for: the first one that fails or dies ends the others, and its reason is the job's.
"""

import os
import pickle
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch

from shared.errors import Internal, RunnerDied
from worker.offspring import die_with_parent
from worker.reporting import Stopped
from worker.training.crew import Lost, Together

#: Seconds in which a process that others miss will have said why it ended.
_REASON_SECONDS = 10.0
Made = TypeVar("Made")


def together(size: int, device: str, work: Callable[[Together], Made]) -> Made:
    """Run `work` in `size` processes forked from this one; return what the leader's returned.

    Raises what it raised in the first process that failed, RunnerDied for one that died, and
    Internal where this process has used CUDA, which no fork survives. What the leader reports goes
    through a copy of this process's report: to a file or a pipe, not to this one's memory.
    """
    if torch.cuda.is_initialized():
        raise Internal(detail="several cards need a process that has not used CUDA yet")
    with tempfile.TemporaryDirectory(prefix="graft-crew-") as folder:
        members: list[_Member] = []
        try:
            for number in range(size):
                members.append(_fork(number, size, device, Path(folder), work))
            return _first_end(members)
        finally:
            for member in members:
                member.end()


@dataclass
class _Member:
    """A forked process, and the pipe in which it says how it ended."""

    number: int
    pid: int
    pipe: int
    #: As `os.waitpid` gave it; None before.
    status: int | None = None

    def end(self) -> int:
        """Kill it where it still runs; its exit code."""
        if self.status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            _, self.status = os.waitpid(self.pid, 0)
            os.close(self.pipe)
        return os.waitstatus_to_exitcode(self.status)

    def said(self) -> Any:
        """What it returned or raised; waits for its end."""
        found = b""
        while data := os.read(self.pipe, 1 << 16):
            found += data
        if not found:
            _, self.status = os.waitpid(self.pid, 0)
            os.close(self.pipe)
            code = os.waitstatus_to_exitcode(self.status)
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return RunnerDied(how=f"process {self.number + 1}: {how}")
        return pickle.loads(found)


def _first_end(members: Sequence[_Member]) -> Any:
    """What the leader returned; raises what ends the crew before that."""
    running = {member.pipe: member for member in members}
    lost: Lost | None = None
    until = None
    while running:
        left = None if until is None else max(0.0, until - time.monotonic())
        ready = select.select(list(running), [], [], left)[0]
        if not ready:
            break
        for pipe in ready:
            member = running.pop(pipe)
            said = member.said()
            if isinstance(said, Lost):
                lost = lost or said
                until = until or time.monotonic() + _REASON_SECONDS
            elif isinstance(said, BaseException):
                if member.number == 0 or not isinstance(said, Stopped):
                    raise said
            elif member.number == 0:
                return said
    raise Internal(detail=f"the processes of this training lost each other: {lost}")


def _fork(
    number: int, size: int, device: str, folder: Path, work: Callable[[Together], Any]
) -> _Member:
    ours, theirs = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(theirs)
        return _Member(number, pid, ours)
    try:
        die_with_parent()
        if os.getppid() == parent:
            os.close(ours)
            _serve(theirs, lambda: work(Together(number, size, device, folder)))
    finally:
        os._exit(70)


def _serve(pipe: int, work: Callable[[], Any]) -> NoReturn:
    """In the forked process: work, say how it ended, and end without a look back."""
    try:
        said = work()
    except Lost as wrong:
        said = wrong
    except Exception as wrong:
        # The boundary of the process: whatever it was must reach the one that waits.
        said = _portable(wrong)
    with suppress(OSError):  # without room for its prints, how it ended still counts
        sys.stdout.flush()
        sys.stderr.flush()
    with os.fdopen(pipe, "wb") as out:
        pickle.dump(said, out)
    os._exit(0)


def _portable(wrong: Exception) -> Exception:
    """An exception that another process can raise, with where it happened in its notes."""
    note = "".join(traceback.format_exception(wrong))
    try:
        again = pickle.loads(pickle.dumps(wrong))
    except (pickle.PickleError, AttributeError, TypeError, ValueError):
        # Some exceptions cannot be built again from what they hold; their words can be.
        again = RuntimeError(f"{type(wrong).__name__}: {wrong}")
    again.add_note(note)
    return again
