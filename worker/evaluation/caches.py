"""Caches of keys and values: a shared beginning, and room for answers set aside at once."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache


class Beginning(DynamicCache):
    """Keys and values of tokens that many rows begin with; it never grows.

    It holds a row for each adapter that answers; the rows of a batch are as many equal blocks. It
    is copied to no row before attention needs it there.
    """

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Keys and values of (rows, heads, beginning + new, width), for one forward only."""
        layer: Any = self.layers[layer_idx]
        pairs = ((layer.keys, key_states), (layer.values, value_states))
        keys, values = (torch.cat([spread(old, len(new)), new], 2) for old, new in pairs)
        return keys, values


def spread(states: Tensor, rows: int) -> Tensor:
    """States (adapters, ...) for `rows` rows in as many equal blocks."""
    each = rows // len(states)
    return states[:, None].expand(-1, each, *states.shape[1:]).flatten(0, 1)


class Room(DynamicCache):
    """Room for `total` tokens of `rows` rows from the start: a step writes in place.

    transformers' own cache is copied whole for every token.
    """

    def __init__(self, rows: int, total: int, past: Beginning | None = None) -> None:
        super().__init__()
        self._rows, self._total, self._past = rows, total, past
        self._buffers: list[tuple[Tensor, Tensor]] = []
        self._filled = 0 if past is None else past.get_seq_length()
        #: Tokens written by the forward under way; all layers write the same.
        self._new = 0

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens each row holds."""
        return self._filled

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Keys and values of (rows, heads, filled + new, width), views of the buffers."""
        if layer_idx == len(self._buffers):
            self._buffers.append((self._begun(key_states, layer_idx, "keys"),
                                  self._begun(value_states, layer_idx, "values")))  # fmt: skip
        self._new = key_states.shape[2]
        end = self._filled + self._new
        whole = []
        for buffer, new in zip(self._buffers[layer_idx], (key_states, value_states), strict=True):
            buffer[: len(new), :, self._filled : end] = new
            whole.append(buffer[: len(new), :, :end])
        return whole[0], whole[1]

    def advance(self) -> None:
        """A forward is over: what it wrote counts."""
        self._filled += self._new

    def keep(self, stay: Sequence[int]) -> None:
        """The rows at these places, now in this order from 0; those that stay put cost nothing."""
        moved = [(to, place) for to, place in enumerate(stay) if to != place]
        if not moved:
            return
        to, places = (list(each) for each in zip(*moved, strict=True))
        for pair in self._buffers:
            for buffer in pair:
                buffer[to, :, : self._filled] = buffer[places, :, : self._filled]

    def _begun(self, like: Tensor, layer: int, kind: str) -> Tensor:
        buffer = like.new_empty(self._rows, like.shape[1], self._total, like.shape[3])
        if self._past is not None:
            begun = getattr(self._past.layers[layer], kind)
            buffer[:, :, : self._filled] = spread(begun, self._rows)
        return buffer
