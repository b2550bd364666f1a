"""Trained prefixes (P-Tuning v2) as they lie in PEFT's files: their shape, and reading them."""

from pathlib import Path
from typing import Any

from peft import PeftConfig, PrefixTuningConfig
from peft.utils.constants import SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from shared.errors import Both, UnsupportedAdapter, both

#: PEFT's name of the only tensor.
TENSOR = "prompt_embeddings"


def prefix_shape(config: Any, tokens: int) -> tuple[int, int, int, int, int]:
    """(tokens, layers, 2, key-value heads, width of one) of a prefix for a base of that config."""
    text = config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return tokens, text.num_hidden_layers, 2, heads, width


def read_prefix(folder: Path, config: Any, name: str) -> Tensor:
    """Keys and values of a prefix, (layers, 2, heads, tokens, width), as the file has them.

    Raises UnsupportedAdapter for one with a reparametrisation, of another base's size, with NaNs,
    or that cannot be read; `name` is for the message.
    """
    try:
        made: Any = PeftConfig.from_pretrained(str(folder))
        weights = load_file(folder / SAFETENSORS_WEIGHTS_NAME)
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as wrong:
        raise UnsupportedAdapter(adapter=name, problem=str(wrong)) from wrong
    if problem := _misfit(made, weights, config):
        raise UnsupportedAdapter(adapter=name, problem=problem)
    shape = prefix_shape(config, made.num_virtual_tokens)
    return weights[TENSOR].view(shape).permute(1, 2, 3, 0, 4)


def _misfit(made: Any, weights: dict[str, Tensor], config: Any) -> Both | None:
    if not isinstance(made, PrefixTuningConfig) or made.prefix_projection:
        return both("it is no prefix without reparametrisation", "它不是不带重参数化的前缀")
    found = weights.get(TENSOR)
    tokens, *rest = prefix_shape(config, made.num_virtual_tokens or 0)
    wanted = [tokens, rest[0] * rest[1] * rest[2] * rest[3]]
    if found is None or list(found.shape) != wanted:
        there = None if found is None else list(found.shape)
        return both(
            f"its {TENSOR} are {there}, and this base takes {wanted}",
            f"其 {TENSOR} 的尺寸为 {there}，而此底座需要 {wanted}",
        )
    if not found.isfinite().all():
        return both(f"{TENSOR} holds NaN or infinite values", f"{TENSOR} 含有 NaN 或无穷大")
    return None
