"""Finished parts of an evaluation as checkpoints: a killed job does not score them again."""

import time
from pathlib import Path
from typing import Any

from shared.errors import both
from shared.evaluations import (
    COMPARABLE_FACTS,
    EvaluationPart,
    EvaluationResult,
    read_result,
    write_result,
)
from shared.orders import DataFile
from worker.keeping import checkpoint_path, kept
from worker.reporting import Report

#: Seconds between checkpoints: losing this much work is cheaper than writing more often.
EVERY = 15.0
#: Checkpoints kept; the older one is for a crash of the disk under the newer.
_KEPT = 2
#: Besides what makes parts comparable, what a resumed one must share with this attempt.
_SAME = (*COMPARABLE_FACTS, "device", "versions")


class FinishedParts:
    """The parts done so far, of this attempt and of the one it goes on from."""

    def __init__(self, folder: Path, report: Report, resume_from: Path | None) -> None:
        self._folder = folder
        self._report = report
        self._earlier = _read(resume_from, report)
        self.parts: list[EvaluationPart] = []
        self._saved = 0
        self._saved_at = time.monotonic()

    def earlier(
        self, arm: str, file: DataFile, hashes: list[str], facts: dict[str, Any]
    ) -> EvaluationPart | None:
        """The part an earlier attempt finished for the same arm, file, items and engine facts."""
        for part in self._earlier:
            if (
                (part.arm, part.benchmark) == (arm, file.name)
                and part.benchmark_sha256 == file.sha256
                and [item.item_hash for item in part.items] == hashes
                and all(part.engine.get(name) == facts.get(name) for name in _SAME)
            ):
                return part
        return None

    def add(self, parts: list[EvaluationPart]) -> None:
        """Keep parts, and write a checkpoint where the last one is old enough."""
        self.parts += parts
        if time.monotonic() - self._saved_at >= EVERY:
            self.save()

    def save(self) -> None:
        """Write all parts so far as one checkpoint, unless it would hold nothing new."""
        count = len(self.parts)
        if count == self._saved:
            return
        with kept(self._folder, "parts", count, most=_KEPT) as draft:
            write_result(draft, EvaluationResult(parts=self.parts))
        self._saved, self._saved_at = count, time.monotonic()
        self._report.checkpoint(count, checkpoint_path(self._folder, "parts", count))


def _read(folder: Path | None, report: Report) -> list[EvaluationPart]:
    if folder is None:
        return []
    try:
        return read_result(folder).parts
    except (OSError, ValueError, KeyError) as wrong:
        report.log(
            both(
                f"the checkpoint {folder.name} cannot be read, scoring anew: {wrong}",
                f"检查点 {folder.name} 无法读取，重新评分：{wrong}",
            ),
            "warning",
        )
        return []
