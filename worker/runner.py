"""The process that owns the device for one job: an order in, an artifact folder and events out.

It knows no database and no broker. Events go to a file as JSON lines:
`phase`, `progress`, `metrics`, `log`, `checkpoint`, then one of `result`, `error`, `stopped`.
"""

import errno
import json
import os
import signal
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from shared.errors import Both, DiskFull, GraftError, Internal, OutOfMemory
from shared.orders import WorkOrder
from shared.storage import seal, size_of
from worker.reporting import AdapterResult, Stopped

#: An order and a report in, what the supervisor is told about the result out.
Work = Callable[[WorkOrder, "LineReport"], dict[str, Any]]
#: Exit code of a runner that was asked to stop and saved a checkpoint (128 + SIGTERM),
STOPPED = 143
#: and of one that had no room left to say how it ended.
NO_ROOM = 74


class LineReport:
    """A Report that appends JSON lines to a file, and stops when SIGTERM arrives."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._stop = False
        signal.signal(signal.SIGTERM, self._on_terminate)

    def _on_terminate(self, *_: Any) -> None:
        self._stop = True

    def send(self, kind: str, **fields: Any) -> None:
        """Write one event, whole or not at all. Raises OSError where there is no room for it."""
        event = {"type": kind, "at": time.time(), **fields}
        data = (json.dumps(event, ensure_ascii=False) + "\n").encode()
        begun = os.fstat(self._descriptor).st_size
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            os.ftruncate(self._descriptor, begun)
            raise

    def phase(self, name: str) -> None:
        self.send("phase", name=name)

    def progress(self, done: int, total: int, unit: str) -> None:
        self.send("progress", done=done, total=total, unit=unit)

    def metrics(self, step: int, values: dict[str, float]) -> None:
        self.send("metrics", step=step, values=values)

    def log(self, text: str | Both, level: str = "info") -> None:
        self.send("log", text=text, level=level)

    def checkpoint(self, step: int, folder: Path) -> None:
        self.send("checkpoint", step=step, folder=str(folder))

    def said(self, turn: int, answers: dict[str, Any], *, answered: bool) -> None:
        """What the arms of a chat have written so far in answer to a question."""
        self.send("said", turn=turn, answers=answers, answered=answered)

    def stop_requested(self) -> bool:
        return self._stop


def preload() -> None:
    """Import what jobs need, without touching a device."""
    _import_losses()
    for engine in (
        "torch",
        "peft",
        "worker.training",
        "worker.fusion",
        "worker.evaluation",
        "worker.chat",
        "worker.judging",
    ):
        import_module(engine)
    transformers_logging = import_module("transformers.utils.logging")
    transformers_logging.disable_progress_bar()


def _import_losses() -> None:
    """Import transformers' losses without scipy.optimize, half a second for detecting objects."""
    utils: Any = import_module("transformers.utils")
    is_there, utils.is_scipy_available = utils.is_scipy_available, lambda: False
    try:
        import_module("transformers.loss.loss_utils")
    finally:
        utils.is_scipy_available = is_there


def run(order_path: str, descriptor: int, work: Work | None = None) -> int:
    """Run the order in that file with the engine of its kind, or `work`; return the exit code."""
    try:
        return _run(order_path, LineReport(descriptor), work or _work)
    except OSError as wrong:
        if not _is_disk_full(wrong):
            raise
        return NO_ROOM


def _run(order_path: str, report: LineReport, work: Work) -> int:
    order: WorkOrder | None = None
    try:
        order = WorkOrder.model_validate_json(Path(order_path).read_bytes())
        report.send("result", **work(order, report))
    except Stopped:
        report.send("stopped")
        return STOPPED
    except GraftError as wrong:
        report.send("error", **wrong.record())
        return 1
    except Exception as wrong:
        # The boundary of the process: whatever an engine throws must reach the job page.
        report.log(traceback.format_exc(), "error")
        report.send("error", **_classify(wrong, order).record())
        return 1
    return 0


def _work(order: WorkOrder, report: LineReport) -> dict[str, Any]:
    """Run the engine of the spec's kind, seal its folder, describe it for the supervisor."""
    from worker.chat import chat
    from worker.evaluation import evaluate
    from worker.fusion import fuse
    from worker.judging import judge
    from worker.training import train

    order.out.mkdir(parents=True, exist_ok=True)
    made: AdapterResult | None = None
    if order.spec.kind == "train":
        made = train(order, report)
    elif order.spec.kind == "fuse":
        made = fuse(order, report)
    elif order.spec.kind == "evaluate":
        evaluate(order, report)
    elif order.spec.kind == "judge":
        judge(order, report)
    else:
        chat(order, report)
    report.phase("publishing")
    digest = seal(order.out)
    described: dict[str, Any] = {"sha256": digest, "bytes": size_of(order.out)}
    if made is not None:
        described |= {"rank": made.rank, "facts": made.facts}
    return described


def _classify(wrong: Exception, order: WorkOrder | None) -> GraftError:
    """The named error behind an exception that no engine named."""
    name = type(wrong).__name__
    if _is_disk_full(wrong):
        path = getattr(wrong, "filename", None) or (order.folder if order else "")
        return DiskFull(host=order.host if order else "", path=str(path))
    if isinstance(wrong, MemoryError) or name == "OutOfMemoryError":
        return OutOfMemory(detail=str(wrong).splitlines()[0] if str(wrong) else name)
    return Internal(detail=f"{name}: {wrong}")


def _is_disk_full(wrong: Exception) -> bool:
    """Also true of libraries that wrap the error number in an exception of their own."""
    numbers = (errno.ENOSPC, errno.EDQUOT)
    if isinstance(wrong, OSError):
        return wrong.errno in numbers
    return any(os.strerror(number) in str(wrong) for number in numbers)
