"""Generate items: the greedy answer to a prompt, compared with references."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.benchmarks import GenerateItem
from shared.evaluations import ItemRow
from worker.evaluation.decoding import Answer, Decoding, decode_all
from worker.evaluation.reading import Reader
from worker.evaluation.stops import Stops, before
from worker.evaluation.tasks import Arm, Meter, row
from worker.evaluation.text import answer_values


@dataclass(frozen=True)
class GenerateTask:
    """A prompt for each item."""

    items: Sequence[GenerateItem]
    prompts: list[list[int]]

    def run(self, arm: Arm, meter: Meter) -> list[list[ItemRow]]:
        """Answer every prompt; `unfinished` is 1 where the length limit cut the answer."""
        how = Decoding(
            ends=arm.ends,
            max_new_tokens=arm.max_new_tokens,
            batch_tokens=arm.batch_tokens,
            packed=arm.packed,
            stop=Stops(arm.tokenizer, arm.stop) if arm.stop else None,
        )
        found = decode_all(
            arm.model, self.prompts, how, stack=arm.stack,
            done=lambda places, tokens: meter(len(places), tokens),
        )  # fmt: skip
        return [self._rows(arm, answers) for answers in found]

    def _rows(self, arm: Arm, answers: list[Answer]) -> list[ItemRow]:
        rows = []
        for item, answer in zip(self.items, answers, strict=True):
            text = arm.tokenizer.decode(answer.tokens, skip_special_tokens=True)
            text = before(text, arm.stop).strip()
            values = answer_values(text, item.references)
            rows.append(row(item, values | {"unfinished": float(not answer.finished)}, text))
        return rows


def prepare(items: Sequence[GenerateItem], reader: Reader) -> GenerateTask:
    """Each prompt in its template, with room for the longest answer."""
    room = reader.max_new_tokens
    return GenerateTask(items, [reader.prompt(item.prompt, item.lang, room) for item in items])
