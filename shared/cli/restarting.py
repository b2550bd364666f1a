"""`graft worker restart`: the worker of this machine starts anew, with the code that is installed
now, and takes over what it was running."""

import fcntl
import os
import signal
import time

from sqlmodel import func, select

from shared import db
from shared.cli.output import emit, note
from shared.cli.session import require_database
from shared.config import settings
from shared.errors import NoWorker, StartFailed
from shared.language import say
from shared.tables import Host, Job, JobState

#: The new worker registers before it imports torch.
_PATIENCE = 60.0


def restart() -> None:
    """Ask, and wait until it is there again. Raises NoWorker, StartFailed."""
    require_database()
    name, before = settings().host_name, _started_at()
    os.kill(_worker(), signal.SIGUSR2)
    until = time.monotonic() + _PATIENCE
    while _started_at() == before:
        if time.monotonic() > until:
            raise StartFailed(what=name, problem=say("no answer", "没有响应"), log="stderr")
        time.sleep(0.1)
    with db.reading() as session:
        held = select(func.count()).where(Job.host == name, Job.state == JobState.RUNNING)
        jobs = session.exec(held).one()
    note(say(f"{name}: started anew; running jobs go on: {jobs}",
             f"{name}：已重新启动；继续运行的任务数：{jobs}"))  # fmt: skip
    emit({"host": name, "running": jobs}, name)


def _started_at() -> float | None:
    with db.reading() as session:
        return session.exec(
            select(Host.started_at).where(Host.name == settings().host_name)
        ).one_or_none()


def _worker() -> int:
    """The process that holds this host's lock."""
    gone = NoWorker(host=settings().host_name, home=str(settings().root))
    try:
        file = settings().worker_lock.open("r+")
    except FileNotFoundError:
        raise gone from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read())
    raise gone
