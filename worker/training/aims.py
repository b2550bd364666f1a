"""What a training is to learn of its rows: its objective, and each row as a lesson of it."""

from dataclasses import dataclass

from shared.errors import InvalidSpec, both
from shared.specs import Learning, TrainingSpec
from worker.training.batches import Lesson
from worker.training.examples import Encoded, Example
from worker.training.objectives import Objective, dpo, sft


@dataclass(frozen=True)
class Aim:
    """An objective with its lessons."""

    name: str
    objective: Objective
    lessons: list[Lesson]
    #: Whether it reads batches whose rows lie end to end.
    packs: bool = True


def aim(parameters: TrainingSpec | Learning, data: Encoded, given: Objective = sft) -> Aim:
    """What a spec asks for.

    An objective from elsewhere (`given` is not `sft`) stays as it is. Raises InvalidSpec for dpo
    without preferences.
    """
    plain: list[Lesson] = [(example,) for example in data.examples]
    if given is not sft or not isinstance(parameters, TrainingSpec):
        # Objectives from elsewhere call the model themselves, on one padded row a line.
        return Aim("sft", given, plain, packs=given is sft)
    name = parameters.objective
    if name == "auto":
        name = "dpo" if data.rejected else "sft"
    if name == "dpo":
        return Aim(name, dpo(parameters.beta), _pairs(data))
    if name == "pretrain":
        return Aim(name, sft, [(_whole(example),) for example in data.examples])
    return Aim(name, sft, plain)


def _pairs(data: Encoded) -> list[Lesson]:
    if len(data.rejected) != len(data.examples):
        found = f"{len(data.rejected)} / {len(data.examples)}"
        problem = both(
            f"dpo needs preferences, and only {found} rows hold a chosen and a rejected answer; "
            "take sft, or such a dataset",
            f"dpo 需要偏好数据，而只有 {found} 行含有选中和未选中的回答；请改用 sft 或这样的数据集",
        )
        raise InvalidSpec(field="objective", problem=problem)
    return list(zip(data.examples, data.rejected, strict=True))


def _whole(example: Example) -> Example:
    """All tokens trained but the first, which nothing predicts."""
    return Example(example.ids, ((1, len(example.ids)),))
