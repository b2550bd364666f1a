"""P-Tuning v2: keys and values of every layer that stand before every text, and nothing else.

Liu et al. 2021, arXiv 2110.07602. Trained on packed rows, where our own attention puts the prefix
before each; published in PEFT's prefix format, without its reparametrisation.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModelForCausalLM, PrefixTuningConfig
from torch import Tensor, nn

from worker.checkpoints import probe_logits
from worker.training.attention import Prefix, Segments, packed
from worker.training.lora import Gate

#: Spread of the first keys and values; PEFT's own 1.0 drowns the text.
_SPREAD = 0.02


class Prefixed(nn.Module):
    """A base with a prefix; has what `Adapted` has."""

    def __init__(self, base: Any, tokens: int, seed: int) -> None:
        super().__init__()
        self.base = base
        text = base.config.get_text_config()
        heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
        width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        layers = text.num_hidden_layers
        self.config = PrefixTuningConfig(
            task_type="CAUSAL_LM", num_virtual_tokens=tokens, token_dim=heads * width,
            num_transformer_submodules=1, num_attention_heads=heads, num_layers=layers,
            encoder_hidden_size=heads * width,
        )  # fmt: skip
        self._shape = (tokens, layers, 2, heads, width)
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(tokens, layers * 2 * heads * width, generator=generator) * _SPREAD
        #: (tokens, layers · 2 · heads · width), as PEFT writes it.
        self.embeddings = nn.Parameter(drawn.to(base.device))
        self.gate = Gate()
        self.eval()

    @property
    def offset(self) -> int:
        """Tokens that stand before every text."""
        return self._shape[0] if self.gate.on else 0

    @property
    def prefix(self) -> Prefix | None:
        """Keys and values that stand before every text; None while it is off."""
        if not self.gate.on:
            return None
        parts = self.embeddings.view(self._shape).permute(1, 2, 3, 0, 4).unbind(0)
        return lambda layer: (parts[layer][0], parts[layer][1])

    @property
    def device(self) -> torch.device:
        return self.base.device

    @property
    def dtype(self) -> torch.dtype:
        """The base's precision."""
        return self.base.dtype

    def get_base_model(self) -> Any:
        """The base itself; nothing in it is changed."""
        return self.base

    def get_input_embeddings(self) -> nn.Module:
        return self.base.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        return self.base.get_output_embeddings()

    def forward(self, input_ids: Tensor, **options: Any) -> Any:
        """The base's output for rows of one length, each after the prefix."""
        rows, length = input_ids.shape
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
        return {"prompt_embeddings": self.embeddings.detach().cpu()}

    def fixed(self) -> dict[str, Tensor]:
        """What is not trained and yet belongs to a checkpoint: nothing."""
        return {}

    def remove(self) -> Any:
        """The base as it was."""
        return self.base

    def reload(self, folder: Path) -> Tensor:
        """The probe's logits with the prefix in `folder` before them, by plain PEFT."""
        return probe_logits(PeftModelForCausalLM.from_pretrained(self.base, str(folder)))
