"""What the two starter bases are made of; torch is not needed to read it."""

from dataclasses import dataclass
from typing import Literal

TokenizerKind = Literal["bytes", "characters"]


@dataclass(frozen=True)
class BaseRecipe:
    """Shape, tokenizer and training of one starter base."""

    name: str
    family: Literal["llama", "glm"]
    tokenizer: TokenizerKind
    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    feed_forward: int
    rope_theta: float
    #: Longest sequence, tokens.
    context: int = 256
    #: Optimiser steps before the layer before the last is taught to look up words, and after.
    first_steps: int = 80
    steps: int = 200
    #: Tokens of one optimiser step, padding included.
    batch_tokens: int = 1024
    #: Peak rates: of Muon for matrices, Adam for the rest; queries and keys learn slower by a
    #: factor, or they settle on the nearest tokens before they have looked further.
    matrix_rate: float = 0.0035
    other_rate: float = 0.01
    attention_factor: float = 0.5
    #: Share of first mentions of a name that is not trained: nobody could foresee them.
    unforeseen: float = 0.95
    seed: int = 0


LLAMA = BaseRecipe(
    name="starter-llama", family="llama", tokenizer="bytes", vocabulary=2048, width=128,
    layers=4, heads=4, kv_heads=4, head_width=32, feed_forward=352, rope_theta=500_000.0,
)  # fmt: skip
GLM = BaseRecipe(
    name="starter-glm", family="glm", tokenizer="characters", vocabulary=1920, width=160,
    layers=3, heads=6, kv_heads=2, head_width=32, feed_forward=400, rope_theta=10_000.0,
)  # fmt: skip
RECIPES = (LLAMA, GLM)
