"""Generate items: the greedy answer to a prompt, compared with references."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.benchmarks import GenerateItem, InstructItem
from shared.evaluations import ItemRow
from worker.evaluation.decoding import Decoding, decode_all
from worker.evaluation.reading import Reader
from worker.evaluation.stops import Stops, before
from worker.evaluation.tasks import Arm, Meter, row
from worker.evaluation.text import answer_values, own_values


@dataclass(frozen=True)
class GenerateTask:
    """A prompt for each item."""

    items: Sequence[GenerateItem]
    prompts: list[list[int]]

    def run(self, arm: Arm, meter: Meter) -> list[list[ItemRow]]:
        """Answer every prompt; `unfinished` is 1 where the length limit cut the answer."""
        return [
            [_row(item, *answer) for item, answer in zip(self.items, each, strict=True)]
            for each in answers(arm, self.prompts, meter)
        ]


def prepare(items: Sequence[GenerateItem], reader: Reader) -> GenerateTask:
    """Each prompt in its template, with room for the longest answer."""
    return GenerateTask(items, prompts(items, reader))


def prompts(items: Sequence[GenerateItem | InstructItem], reader: Reader) -> list[list[int]]:
    """Ids to answer, leaving room for the longest answer."""
    room = reader.max_new_tokens
    return [reader.prompt(item.prompt, item.lang, room) for item in items]


def answers(arm: Arm, prompts: Sequence[list[int]], meter: Meter) -> list[list[tuple[str, bool]]]:
    """Of each adapter: every prompt's answer up to a stop string, and whether it is finished."""
    how = Decoding(
        ends=arm.ends,
        max_new_tokens=arm.max_new_tokens,
        batch_tokens=arm.batch_tokens,
        packed=arm.packed,
        stop=Stops(arm.tokenizer, arm.stop) if arm.stop else None,
    )
    found = decode_all(
        arm.model, prompts, how, stack=arm.stack,
        done=lambda places, tokens: meter(len(places), tokens),
    )  # fmt: skip
    read = arm.tokenizer.decode
    return [
        [
            (before(read(answer.tokens, skip_special_tokens=True), arm.stop).strip(),
             answer.finished)
            for answer in each
        ]
        for each in found
    ]  # fmt: skip


def _row(item: GenerateItem, text: str, finished: bool) -> ItemRow:
    values = answer_values(text, item.references) | own_values(text, item.lang)
    return row(item, values | {"unfinished": float(not finished)}, text)
