"""One optimiser step, and the mean loss of rows that are only looked at."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from shared.errors import NotFinite
from worker.training.batches import Batch, Lesson, micro_batches, seed_of
from worker.training.course import Course
from worker.training.learner import Learner
from worker.training.resuming import Standing, State

#: What one more forward and backward pass costs beside its tokens, in tokens' worth of padding.
_SPARE_CPU, _SPARE_GPU = 64, 2048
#: A packed batch holds no padding, so any rows may share one.
_ANY = 1 << 62
#: Steps whose mean is the final loss.
_LAST = 10


def step(
    learner: Learner,
    course: Course,
    state: State,
    rows: list[int],
    rate: float,
    standing: Standing,
) -> dict[str, float]:
    """One optimiser step over `rows`; moves `standing` on and returns the step's metrics.

    Raises NotFinite, with the weights as they were.
    """
    began = time.perf_counter()
    lessons = [course.lessons[row] for row in rows]
    # Dropout's draws belong to the step, so that a resumed run makes the same ones.
    torch.manual_seed(course.crew.seed(seed_of(course.parameters.seed, ~standing.step)))
    units = sum(units_of(lesson) for lesson in lessons)
    total, sums = _accumulate(learner, course, lessons, units)
    weights = list(state.weights.values())
    course.crew.add_gradients(weights)
    length = nn.utils.clip_grad_norm_(weights, course.parameters.max_grad_norm)
    _update(state.optimiser, rate, usable=total.isfinite() & length.isfinite())
    own, norm = torch.stack([total, length]).tolist()
    found = course.crew.sums({"loss": own, **sums})
    means = {name: value / units for name, value in found.items()}
    loss = means.pop("loss")
    for what, value in (("the loss", loss), ("the gradient", norm)):
        if not math.isfinite(value):
            raise NotFinite(what=what, where=f"step {standing.step + 1}")
    seconds = time.perf_counter() - began
    tokens = sum(len(example.ids) for lesson in lessons for example in lesson)
    labels = sum(example.labels for lesson in lessons for example in lesson)
    standing.step += 1
    standing.losses = [*standing.losses, loss][-_LAST:]
    standing.tokens += tokens
    standing.labels += labels
    standing.seconds += seconds
    return {
        "loss": loss,
        "learning_rate": rate,
        "grad_norm": norm,
        "tokens_per_s": tokens / seconds,
        "labels_per_s": labels / seconds,
        **_memory(weights[0].device),
        **means,
    }


def _update(optimiser: torch.optim.Optimizer, rate: float, *, usable: Tensor) -> None:
    """One update, or none where `usable` is false.

    That is left to the device (fused optimisers take it as from a GradScaler): it would stand idle
    for as long as the host looked at the numbers first, 1 to 3 percent of a step.
    """
    for group in optimiser.param_groups:
        group["lr"] = rate * group["times"]
    optimiser.found_inf = (~usable).float()  # pyright: ignore[reportAttributeAccessIssue]
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def _memory(device: torch.device) -> dict[str, float]:
    """The most that was allocated on the GPU so far, MiB; nothing elsewhere."""
    if device.type != "cuda":
        return {}
    return {"gpu_memory_mb": round(torch.cuda.max_memory_allocated(device) / 2**20)}


@torch.no_grad()
def mean_loss(learner: Learner, course: Course, lessons: Sequence[Lesson]) -> float:
    """The objective's mean over rows that are not trained, nats a unit."""
    total = units = 0.0
    for first in range(0, len(lessons), course.parameters.batch_size):
        together = lessons[first:][: course.parameters.batch_size]
        for batch, counts in _batches(learner, course, together):
            loss, count, _ = course.objective(learner, batch)
            if counts:
                total += float(loss)
                units += count
    found = course.crew.sums({"loss": total, "units": units})
    return found["loss"] / found["units"]


def _accumulate(
    learner: Learner, course: Course, lessons: Sequence[Lesson], units: int
) -> tuple[Tensor, Counter[str]]:
    """Leave this process's part of the gradient of the mean loss over all units of the step.

    Returns its parts of the loss's sum and of what else the objective sums. Every micro-batch of
    every process divides by the whole step's units, so that splitting changes nothing but the
    order of summation.
    """
    total = torch.zeros((), device=learner.model.device)
    sums: Counter[str] = Counter()
    for batch, counts in _batches(learner, course, lessons):
        loss, _, also = course.objective(learner, batch)
        if not counts:
            (loss * 0).backward()
            continue
        (loss / units).backward()
        total += loss.detach()
        sums.update(also)  # pyright: ignore[reportArgumentType]  # sums of floats
    return total, sums


def units_of(lesson: Lesson) -> int:
    """What a row counts in the mean: its labels; a pair counts once."""
    return lesson[0].labels if len(lesson) == 1 else 1


def _batches(
    learner: Learner, course: Course, lessons: Sequence[Lesson]
) -> Iterator[tuple[Batch, bool]]:
    """This process's rows of a step as they lie in memory, group after group, and that they count.

    Where another process has more groups and all must keep in step, a row again that does not.
    """
    every, lessons = lessons, course.crew.share(lessons)
    spare = _SPARE_GPU if learner.model.device.type == "cuda" else _SPARE_CPU
    lengths = {
        number: max(len(example.ids) for example in lesson) for number, lesson in enumerate(lessons)
    }
    groups = micro_batches(
        range(len(lessons)), lengths, course.micro_batch, _ANY if learner.packs else spare
    )
    idle = course.crew.idle_passes(len(groups))
    for group in groups:
        chosen = [example for number in group for example in lessons[number]]
        yield learner.batch(chosen, course.padding), True
    for _ in range(idle):
        shortest = min(every, key=lambda lesson: len(lesson[0].ids))
        yield learner.batch(shortest, course.padding), False
