"""All arms write at once: the base and plain adapters in one batch, others beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from shared.specs import BASE_ARM
from worker.evaluation.arms import Arms
from worker.evaluation.decoding import Answer, Batch, Decoding
from worker.recurrence import keeps_state

#: The row of a stack that no adapter answers.
_NONE = -1
#: Stands where an answer is not over.
_OPEN = Answer([], False)


@dataclass(frozen=True)
class Line:
    """One arm's prompt: who answers it, and the ids to continue."""

    model: str
    prompt: list[int]


@dataclass(frozen=True)
class Group:
    """Places of lines that run in one batch, and the adapters switched on for it."""

    places: list[int]
    names: tuple[str, ...]


def grouped(arms: Arms, lines: Sequence[Line]) -> list[Group]:
    """The base and every adapter that can be stacked together; each other line alone.

    A model that keeps one state (RWKV) answers a row at a time.
    """
    alone = keeps_state(arms.model)
    together = [
        place
        for place, line in enumerate(lines)
        if not alone and (line.model == BASE_ARM or arms.stackable(line.model))
    ]
    adapters = dict.fromkeys(
        lines[place].model for place in together if lines[place].model != BASE_ARM
    )
    groups = [Group(together, tuple(adapters) or (BASE_ARM,))] if together else []
    rest = (place for place in range(len(lines)) if place not in together)
    return groups + [Group([place], (lines[place].model,)) for place in rest]


@torch.inference_mode()
def speak(arms: Arms, lines: Sequence[Line], how: Decoding) -> Iterator[list[tuple[Answer, bool]]]:
    """What each line has been answered so far and whether that is all, after each of their tokens.

    The likeliest token each time, as in an evaluation. Raises NotFinite.
    """
    over = [_OPEN] * len(lines)
    running = []
    for group in grouped(arms, lines):
        batch = _begun(arms, lines, group, how)
        running.append((group, batch, batch.steps(dict.fromkeys(range(-1, len(lines)), over))))
    while running:
        growing: dict[int, Answer] = {}
        for group, batch, steps in list(running):
            with arms.switched_to(*group.names):
                ended = next(steps, True)
            if ended:
                running.remove((group, batch, steps))
            for (_, place), tokens in batch.growing().items():
                growing[place] = Answer(list(tokens), False)
        yield [
            (growing.get(place, _OPEN), False) if each is _OPEN else (each, True)
            for place, each in enumerate(over)
        ]


def _begun(arms: Arms, lines: Sequence[Line], group: Group, how: Decoding) -> Batch:
    prompts = [lines[place].prompt for place in group.places]
    with arms.switched_to(*group.names) as (model, stack):
        if stack is None:
            return Batch(model, [(0, place) for place in group.places], prompts, how)
        names = [lines[place].model for place in group.places]
        own = [_NONE if name == BASE_ARM else group.names.index(name) for name in names]
        stack.rows(torch.tensor(own, device=model.device))
        return Batch(model, list(zip(own, group.places, strict=True)), prompts, how, stack=stack)
