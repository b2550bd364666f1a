"""How many tokens run at once, by the memory there is."""

from typing import Any

import torch

#: Share of the free memory that a batch may take; the rest is for what is not counted here.
_SHARE = 0.4
#: Keys and values of a batch on a CPU, where larger batches gain nothing.
_CPU_BYTES = 1 << 30
_LEAST, _MOST_CPU, _MOST = 2048, 32_768, 262_144


def tokens_at_once(model: Any) -> int:
    """Tokens whose keys, values and activations fit into the device's free memory."""
    config = model.config.get_text_config()
    size = torch.finfo(model.dtype).bits // 8
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    cached = 2 * config.num_hidden_layers * heads * width * size
    if model.device.type != "cuda":
        return max(_LEAST, min(_MOST_CPU, _CPU_BYTES // cached))
    # One layer's activations at a time: the residual, projections, and the MLP's two wide halves.
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    run = (6 * config.hidden_size + 3 * inner) * size
    free, _ = torch.cuda.mem_get_info(model.device)
    return max(_LEAST, min(_MOST, int(_SHARE * free) // (cached + run)))
