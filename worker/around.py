"""A module around a base that answers for it: what asks the base may ask the module instead."""

from typing import Any

import torch
from torch import nn


class AroundBase(nn.Module):
    """Everything is the base's own, but for what a subclass changes."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.base = base

    @property
    def device(self) -> torch.device:
        return self.base.device

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the base's weights."""
        return self.base.dtype

    def get_base_model(self) -> Any:
        """The base itself, as PEFT's models give theirs."""
        return self.base

    def get_input_embeddings(self) -> nn.Module:
        return self.base.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        return self.base.get_output_embeddings()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.base(*args, **kwargs)
