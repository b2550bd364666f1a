"""One layer of ChatGLM-6B (GLM, arXiv 2103.10360; DeepNorm residuals, arXiv 2203.00555).

Two tricks of the original code that keep fp16 in range are left out because they cancel: queries
are divided by (layer + 1) and scores multiplied by it. Rotary angles are computed in fp32 from
frequencies that the original keeps in fp16; those are rounded here as there, the angles are not.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Cache, DynamicCache
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from worker.architectures.chatglm.configuration import ChatGLMConfig
from worker.architectures.chatglm.places import Anchors

_ROTARY_BASE = 10_000.0
#: Attention that a mask says all about; others are told what is `visible` and may add to it.
_PLAIN = ("sdpa", "eager", "None")


class PrefixCache(DynamicCache):
    """Keys and values, and where each row's prompt ended."""

    anchors: Anchors | None = None
    #: Keys of a trained prefix, which stand before every row and have no place in it.
    ahead: int = 0

    @classmethod
    def over(cls, cache: Cache | None) -> "PrefixCache":
        """A cache on another one's keys and values; what that holds already is a prefix."""
        if isinstance(cache, PrefixCache):
            return cache
        made = cls()
        if cache is not None:
            made.layers, made.ahead = cache.layers, cache.get_seq_length()
        return made

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._take(lambda rows: rows[indices])

    def reorder_cache(self, beam_idx: Any) -> None:
        super().reorder_cache(beam_idx)
        self._take(lambda rows: rows[beam_idx])

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._take(lambda rows: rows.repeat_interleave(repeats))

    def _take(self, chosen: Any) -> None:
        if self.anchors is not None:
            self.anchors = Anchors(chosen(self.anchors.answer), chosen(self.anchors.mask))


class SelfAttention(nn.Module):
    """Attention whose query, key and value lie side by side for each head."""

    def __init__(self, config: ChatGLMConfig, layer: int) -> None:
        super().__init__()
        self.config = config
        self.layer_idx = layer
        self.heads = config.num_attention_heads
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self, hidden: Tensor, turns: tuple[Tensor, Tensor], visible: Tensor, cache: Cache | None
    ) -> Tensor:
        """hidden (rows, tokens, width), visible (rows, 1, tokens, keys)."""
        rows, tokens, width = hidden.shape
        mixed = self.query_key_value(hidden).view(rows, tokens, self.heads, 3, -1)
        query, key, value = mixed.permute(3, 0, 2, 1, 4)
        query, key = _rotated(query, *turns), _rotated(key, *turns)
        if cache is not None:
            key, value = cache.update(key, value, self.layer_idx)
        name = str(self.config._attn_implementation)
        if name in _PLAIN:
            found = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
            found = found.transpose(1, 2)
        else:
            attend = ALL_ATTENTION_FUNCTIONS[name]
            found, _ = attend(self, query, key, value, None, visible=visible)
        return self.dense(found.reshape(rows, tokens, width))


class MLP(nn.Module):
    """Two linear modules with a GELU (its tanh form) between them, no gate."""

    def __init__(self, config: ChatGLMConfig) -> None:
        super().__init__()
        self.dense_h_to_4h = nn.Linear(config.hidden_size, config.inner_hidden_size)
        self.dense_4h_to_h = nn.Linear(config.inner_hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        inner = functional.gelu(self.dense_h_to_4h(hidden), approximate="tanh")
        return self.dense_4h_to_h(inner)


class GLMBlock(GradientCheckpointingLayer):
    """A layer; the residual branches carry the *normalised* input, times sqrt(2 · layers)."""

    def __init__(self, config: ChatGLMConfig, layer: int) -> None:
        super().__init__()
        width, epsilon = config.hidden_size, config.layernorm_epsilon
        self.residual = (2 * config.residual_layers) ** 0.5
        self.input_layernorm = nn.LayerNorm(width, eps=epsilon)
        self.attention = SelfAttention(config, layer)
        self.post_attention_layernorm = nn.LayerNorm(width, eps=epsilon)
        self.mlp = MLP(config)

    def forward(
        self, hidden: Tensor, turns: tuple[Tensor, Tensor], visible: Tensor, cache: Cache | None
    ) -> Tensor:
        normed = self.input_layernorm(hidden)
        hidden = normed * self.residual + self.attention(normed, turns, visible, cache)
        normed = self.post_attention_layernorm(hidden)
        return normed * self.residual + self.mlp(normed)


def rotary(positions: Tensor, head: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines (rows, 1, tokens, head): its first half turns by the first position, its
    second half by the second."""
    half = head // 2
    steps = torch.arange(0, half, 2, device=positions.device, dtype=torch.float32) / half
    frequencies = (1.0 / _ROTARY_BASE**steps).half().float()
    angles = positions[..., None].float() * frequencies
    both = torch.cat([angles, angles], -1).transpose(1, 2).flatten(2)[:, None]
    return both.cos().to(dtype), both.sin().to(dtype)


def _rotated(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """x (rows, heads, tokens, head), each half of a head turned in pairs half of it apart."""
    low, high = x.unflatten(-1, (2, -1)).chunk(2, -1)
    return x * cosines + torch.cat([-high, low], -1).flatten(-2) * sines
