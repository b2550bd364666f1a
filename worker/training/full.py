"""Full fine-tuning: every weight of a base learns; what is published is a model of its own.

Weights, gradients and Adam's moments are fp32, so that small updates add up; products are in the
base's precision. Published weights are rounded to the precision that the base's files have.
"""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from shared.errors import ReloadMismatch, both
from worker.architectures import tokenizer_of
from worker.around import AroundBase
from worker.checkpoints import probe_logits
from worker.training.lora import Gate

#: What a tokenizer consists of, beside a base's weights.
_TOKENIZER = (
    "tokenizer*", "*.model", "vocab*", "merges*", "special_tokens*", "added_tokens*",
    "chat_template*", "*.tiktoken",
)  # fmt: skip


class Full(AroundBase):
    """A base whose own weights learn; has what `Adapted` has."""

    prefix = None
    offset = 0

    def __init__(self, base: Any, arithmetic: torch.dtype) -> None:
        """`base` is taken over: its weights become fp32. `arithmetic`: precision of products."""
        super().__init__(base)
        self.gate = Gate()
        self._arithmetic = arithmetic
        self._stored = _narrowest(base)
        #: The base as it was, exactly: its weights fit into that precision.
        self._before = {
            name: weight.detach().to(self._stored, copy=True)
            for name, weight in base.named_parameters()
        }
        self._cast(torch.float32)
        base.requires_grad_(True)
        self.eval()

    def before(self, lines: int) -> dict[str, Any]:
        """What a model is called with beside its texts."""
        return {}

    def precision(self) -> AbstractContextManager[Any]:
        """Inside, products are in the job's precision; each has casts of its own.

        To be left before weights change: casts are kept until then.
        """
        if self._arithmetic is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self._arithmetic)

    @contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """Inside, the base answers as it was."""
        learned = {name: weight.data for name, weight in self.base.named_parameters()}
        for name, weight in self.base.named_parameters():
            weight.data = self._before[name].to(weight.dtype)
        try:
            yield
        finally:
            for name, weight in self.base.named_parameters():
                weight.data = learned[name]

    def fixed(self) -> dict[str, Tensor]:
        """What is not trained and yet belongs to a checkpoint: nothing."""
        return {}

    @torch.no_grad()
    def round(self) -> None:
        """Give every weight the value that its published form has."""
        for weight in self.base.parameters():
            weight.copy_(weight.to(self._stored))

    def write(self, folder: Path, location: str) -> None:
        """Write the model as transformers does, with the tokenizer of the base at `location`."""
        self._cast(self._stored)
        self.base.save_pretrained(folder)
        self._cast(torch.float32)
        for path in folder.glob("*.safetensors"):
            # safetensors makes files unreadable for other users, who share the store.
            path.chmod(folder.stat().st_mode & 0o666)
        if not Path(location).is_dir():
            tokenizer_of(location).save_pretrained(folder)
            return
        for path in sorted({each for kind in _TOKENIZER for each in Path(location).glob(kind)}):
            if path.is_file():
                shutil.copyfile(path, folder / path.name)

    def reload(self, folder: Path) -> Tensor:
        """The probe's logits of the model in `folder`, by plain transformers.

        The base is as it was then. Raises ReloadMismatch for a weight with other bits than the one
        that was trained.
        """
        again: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
        again.to(self.device).eval()
        there = dict(again.named_parameters())
        for name, weight in self.base.named_parameters():
            if name not in there or not torch.equal(there[name], weight):
                what = both(f"{name} has other bits in the file", f"文件中的 {name} 与训练结果不同")
                raise ReloadMismatch(difference=what)
        logits = probe_logits(again)
        self.remove()
        return logits

    def remove(self) -> Any:
        """The base as it was."""
        for name, weight in self.base.named_parameters():
            weight.data = self._before[name].to(weight.dtype)
        return self.base.requires_grad_(False)

    def _cast(self, dtype: torch.dtype) -> None:
        # Not base.to(dtype): that would round what is computed once, such as rotary frequencies.
        for weight in self.base.parameters():
            weight.data = weight.data.to(dtype)


def _narrowest(base: nn.Module) -> torch.dtype:
    """The precision in which all weights are exactly what they are: that of the base's files."""
    weights = [weight.detach() for weight in base.parameters()]
    for dtype in (torch.bfloat16, torch.float16):
        if all(torch.equal(weight.to(dtype).to(weight.dtype), weight) for weight in weights):
            return dtype
    return torch.float32
