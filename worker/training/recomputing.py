"""Activation checkpointing: a layer keeps its input alone, and runs again for the backward pass.

A third more time for a tenth of the memory (Chen et al. 2016, arXiv 1604.06174), so it is for
trainings that would not fit otherwise.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch.utils.checkpoint import checkpoint

from shared.errors import InvalidSpec, both
from worker.reporting import Report
from worker.training.attention import again
from worker.training.compiling import layers_of
from worker.training.course import Course
from worker.training.learner import Learner
from worker.training.place import Place
from worker.training.room import is_short
from worker.training.trainee import Trainee


def recomputes(learner: Learner, course: Course, place: Place, report: Report) -> bool:
    """Whether layers run twice to save memory; says so. Raises InvalidSpec where they cannot."""
    wanted = getattr(course.parameters, "recompute", "auto")
    # A cache of keys and values would take a layer's second run for further tokens.
    cached = bool(learner.model.before(1))
    if wanted == "on" and cached:
        problem = both(
            "a prefix that this base takes as a cache does not allow it; leave it at auto",
            "此底座以缓存形式接收前缀，无法重新计算；请保留 auto",
        )
        raise InvalidSpec(field="recompute", problem=problem)
    longest = max(len(example.ids) for lesson in course.lessons for example in lesson)
    each = math.ceil(course.parameters.batch_size / course.crew.size)
    rows = min(course.micro_batch, each)
    short = (
        wanted == "auto"
        and not cached
        and (place.halvings > 0 or is_short(learner.model, rows * longest))
    )
    if wanted != "on" and not short:
        return False
    report.log(
        both(
            "layers run twice to save memory (recompute)",
            "为节省内存，各层会重新计算（recompute）",
        )
    )
    return True


@contextmanager
def recomputed(model: Trainee, *, wanted: bool = True) -> Iterator[None]:
    """Inside, the base's layers run a second time where a gradient needs what they computed.

    The second run meets what the first one met: rows end to end, jobs, dropout. Nothing changes.
    """
    layers = layers_of(model.base) if wanted else []
    before = [vars(layer).get("forward") for layer in layers]
    for layer in layers:
        layer.forward = _twice(layer.forward, model)
    try:
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            if own is None:
                del layer.forward
            else:
                layer.forward = own


def _twice(forward: Callable[..., Any], model: Trainee) -> Callable[..., Any]:
    def met() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        return nullcontext(), _as_now(model)

    def run(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(forward, *args, use_reentrant=False, context_fn=met, **kwargs)

    return run


def _as_now(model: Trainee) -> AbstractContextManager[None]:
    """What the layers look at beside their inputs, as it is at this moment."""
    reading, gate = again(model.base), model.gate
    on, jobs = gate.on, gate.jobs

    @contextmanager
    def restored() -> Iterator[None]:
        then = gate.on, gate.jobs
        gate.on, gate.jobs = on, jobs
        try:
            with reading:
                yield
        finally:
            gate.on, gate.jobs = then

    return restored()
