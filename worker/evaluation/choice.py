"""Choice items: the answer a model finds likeliest among those given.

`accuracy` compares whole log-likelihoods, `accuracy_bytes` log-likelihoods per UTF-8 byte (long
answers are less likely for their length alone). `margin` is the right answer's log-likelihood
minus the best wrong one's, in nats: positive exactly where `accuracy` is 1. A tie is a miss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.benchmarks import ChoiceItem
from shared.evaluations import ItemRow
from worker.evaluation.reading import Reader
from worker.evaluation.scoring import score_all
from worker.evaluation.tasks import Arm, Meter, row
from worker.evaluation.trees import Tree


@dataclass(frozen=True)
class ChoiceTask:
    """A tree for each item."""

    items: Sequence[ChoiceItem]
    trees: list[Tree]

    def run(self, arm: Arm, meter: Meter) -> list[list[ItemRow]]:
        """Score every choice; see the module for the metrics."""
        found = score_all(
            arm.model,
            self.trees,
            batch_tokens=arm.batch_tokens,
            packed=arm.packed,
            stack=arm.stack,
            done=lambda places, tokens: meter(len(places), tokens),
        )
        return [
            [_row(item, values) for item, values in zip(self.items, each, strict=True)]
            for each in found
        ]


def prepare(items: Sequence[ChoiceItem], reader: Reader) -> ChoiceTask:
    """Prompt in its template, each choice without outer spaces as the answer after it.

    Prompt and choice are turned into tokens apart and joined, as training does it. A choice's
    leading space serves prompts that end in a word; a template ends in a line of its own.
    A verbatim item's choices stand as they are, in one text with the prompt (`Reader.joined`).
    """
    trees = []
    # The same few labels, on a benchmark of labels: each is turned into tokens once.
    known: dict[str, list[int]] = {}
    for item in items:
        if item.verbatim:
            trees.append(Tree(*reader.joined(item.prompt, item.choices)))
            continue
        texts = [choice.strip() for choice in item.choices]
        known |= {text: reader.ids(text) for text in texts if text not in known}
        endings = [known[text] for text in texts]
        room = max(len(ending) for ending in endings)
        trees.append(Tree(reader.prompt(item.prompt, item.lang, room), endings))
    return ChoiceTask(items, trees)


def _row(item: ChoiceItem, likelihoods: list[float]) -> ItemRow:
    sizes = [len(choice.strip().encode()) for choice in item.choices]
    per_byte = [value / size for value, size in zip(likelihoods, sizes, strict=True)]
    margin = _lead(likelihoods, item.answer)
    values = {
        "accuracy": float(margin > 0),
        "accuracy_bytes": float(_lead(per_byte, item.answer) > 0),
        "margin": margin,
    }
    chosen = max(range(len(likelihoods)), key=likelihoods.__getitem__)
    return row(item, values, item.choices[chosen].strip())


def _lead(values: list[float], place: int) -> float:
    return values[place] - max(values[:place] + values[place + 1 :])
