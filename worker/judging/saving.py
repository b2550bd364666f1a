"""Verdicts so far as checkpoints: a killed judging does not ask again what was answered."""

import json
import time
from pathlib import Path

from shared.errors import both
from shared.orders import WorkOrder
from shared.storage import damage, file_sha256
from shared.verdicts import VERDICTS, Verdict, read_verdicts, write_rows
from worker.keeping import checkpoint_path, kept
from worker.reporting import Report

#: Seconds between checkpoints.
EVERY = 15.0
_KEPT = 2
_FACTS = "facts.json"


class Verdicts:
    """What the judge has said, of this attempt and of the one it goes on from."""

    def __init__(self, order: WorkOrder, report: Report) -> None:
        self._folder = order.folder / "checkpoints"
        self._report = report
        self._facts = _facts(order)
        self.said = _earlier(order.resume_from, self._facts, report)
        self._saved_at = time.monotonic()

    def add(self, verdicts: list[Verdict]) -> None:
        """Keep verdicts, and write a checkpoint where the last one is old enough."""
        self.said += verdicts
        if time.monotonic() - self._saved_at >= EVERY:
            self.save()

    def save(self) -> None:
        """Write all verdicts so far as one checkpoint."""
        count = len(self.said)
        with kept(self._folder, "verdicts", count, most=_KEPT) as draft:
            write_rows(draft / VERDICTS, self.said)
            (draft / _FACTS).write_text(json.dumps(self._facts), encoding="utf-8")
        self._saved_at = time.monotonic()
        self._report.checkpoint(count, checkpoint_path(self._folder, "verdicts", count))


def _facts(order: WorkOrder) -> dict[str, str]:
    """What two attempts must share for the one to go on with the other's verdicts."""
    if order.base is None or order.dataset is None:
        raise TypeError("judging needs a base and a file of pairs")
    return {
        "base": order.base.fingerprint,
        "pairs": file_sha256(order.dataset.path),
        "device": order.device,
    }


def _earlier(folder: Path | None, facts: dict[str, str], report: Report) -> list[Verdict]:
    if folder is None:
        return []
    if wrong := damage(folder):
        report.log(
            both(
                f"the checkpoint {wrong} is damaged; all pairs are judged anew",
                f"检查点 {wrong} 已损坏；全部重新评判",
            ),
            "warning",
        )
        return []
    if json.loads((folder / _FACTS).read_text(encoding="utf-8")) != facts:
        report.log(
            both(
                "the pairs, the judge or the device are others than before; all are judged anew",
                "配对、裁判或设备与之前不同；全部重新评判",
            ),
            "warning",
        )
        return []
    return read_verdicts(folder)
