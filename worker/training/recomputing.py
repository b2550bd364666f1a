"""Activation checkpointing: a layer keeps its input alone, and runs again for the backward pass.

A third more time for a tenth of the memory (Chen et al. 2016, arXiv 1604.06174), so it is for
trainings that would not fit otherwise.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch.utils.checkpoint import checkpoint

from worker.training.attention import again
from worker.training.compiling import layers_of
from worker.training.trainee import Trainee


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
