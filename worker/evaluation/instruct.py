"""Instruct items: the greedy answer to a prompt, held against checks that need no judge.

`followed` is 1 where every check passes, `checks` the share of them that do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.benchmarks import InstructItem
from shared.evaluations import ItemRow
from worker.evaluation.generate import answers, prompts
from worker.evaluation.reading import Reader
from worker.evaluation.tasks import Arm, Meter, row


@dataclass(frozen=True)
class InstructTask:
    """A prompt for each item."""

    items: Sequence[InstructItem]
    prompts: list[list[int]]

    def run(self, arm: Arm, meter: Meter) -> list[list[ItemRow]]:
        """Answer every prompt and check the answers."""
        return [
            [_row(item, text.strip()) for item, (text, _) in zip(self.items, each, strict=True)]
            for each in answers(arm, self.prompts, meter)
        ]


def prepare(items: Sequence[InstructItem], reader: Reader) -> InstructTask:
    """Each prompt in its template, with room for the longest answer."""
    return InstructTask(items, prompts(items, reader))


def _row(item: InstructItem, text: str) -> ItemRow:
    passed = [check.passes(text) for check in item.checks]
    values = {"followed": float(all(passed)), "checks": sum(passed) / len(passed)}
    return row(item, values, text)
