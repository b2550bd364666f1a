"""The agent's side of the zygote: start a runner in milliseconds, learn how it ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from shared.config import settings
from shared.errors import Internal
from worker.traces import Trace

#: What a runner may know of this process's environment: no database, no broker, no tokens.
_PASSED = (
    "PATH",
    "PYTHONPATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
)
_PASSED_PREFIXES = ("CUDA_", "NVIDIA_", "OMP_", "MKL_", "OPENBLAS_", "TORCH", "PYTORCH_", "NCCL_")
_START_SECONDS = 120.0
#: Between two looks whether a start is still wanted.
_GLANCE = 0.1
_ZYGOTE = (sys.executable, "-m", "worker.zygote")


class _Abandoned(Exception):
    """The worker shall stop: no zygote is wanted any more."""


class Runner:
    """One running job's process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._ended = threading.Event()
        self.code: int | None = None

    def signal(self, number: int) -> None:
        """Send a signal to the runner's whole process group; no error when it has ended."""
        if self._ended.is_set():
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            # It has ended, or it was forked a moment ago and does not lead its group yet.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it now."""
        self.signal(signal.SIGKILL)

    def wait(self, timeout: float) -> int | None:
        """Its exit code (negative: the signal that ended it), or None while it runs."""
        self._ended.wait(timeout)
        return self.code

    def ended(self, code: int) -> None:
        """Called once, when the zygote has seen it end."""
        self.code = code
        self._ended.set()


class Runners:
    """Starts runners through a zygote, and a new zygote where the old one died.

    `module` is what the zygote imports before it forks: its `preload` and `run` do a job's work.
    """

    def __init__(self, module: str = "worker.runner") -> None:
        self._module = module
        self._lock = threading.Lock()
        self._tickets = count()
        self._replies: Queue[dict[str, Any]] = Queue()
        self._table = threading.Lock()
        self._running: dict[int, Runner] = {}
        #: Exit codes of runners that ended before `start` could enter them in the table.
        self._early: dict[int, int] = {}
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def warm_up(self, abandoned: Callable[[], bool] = lambda: False) -> None:
        """Start the zygote now, so that the first job need not wait for its imports.

        Comes back at once, with nothing started, when `abandoned` becomes true meanwhile.
        """
        with self._lock, suppress(_Abandoned):
            self._zygote(abandoned)

    def start(
        self, order: Path, trace: Trace, environment: dict[str, str], card_locks: list[int]
    ) -> Runner:
        """Fork a runner for the order in that file. Raises Internal when none can be started.

        A zygote that dies meanwhile takes its runners along, so the request is made once more of
        a new one.
        """
        with self._lock:
            runner = self._fork(order, trace, environment, card_locks)
            if runner is None:
                runner = self._fork(order, trace, environment, card_locks)
        if runner is None:
            raise Internal(detail="no runner could be started: its zygote died twice")
        return runner

    def _fork(
        self, order: Path, trace: Trace, environment: dict[str, str], card_locks: list[int]
    ) -> Runner | None:
        """Ask the zygote for a runner; None when it died instead."""
        control = self._zygote()
        own = trace.open()
        request = {
            "order": str(order),
            "trace": str(trace.folder),
            "environment": environment,
            "ticket": next(self._tickets),
        }
        try:
            socket.send_fds(control, [json.dumps(request).encode()], [*own, *card_locks])
            reply = self._replies.get(timeout=_START_SECONDS)
        except (OSError, Empty):
            reply = {}
        finally:
            for descriptor in own:
                os.close(descriptor)
        if "started" in reply:
            return self._enter(Runner(reply["started"]))
        self._discard_zygote()
        return None

    def stop(self) -> None:
        """End the zygote and, with it, whatever still runs."""
        with self._lock:
            self._discard_zygote()

    def leave(self) -> None:
        """Let go of the zygote; its runners go on, and it ends with the last of them."""
        with self._lock:
            if self._control is not None:
                self._control.shutdown(socket.SHUT_RDWR)
                self._control.close()
            self._control = None

    def _zygote(self, abandoned: Callable[[], bool] = lambda: False) -> socket.socket:
        if self._control is not None and self._process is not None:
            if self._process.poll() is None:
                return self._control
            self._discard_zygote()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*_ZYGOTE, str(theirs.fileno()), self._module, *_orphans()],
                pass_fds=[theirs.fileno()],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._control = ours
        self._replies = Queue()
        threading.Thread(target=self._listen, args=(ours, self._replies), daemon=True).start()
        try:
            self._await_ready(abandoned)
        except BaseException:
            self._discard_zygote()
            raise
        return ours

    def _await_ready(self, abandoned: Callable[[], bool]) -> None:
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if abandoned():
                raise _Abandoned
            with suppress(Empty):
                if "ready" in self._replies.get(timeout=_GLANCE):
                    return
                break
        raise Internal(detail="the engines cannot be imported; see the worker's output")

    def _listen(self, control: socket.socket, replies: "Queue[dict[str, Any]]") -> None:
        """Pass on the zygote's messages until it is gone; its runners are gone with it."""
        # A socket closed under the reader is the same as its end.
        with control.makefile("r") as lines, suppress(OSError):
            for line in lines:
                message = json.loads(line)
                if "ended" in message:
                    self._ended(message["ended"], message["code"])
                else:
                    replies.put(message)
        replies.put({"gone": True})
        for pid in list(self._running):
            self._ended(pid, -signal.SIGKILL)

    def _enter(self, runner: Runner) -> Runner:
        with self._table:
            if runner.pid in self._early:
                runner.ended(self._early.pop(runner.pid))
            else:
                self._running[runner.pid] = runner
        return runner

    def _ended(self, pid: int, code: int) -> None:
        with self._table:
            runner = self._running.pop(pid, None)
            if runner is None:
                self._early[pid] = code
            else:
                runner.ended(code)

    def _discard_zygote(self) -> None:
        if self._control is not None:
            with suppress(OSError):  # its end may be closed already
                self._control.send(json.dumps({"end": True}).encode())
                self._control.shutdown(socket.SHUT_RDWR)
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._control = self._process = None


def presence() -> Path:
    """The file that a living agent of this host holds a lock on, for orphaned zygotes to see."""
    return settings().root / "run" / f"worker-{settings().host_name}.present"


def _orphans() -> tuple[str, str]:
    """What a zygote needs to know for the case that it loses its agent."""
    return str(presence()), str(settings().lease_seconds)


def _environment() -> dict[str, str]:
    """The zygote's environment: what engines need, and nothing that opens the pool."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }
    if not settings().allow_hub:
        passed |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    else:
        passed |= {key: value for key, value in os.environ.items() if key.startswith("HF_")}
    return passed | {"TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
