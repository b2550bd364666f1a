"""Attention of many rows that lie end to end in one: each row sees itself and nothing else.

No mask is made, and nothing is computed between rows. It stands in for a model's own attention
through transformers' AttentionInterface, so it serves every family that uses that; whether a base
does is found out by `Learner.of`, never assumed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

_NAME = "graft_packed"


@dataclass(frozen=True)
class Segments:
    """Where the rows of a packed batch lie."""

    #: Tokens of each row, in order.
    lengths: tuple[int, ...]
    #: (rows, longest): the place of each row's tokens in the stream; past a row's end, the place
    #: behind the stream. None on a CPU, which takes row after row.
    grid: Tensor | None
    #: (tokens,): the place of each token in the flattened grid.
    back: Tensor | None

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device | str) -> "Segments":
        """Rows of these lengths as the device is best served."""
        if torch.device(device).type == "cpu":
            return cls(tuple(lengths), None, None)
        return cls.in_grid(lengths, device)

    @classmethod
    def in_grid(cls, lengths: Sequence[int], device: torch.device | str) -> "Segments":
        """Rows that attend side by side, padded to the longest: few calls, some waste."""
        sizes = torch.tensor(lengths)
        longest = int(sizes.max())
        inside = torch.arange(longest)[None] < sizes[:, None]
        grid = torch.full(inside.shape, int(sizes.sum()))
        grid[inside] = torch.arange(int(sizes.sum()))
        back = inside.flatten().nonzero()[:, 0]
        return cls(tuple(lengths), grid.to(device), back.to(device))


#: (layer) -> keys and values (key-value heads, tokens, width) that stand before every row.
Prefix = Callable[[int], tuple[Tensor, Tensor]]
_reading: ContextVar[tuple[Segments, Prefix | None] | None] = ContextVar("reading", default=None)


def can_pack(model: Any, longest: int) -> bool:
    """Whether rows of up to `longest` tokens may be packed, as far as the config tells."""
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    return (
        getattr(config, "_attn_implementation", None) == "sdpa"
        and getattr(config, "attention_chunk_size", None) is None
        and (window is None or window >= longest)
    )


@contextmanager
def packed(model: Any, segments: Segments | None, prefix: Prefix | None = None) -> Iterator[None]:
    """Inside, the model's attention keeps the rows of one packed batch apart.

    `prefix`: what every row sees before its first token.
    """
    if segments is None:
        yield
        return
    config = model.config
    before = config._attn_implementation
    token = _reading.set((segments, prefix))
    config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = before
        _reading.reset(token)


def again(model: Any) -> AbstractContextManager[None]:
    """A context like the one that this is called in, for layers that run once more later."""
    reading = _reading.get()
    return nullcontext() if reading is None else packed(model, *reading)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Causal attention within rows: query (1, heads, tokens, width) → (1, tokens, heads, width).

    A model whose attention is not causal says by `visible` (1, 1, tokens, tokens) what each token
    sees; that keeps rows apart by itself.
    """
    reading = _reading.get()
    known = all(options.get(name) is None for name in ("softcap", "s_aux", "position_bias"))
    if reading is None or attention_mask is not None or len(query) != 1 or not known:
        raise NotImplementedError("this attention is only for packed rows")
    segments, prefix = reading
    before = prefix(int(module.layer_idx)) if prefix else None  # pyright: ignore[reportArgumentType]
    choices = {"scale": scaling, "dropout_p": dropout}
    if (visible := options.get("visible")) is not None:
        return _seeing(query, key, value, before, visible, choices), None
    parts = (query, key, value)
    if segments.grid is None or segments.back is None:
        rows = zip(*(part.split(segments.lengths, dim=2) for part in parts), strict=True)
        found = [_causal(q, k, v, before, choices) for q, k, v in rows]
        return torch.cat(found, dim=2).transpose(1, 2), None
    grids: list[Any] = [_Rearranged.apply(each[0], segments.grid, segments.back) for each in parts]
    flat = _causal(grids[0], grids[1], grids[2], before, choices).transpose(0, 1).flatten(1, 2)
    return flat.index_select(1, segments.back).transpose(0, 1)[None], None


def _seeing(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    before: tuple[Tensor, Tensor] | None,
    visible: Tensor,
    choices: dict[str, Any],
) -> Tensor:
    """Attention by a mask, after keys and values that all see: → (1, tokens, heads, width)."""
    if before is not None:
        key, value = (
            torch.cat([first.to(part.dtype)[None], part], dim=2)
            for first, part in zip(before, (key, value), strict=True)
        )
        visible = functional.pad(visible, (before[0].shape[1], 0), value=True)
    found = functional.scaled_dot_product_attention(query, key, value, visible, **choices)
    return found.transpose(1, 2)


def _causal(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    before: tuple[Tensor, Tensor] | None,
    choices: dict[str, Any],
) -> Tensor:
    """Causal attention (rows, heads, tokens, width), after keys and values that all may see."""
    if before is None:
        choices = choices | {"is_causal": True, "enable_gqa": query.shape[1] != key.shape[1]}
        return functional.scaled_dot_product_attention(query, key, value, **choices)
    ahead = before[0].shape[1]
    key, value = (
        torch.cat([first.to(part.dtype).expand(len(part), -1, -1, -1), part], dim=2)
        for first, part in zip(before, (key, value), strict=True)
    )
    group = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(group, dim=1) for part in (key, value))
    places = torch.arange(key.shape[2], device=query.device)
    seen = places[None] <= places[ahead:, None]
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=seen, **choices)


class _Rearranged(torch.autograd.Function):
    """(heads, tokens, width) → (rows, heads, longest, width); both ways are plain reads."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        filled = functional.pad(x, (0, 0, 0, 1))
        rows = filled.index_select(1, grid.flatten()).view(len(x), *grid.shape, x.shape[2])
        return rows.transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (back,) = ctx.saved_tensors
        flat = grad_outputs[0].transpose(0, 1).flatten(1, 2)
        return flat.index_select(1, back), None, None


# A compiler takes the layer apart here: it could not trace what is read from around the model.
AttentionInterface.register(_NAME, torch.compiler.disable(_attend))
