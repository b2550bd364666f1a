"""Generate items: the greedy answer to a prompt, compared with references.

An item may bring stop strings, a longest length and a rule for reading its answer of its own.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
        rows: list[dict[int, ItemRow]] = [{} for _ in range(arm.stack.count if arm.stack else 1)]
        for (stop, longest), places in self._ways(arm).items():
            asked = replace(arm, stop=stop, max_new_tokens=longest)
            prompts = [self.prompts[place] for place in places]
            for into, each in zip(rows, answers(asked, prompts, meter), strict=True):
                pairs = zip(places, each, strict=True)
                into |= {place: _row(self.items[place], *answer) for place, answer in pairs}
        return [[each[place] for place in range(len(self.items))] for each in rows]

    def _ways(self, arm: Arm) -> dict[tuple[tuple[str, ...], int], list[int]]:
        """The items' places by their stop strings and longest length."""
        found: dict[tuple[tuple[str, ...], int], list[int]] = defaultdict(list)
        for place, item in enumerate(self.items):
            how = (tuple(item.stop) or arm.stop, item.max_new_tokens or arm.max_new_tokens)
            found[how].append(place)
        return found


def prepare(items: Sequence[GenerateItem], reader: Reader) -> GenerateTask:
    """Each prompt in its template, with room for the longest answer."""
    return GenerateTask(items, prompts(items, reader))


def prompts(items: Sequence[GenerateItem | InstructItem], reader: Reader) -> list[list[int]]:
    """Ids to answer, leaving room for the longest answer."""
    found = []
    for item in items:
        own = item.max_new_tokens if isinstance(item, GenerateItem) else None
        room = own or reader.max_new_tokens
        if item.verbatim:
            found.append(reader.verbatim(item.prompt, room))
        else:
            found.append(reader.prompt(item.prompt, item.lang, room))
    return found


def answers(arm: Arm, prompts: Sequence[list[int]], meter: Meter) -> list[list[tuple[str, bool]]]:
    """Of each adapter: every prompt's answer up to a stop string, its outer spaces kept, and
    whether it is finished."""
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
            (before(read(answer.tokens, skip_special_tokens=True), arm.stop), answer.finished)
            for answer in each
        ]
        for each in found
    ]  # fmt: skip


def _row(item: GenerateItem, answer: str, finished: bool) -> ItemRow:
    text = answer.strip() if item.exact is None else item.exact.read(answer)
    values = answer_values(text, item.references) | own_values(text, item.lang)
    if item.exact is not None:
        same = any(item.exact.same(text, reference) for reference in item.references)
        values["exact_match"] = float(same)
    return row(item, values | {"unfinished": float(not finished)}, text)
