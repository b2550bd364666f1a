"""The process runners are forked from: torch, transformers and peft imported, CUDA never touched.

The host agent starts it with one end of a socket. A request is a JSON object and file descriptors
(events, output, locks); the answer is the runner's pid, and later its exit status. When the agent
goes away, even by kill -9, the runners go on for the next one, which finds them by their traces.
When no agent of this host has been there for a whole lease, they are killed: their jobs are
somebody else's by then.
"""

import gc
import json
import os
import select
import selectors
import signal
import socket
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from worker.offspring import die_with_parent
from worker.traces import introduce, is_held, note_exit

_MAX_REQUEST = 1 << 16
#: Events, output, the attempt's lock, and that of each card.
_MAX_DESCRIPTORS = 3 + 64
#: Seconds between two looks for the next agent.
_LOOK = 1.0


def main() -> None:
    """Serve fork requests.

    Arguments: the socket's descriptor, the runner's module, the file that a living agent of this
    host holds a lock on, and for how many seconds runners outlive the last one.
    """
    control = socket.socket(fileno=int(sys.argv[1]))
    runner = _import_engines(control, sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM):
        # Ctrl-C reaches the whole terminal group; the agent decides when runners stop.
        signal.signal(number, signal.SIG_IGN)
    zygote = Zygote(control, runner)
    zygote.serve()
    zygote.wait_for_an_agent(Path(sys.argv[3]), float(sys.argv[4]))


def _import_engines(control: socket.socket, module: str) -> Any:
    """Pay the seconds of importing once, before any job asks; end when the agent ends first.

    All of it stays, here and in every runner: nothing is gained by looking for garbage in it.
    """
    gc.disable()
    imported = threading.Event()
    watch = threading.Thread(target=_end_with_agent, args=(control, imported))
    watch.start()
    try:
        runner = import_module(module)
        runner.preload()
    finally:
        imported.set()
        # No thread may be left when runners are forked.
        watch.join()
    gc.freeze()
    gc.enable()
    return runner


def _end_with_agent(control: socket.socket, imported: threading.Event) -> None:
    hangup = select.poll()
    hangup.register(control, 0)
    while not imported.is_set():
        if hangup.poll(100):
            os._exit(0)


class Zygote:
    """Forks runners and watches them end; `runner` is the module whose `run` does a job."""

    def __init__(self, control: socket.socket, runner: Any) -> None:
        self.control = control
        self.runner = runner
        #: The trace of each runner by its pid.
        self.runners: dict[int, Path] = {}
        self.wake_read, self.wake_write = os.pipe()
        os.set_blocking(self.wake_write, False)
        os.set_blocking(self.wake_read, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Answer requests until the agent is gone."""
        selector = selectors.DefaultSelector()
        selector.register(self.control, selectors.EVENT_READ)
        selector.register(self.wake_read, selectors.EVENT_READ)
        self._tell({"ready": os.getpid()})
        while True:
            for key, _ in selector.select():
                if key.fileobj == self.wake_read:
                    os.read(self.wake_read, 4096)
                    self._reap()
                elif not self._serve_request():
                    self.control.close()
                    return

    def wait_for_an_agent(self, presence: Path, grace: float) -> None:
        """Note how each runner ends; kill what still runs when no agent came for `grace` seconds.

        An agent that is there decides itself about the runners that it finds.
        """
        alone_since = time.monotonic()
        while self.runners:
            if select.select([self.wake_read], [], [], _LOOK)[0]:
                os.read(self.wake_read, 4096)
            self._reap()
            if _is_there(presence):
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since > grace:
                self._kill_runners()
                return

    def _serve_request(self) -> bool:
        """Fork one runner; False when the agent has closed the socket."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self.control, _MAX_REQUEST, _MAX_DESCRIPTORS)
        except ConnectionResetError:
            # The agent died without having read what it was told.
            return False
        if not data:
            return False
        request = json.loads(data)
        if "end" in request:
            self._kill_runners()
            return False
        zygote = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_runner(request, descriptors, zygote)
        for descriptor in descriptors:
            os.close(descriptor)
        self.runners[pid] = Path(request["trace"])
        self._tell({"started": pid, "ticket": request["ticket"]})
        return True

    def _become_runner(
        self, request: dict[str, Any], descriptors: list[int], zygote: int
    ) -> NoReturn:
        """In the child: a session of its own, output redirected, then the job."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        die_with_parent()
        if os.getppid() != zygote:
            os._exit(70)  # it died before we could ask to die with it
        os.setsid()
        self.control.close()
        events, output, *_locks = descriptors
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(request["environment"])
        code = 70
        try:
            introduce(Path(request["trace"]))
            code = self.runner.run(request["order"], events)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        for pid in list(self.runners):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                note_exit(self.runners.pop(pid), code)
                self._tell({"ended": pid, "code": code})

    def _kill_runners(self) -> None:
        for pid in self.runners:
            os.killpg(pid, signal.SIGKILL)
        self.runners.clear()

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self.control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            # The agent is gone, or its end was closed here; the traces say what it needs to know.
            return


def _is_there(presence: Path) -> bool:
    """Does an agent of this host live?"""
    try:
        return is_held(presence)
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    main()
