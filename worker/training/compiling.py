"""Compiling each layer of a base: fewer, larger kernels for some seconds of waiting."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def compiled(base: Any, *, even: bool = True, wanted: bool = True) -> Iterator[None]:
    """Inside, the decoder's layers run compiled, all from one piece of code.

    `even`: rows are of one length, so that code for just that length is best; else the first code
    is for any length, or every new one would be waited for until the compiler gives up.
    """
    layers = layers_of(base) if wanted else []
    for layer in layers:
        layer.forward = torch.compile(layer.forward, dynamic=None if even else True)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def layers_of(base: Any) -> list[nn.Module]:
    """A decoder's layers, in order."""
    decoder = getattr(base, base.base_model_prefix)
    lists = [part for part in decoder.children() if isinstance(part, nn.ModuleList)]
    return [layer for part in lists for layer in part]
