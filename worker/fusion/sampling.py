"""Sampling at a temperature with any decoder that takes the likeliest token."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def sampled(model: Any, temperature: float, seed: int) -> Iterator[None]:
    """Within it, the model's likeliest token is a sample from softmax(logits / temperature).

    The Gumbel-max trick: argmax(l/T + g), g standard Gumbel noise, is such a sample. The noise is
    a function of the seed and the order of the calls. Temperature 0 changes nothing.
    """
    if temperature == 0:
        yield
        return
    generator = torch.Generator(device=model.device).manual_seed(seed)

    def add_noise(_: Any, __: Any, made: Any) -> Any:
        logits = made.logits.float() / temperature
        uniform = torch.rand(logits.shape, generator=generator, device=logits.device)
        # rand may give 0, whose noise is -inf; the smallest normal number stands in for it.
        uniform = uniform.clamp_min(torch.finfo(torch.float32).tiny)
        made.logits = logits - torch.log(-torch.log(uniform))
        return made

    hook = model.register_forward_hook(add_noise)
    try:
        yield
    finally:
        hook.remove()
