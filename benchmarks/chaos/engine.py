"""A stand-in for the engines: a job is a chain of hashes, a few milliseconds a step.

It needs no torch, so that a worker is back a second after it was killed; and its result can only be
right when every step was done once, in order, from wherever an earlier attempt left its checkpoint.
"""

import hashlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

from shared.orders import WorkOrder
from shared.specs import TrainingSpec
from shared.storage import seal, size_of, sync_entries
from worker import runner
from worker.reporting import Stopped

STEP_SECONDS = 0.04
_STATE = "state.json"
RESULT = "adapter.txt"
#: Bytes written with each result and checkpoint, so that a full disk is felt.
_BULK = 64 << 10


def preload() -> None:
    """Nothing to import."""


def run(order_path: str, descriptor: int) -> int:
    """What a zygote calls in a forked child."""
    return runner.run(order_path, descriptor, work)


def expected(seed: int, steps: int) -> str:
    """The result of a whole run."""
    digest = str(seed)
    for step in range(1, steps + 1):
        digest = _next(digest, step)
    return digest


def _next(digest: str, step: int) -> str:
    return hashlib.sha256(f"{digest}:{step}".encode()).hexdigest()


def work(order: WorkOrder, report: runner.LineReport) -> dict[str, Any]:
    """Do the steps, save checkpoints, write the result and seal it."""
    seed, steps, every = _shape(order)
    step, digest = 0, str(seed)
    if order.resume_from is not None:
        saved = json.loads((order.resume_from / _STATE).read_text())
        step, digest = saved["step"], saved["digest"]
    report.phase("training")
    while step < steps:
        time.sleep(STEP_SECONDS)
        step += 1
        digest = _next(digest, step)
        report.progress(step, steps, "steps")
        report.metrics(step, {"loss": 1 / step})
        if report.stop_requested():
            _checkpoint(order, report, step, digest)
            raise Stopped
        if step % every == 0 and step < steps:
            _checkpoint(order, report, step, digest)
    order.out.mkdir(parents=True, exist_ok=True)
    (order.out / RESULT).write_text(digest)
    (order.out / "bulk").write_bytes(bytes(_BULK))
    return {
        "sha256": seal(order.out),
        "bytes": size_of(order.out),
        "rank": 1,
        "facts": {"steps": steps},
    }


def _shape(order: WorkOrder) -> tuple[int, int, int]:
    """Seed, steps and checkpoint interval; a fusion is a short job made of its donors' names."""
    if isinstance(order.spec, TrainingSpec):
        return order.spec.seed, order.spec.max_steps, order.spec.checkpoint_every
    return len(order.adapters), 3, 100


def _checkpoint(order: WorkOrder, report: runner.LineReport, step: int, digest: str) -> None:
    folder: Path = order.folder / "checkpoints"
    name = f"step-{step:08d}"
    draft = folder / f".tmp-{name}"
    draft.mkdir(parents=True, exist_ok=True)
    (draft / _STATE).write_text(json.dumps({"step": step, "digest": digest}))
    (draft / "bulk").write_bytes(bytes(_BULK))
    seal(draft)
    shutil.rmtree(folder / name, ignore_errors=True)
    draft.rename(folder / name)
    sync_entries(folder)
    report.checkpoint(step, folder / name)
