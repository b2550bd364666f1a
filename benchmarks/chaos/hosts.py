"""A host of the chaos run: a network namespace, a small disk of its own and a real worker."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psutil

from infra.local.child import tie
from worker.traces import traces

#: A host's disk: its caches and attempts' folders.
DISK = "24m"


def can_isolate() -> bool:
    """May this process make network namespaces and mount file systems?"""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"graft-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode == 0:
        _ip("netns", "del", name)
    return made.returncode == 0


def can_mount() -> bool:
    """May this process mount a small file system?"""
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run(_mount(Path(folder)), capture_output=True, check=False)
        if made.returncode == 0:
            subprocess.run(["umount", "-l", folder], check=True)
    return made.returncode == 0


def _mount(folder: Path) -> list[str]:
    return ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """A namespace joined to this one by a pair of virtual cards, which can be cut."""

    def __init__(self, number: int) -> None:
        self.name = f"graft-{os.getpid()}-{number}"
        self._card = f"gc{os.getpid() % 100_000}x{number}"
        net = f"10.{20 + os.getpid() % 200}.{number}"
        self.outer = f"{net}.1"
        inner = f"{self._card}i"
        _ip("netns", "add", self.name)
        _ip("link", "add", self._card, "type", "veth", "peer", "name", inner)
        _ip("link", "set", inner, "netns", self.name)
        _ip("addr", "add", f"{self.outer}/24", "dev", self._card)
        _ip("link", "set", self._card, "up")
        for words in (
            ("addr", "add", f"{net}.2/24", "dev", inner),
            ("link", "set", inner, "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-n", self.name, *words)

    def cut(self) -> None:
        _ip("link", "set", self._card, "down")

    def join(self) -> None:
        _ip("link", "set", self._card, "up")

    def remove(self) -> None:
        _ip("link", "del", self._card)
        _ip("netns", "del", self.name)


class Host:
    """One machine's worker."""

    def __init__(self, name: str, folder: Path, *, network: Network | None, disk: bool) -> None:
        self.name = name
        self.home = folder / name
        self.log = folder / f"{name}.log"
        self.network = network
        self.disk = disk
        self.environment: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        #: Nothing else may be done to it while a fault with a duration lasts.
        self.busy = False
        self.home.mkdir(parents=True)
        if disk:
            subprocess.run(_mount(self.home), check=True)

    @property
    def address(self) -> str:
        """Where it finds the servers."""
        return self.network.outer if self.network is not None else "127.0.0.1"

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start the worker; a variable given once stays for later starts."""
        self.environment |= dict(environment or {})
        inside = ["ip", "netns", "exec", self.network.name] if self.network is not None else []
        command = [*inside, sys.executable, "-m", "benchmarks.chaos.worker"]
        command[0] = shutil.which(command[0]) or command[0]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                tie(command), stdout=log, stderr=log, env=os.environ | self.environment
            )

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def family(self) -> list[psutil.Process]:
        """The worker, its zygotes and their runners; empty when it is down."""
        if not self.alive or self.process is None:
            return []
        try:
            agent = psutil.Process(self.process.pid)
            return [agent, *agent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def zygotes(self) -> list[psutil.Process]:
        return [each for each in self.family()[1:] if self._parent(each) == self.family()[0].pid]

    def runners(self) -> list[psutil.Process]:
        """Those of this worker, and those that it took over from an earlier one."""
        zygotes = {each.pid for each in self.zygotes()}
        own = [each for each in self.family()[1:] if self._parent(each) in zygotes]
        known = {each.pid for each in own}
        for trace in traces(self.home / "run" / f"attempts-{self.name}"):
            who = trace.identify()
            if who is not None and who.alive() and who.pid not in known:
                with contextlib.suppress(psutil.NoSuchProcess):
                    own.append(psutil.Process(who.pid))
        return own

    @staticmethod
    def _parent(process: psutil.Process) -> int:
        try:
            return process.ppid()
        except psutil.NoSuchProcess:
            return -1

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def ask_to_stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)

    def fill_disk(self) -> None:
        """Write until nothing more fits."""
        with (self.home / "ballast").open("wb", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        ballast.write(bytes(size))
                except OSError as full:
                    if full.errno != errno.ENOSPC:
                        raise

    def free_disk(self) -> None:
        (self.home / "ballast").unlink()

    def remove(self) -> None:
        if self.disk:
            subprocess.run(["umount", "-l", str(self.home)], check=True)
        if self.network is not None:
            self.network.remove()
