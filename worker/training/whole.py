"""The embedding and the output head trained in full beside the base's own (modules_to_save)."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from shared.errors import InvalidSpec, both
from worker.training.lora import Gate

#: By `TuningParameters.also_train`: which of (embedding, head) is trained.
_CHOSEN = {
    "none": (False, False),
    "embeddings": (True, False),
    "head": (False, True),
    "both": (True, True),
}


class Whole(nn.Module):
    """A copy of an embedding or a linear module that learns, in fp32; off, the base's answers.

    What is multiplied and published is rounded to the base's precision, as plain PEFT reads it.
    """

    def __init__(self, base: nn.Embedding | nn.Linear, gate: Gate) -> None:
        super().__init__()
        self.base = base
        self.gate = gate
        self.weight = nn.Parameter(base.weight.detach().float().clone())
        bias = getattr(base, "bias", None)
        self.bias = None if bias is None else nn.Parameter(bias.detach().float().clone())

    def forward(self, x: Tensor) -> Tensor:
        if not self.gate.on:
            return self.base(x)
        parts = self.parts()
        if isinstance(self.base, nn.Embedding):
            return functional.embedding(x, parts["weight"], self.base.padding_idx)
        return functional.linear(x, parts["weight"], parts.get("bias"))

    def parts(self) -> dict[str, Tensor]:
        """Weight and bias as they are multiplied, by name."""
        dtype = self.base.weight.dtype
        named = {"weight": self.weight, "bias": self.bias}
        return {name: part.to(dtype) for name, part in named.items() if part is not None}

    @property
    def num_embeddings(self) -> int:
        """Tokens of the vocabulary."""
        return len(self.weight)


def whole_modules(model: Any, choice: str, base: str) -> list[str]:
    """Names of the modules to train in full, by their path in the model.

    Raises InvalidSpec for a base whose embedding or head does more than look up or multiply.
    """
    parts = (model.get_input_embeddings(), model.get_output_embeddings())
    names = {part: name for name, part in model.named_modules()}
    found = []
    for wanted, part, plain in zip(_CHOSEN[choice], parts, (nn.Embedding, nn.Linear), strict=True):
        if not wanted:
            continue
        if type(part) is not plain:
            kind = type(part).__name__
            problem = both(
                f'base "{base}" has a {kind} there, which cannot be trained in full',
                f"底座“{base}”此处为 {kind}，无法整体训练",
            )
            raise InvalidSpec(field="also_train", problem=problem)
        found.append(names[part])
    return found
