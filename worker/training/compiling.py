"""Compiling each layer of a base: fewer, larger kernels for some seconds of waiting."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def compiled(base: Any, *, wanted: bool = True) -> Iterator[None]:
    """Inside, the decoder's layers run compiled, all from one piece of code."""
    layers = layers_of(base) if wanted else []
    for layer in layers:
        layer.forward = torch.compile(layer.forward)
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
