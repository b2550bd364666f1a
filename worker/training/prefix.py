"""P-Tuning v2: keys and values of every layer that stand before every text, and nothing else.

Liu et al. 2021, arXiv 2110.07602. Where a base's attention is ours while it trains, that puts the
prefix before each packed row; other bases get it as a cache of what was read, as PEFT gives it.
Published in PEFT's prefix format, without its reparametrisation.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModelForCausalLM, PrefixTuningConfig
from torch import Tensor, nn
from transformers import DynamicCache

from shared.errors import InvalidSpec, both
from worker.around import AroundBase
from worker.checkpoints import probe_ids, probe_logits
from worker.prefixes import TENSOR, prefix_shape
from worker.training.attention import Prefix, Segments, packed
from worker.training.lora import Gate

#: Spread of the first keys and values; PEFT's own 1.0 drowns the text.
_SPREAD = 0.02


def no_prefix(base: str) -> InvalidSpec:
    """The error for a base that cannot be given a prefix."""
    problem = both(
        f'base "{base}" cannot be given keys and values from outside; take lora',
        f"底座“{base}”无法接收外部的键和值；请改用 lora",
    )
    return InvalidSpec(field="tuning", problem=problem)


class Prefixed(AroundBase):
    """A base with a prefix; has what `Adapted` has."""

    def __init__(self, base: Any, tokens: int, seed: int) -> None:
        super().__init__(base)
        self._shape = prefix_shape(base.config, tokens)
        _, layers, _, heads, width = self._shape
        self.config = PrefixTuningConfig(
            task_type="CAUSAL_LM", num_virtual_tokens=tokens, token_dim=heads * width,
            num_transformer_submodules=1, num_attention_heads=heads, num_layers=layers,
            encoder_hidden_size=heads * width,
        )  # fmt: skip
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(tokens, layers * 2 * heads * width, generator=generator) * _SPREAD
        #: (tokens, layers · 2 · heads · width), as PEFT writes it.
        self.embeddings = nn.Parameter(drawn.to(base.device))
        self.gate = Gate()
        self._cached = False
        self.eval()

    def settle(self, *, packing: bool) -> bool:
        """Find out how the base takes the prefix; False where it takes none.

        Packed rows need it in the attention, padded ones as a cache; the other way is the second
        choice. The base is frozen, so logits that want a gradient have it from the prefix.
        """
        ids = probe_ids(self).to(self.device)
        for self._cached in (not packing, packing):
            try:
                if self(input_ids=ids, use_cache=False).logits.requires_grad:
                    return True
            except (TypeError, ValueError, NotImplementedError):
                continue
        return False

    @property
    def tokens(self) -> int:
        """Tokens that stand before every text."""
        return self._shape[0]

    @property
    def offset(self) -> int:
        """By how much positions of a packed row are moved."""
        return self._shape[0] if self.prefix else 0

    @property
    def prefix(self) -> Prefix | None:
        """Keys and values for our own attention; None while it is off or given as a cache."""
        if not self.gate.on or self._cached:
            return None
        parts = self._parts()
        return lambda layer: (parts[layer][0], parts[layer][1])

    def before(self, lines: int) -> dict[str, Any]:
        """What a model is called with so that each of `lines` begins after the prefix."""
        if not self.gate.on or not self._cached:
            return {}
        cache = DynamicCache()
        for layer, part in enumerate(self._parts()):
            key, value = part.to(self.dtype)[:, None].expand(-1, lines, -1, -1, -1)
            cache.update(key, value, layer)
        return {"past_key_values": cache}

    def _parts(self) -> tuple[Tensor, ...]:
        """By layer (2, heads, tokens, width): keys and values."""
        return self.embeddings.view(self._shape).permute(1, 2, 3, 0, 4).unbind(0)

    def forward(self, input_ids: Tensor, **options: Any) -> Any:
        """The base's output for rows of one length, each after the prefix."""
        rows, length = input_ids.shape
        if self.prefix is None:
            return self.base(input_ids=input_ids, **self.before(rows), **options)
        places = torch.arange(length, device=input_ids.device).repeat(rows) + self.offset
        segments = Segments.of([length] * rows, input_ids.device)
        with packed(self.base, segments, self.prefix):
            found = self.base(
                input_ids=input_ids.reshape(1, -1), position_ids=places[None], **options
            )
        found.logits = found.logits.view(rows, length, -1)
        return found

    @contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """Inside, the base answers alone."""
        self.gate.on = False
        try:
            yield
        finally:
            self.gate.on = True

    def state(self) -> dict[str, Tensor]:
        """The weights under PEFT's name, on the CPU."""
        return {TENSOR: self.embeddings.detach().cpu()}

    def fixed(self) -> dict[str, Tensor]:
        """What is not trained and yet belongs to a checkpoint: nothing."""
        return {}

    def remove(self) -> Any:
        """The base as it was."""
        return self.base

    def reload(self, folder: Path) -> Tensor:
        """The probe's logits with the prefix in `folder` before them, by plain PEFT."""
        return probe_logits(PeftModelForCausalLM.from_pretrained(self.base, str(folder)))
