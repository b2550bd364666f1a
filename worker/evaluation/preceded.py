"""A base behind a trained prefix (P-Tuning v2), asked as any other model is.

The prefix is what was read before every text. Where beginnings are shared it is one of those, the
first (`beginning_of`). Elsewhere, as with ChatGLM-6B's own attention or sliding windows, every row
gets it as a cache.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache

from worker.around import AroundBase
from worker.evaluation.caches import Beginning, Room
from worker.prefixes import read_prefix


class Preceded(AroundBase):
    """The base with keys and values before every text; nothing in the base is changed."""

    def __init__(self, base: Any, parts: Tensor) -> None:
        """`parts`: keys and values, (layers, 2, heads, tokens, width)."""
        super().__init__(base)
        self._parts = parts.to(base.device, base.dtype)
        self._on = True
        self.eval()

    @classmethod
    def of(cls, base: Any, folder: Path, name: str) -> "Preceded":
        """The base behind the prefix in PEFT's folder. Raises UnsupportedAdapter."""
        return cls(base, read_prefix(folder, base.config, name))

    @property
    def tokens(self) -> int:
        """Tokens of the prefix."""
        return self._parts.shape[3]

    @property
    def config(self) -> Any:
        return self.base.config

    @property
    def generation_config(self) -> Any:
        return getattr(self.base, "generation_config", None)

    def beginning(self) -> Beginning:
        """The prefix as tokens that every row begins with."""
        made = Beginning()
        made.layers = self.cache(1).layers
        return made

    @contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """Inside, the base answers alone."""
        self._on = False
        try:
            yield
        finally:
            self._on = True

    def forward(self, input_ids: Tensor, **inputs: Any) -> Any:
        """What the base answers to rows behind the prefix.

        A Beginning or a Room holds the prefix already, and its masks and positions count it. With
        no cache, or one that the base made of ours, they do not, and are moved on here.
        """
        past = inputs.get("past_key_values")
        if not self._on or isinstance(past, Beginning | Room):
            return self.base(input_ids=input_ids, **inputs)
        if past is None:
            inputs["past_key_values"] = self.cache(len(input_ids))
        if (seen := inputs.get("attention_mask")) is not None:
            inputs["attention_mask"] = functional.pad(seen, (self.tokens, 0), value=1)
        # A cache that knows what stands ahead (ChatGLM-6B's) counts no places for it.
        if inputs.get("position_ids") is not None and not hasattr(past, "ahead"):
            inputs["position_ids"] = inputs["position_ids"] + self.tokens
        return self.base(input_ids=input_ids, **inputs)

    def cache(self, rows: int) -> DynamicCache:
        """The prefix as what so many rows have read."""
        cache = DynamicCache()
        for layer, part in enumerate(self._parts):
            key, value = part[:, None].expand(-1, rows, -1, -1, -1)
            cache.update(key, value, layer)
        return cache


def beginning_of(model: Any) -> Beginning | None:
    """What stands before every text of a model: its prefix, where it has one."""
    return model.beginning() if isinstance(model, Preceded) else None
