"""LoRA linears of our own: the frozen product and the low-rank one in one autograd node.

PEFT casts the input of every adapted module to the adapter's precision, keeps several copies for
the backward pass and adds the two products out of place. Here an input is kept once, nothing is
cast but the small factors, and the update is added where the product lies. The factors of J jobs
are stacked, so that one pass over one base trains J adapters: with `Gate.jobs` every token only
meets its own job's factors.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.training.float8 import Float8Linear
from worker.training.sums import added


@dataclass
class Gate:
    """What all LoRA linears of one model look at."""

    #: Off: the base answers alone.
    on: bool = True
    #: (tokens, J): 1 at each token's own job, in the flattened batch's order; None where J = 1.
    jobs: Tensor | None = None


class LoraLinear(nn.Module):
    """A frozen linear module y = x·Wᵀ + c with s·x·Aᵀ·B added (Hu et al. 2021, arXiv 2106.09685).

    `a` is (J, r, in), `b` (J, r, out): PEFT's lora_A, and its lora_B transposed, so that the
    factors of all jobs lie as one matrix. Both are fp32; products are in the base's precision.
    """

    def __init__(
        self, base: nn.Module, a: Tensor, b: Tensor, scale: float, gate: Gate, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.base = base
        self.a = nn.Parameter(a)
        self.b = nn.Parameter(b)
        #: What the factors began as where that is taken off again (PiSSA); of their shapes.
        self.start_a: Tensor | None
        self.start_b: Tensor | None
        self.register_buffer("start_a", None)
        self.register_buffer("start_b", None)
        self.scale = scale
        self.dropout = dropout
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        if not self.gate.on:
            return self.base(x)
        return self._sum(x, getattr(self.base, "bias", None))

    def factors(self) -> tuple[Tensor, Tensor]:
        """A (J, R, in) and B (J, R, out) as they are multiplied; R is 2r with a start taken off."""
        if self.start_a is None or self.start_b is None:
            return self.a, self.b
        return torch.cat([self.a, self.start_a], 1), torch.cat([self.b, -self.start_b], 1)

    def take_off(self, a: Tensor, b: Tensor) -> None:
        """Begin with the update s·B·A of these factors, and take it off again for good.

        The published update is then s·(B·A - B₀·A₀), which is nothing before the first step.
        """
        with torch.no_grad():
            self.a.copy_(a.expand_as(self.a))
            self.b.copy_(b.expand_as(self.b))
        self.start_a, self.start_b = self.a.detach().clone(), self.b.detach().clone()

    def _sum(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x·Wᵀ + c + s·x·Aᵀ·B."""
        a, b = (part.flatten(0, 1).to(x.dtype) for part in self.factors())
        own = self._own(x.dtype, len(a))
        dropping = self.training and self.dropout > 0
        if type(self.base) is nn.Linear and not dropping:
            return _Product.apply(x, self.base.weight, bias, a, b, own, self.scale)  # pyright: ignore[reportReturnType]
        if isinstance(self.base, Float8Linear) and not dropping:
            return self.base.with_update(x, a, b, own, self.scale)
        dropped = functional.dropout(x, self.dropout, self.training)
        return self.base(x) + low_rank(dropped, a, b, own, self.scale)

    def _own(self, dtype: torch.dtype, columns: int) -> Tensor | None:
        """(tokens, J·r): 1 at the factors of each token's own job; None where all are its own."""
        jobs = self.gate.jobs
        if jobs is None:
            return None
        return jobs.to(dtype).repeat_interleave(columns // jobs.shape[1], dim=1)


def low_rank(x: Tensor, a: Tensor, b: Tensor, own: Tensor | None, scale: float) -> Tensor:
    """s·x·Aᵀ·B in plain operations: x (..., in), a (R, in), b (R, out), own (tokens, R) or None."""
    low = functional.linear(x, a) * scale
    if own is not None:
        low = (low.flatten(0, -2) * own).view(low.shape)
    return low @ b


class _Product(torch.autograd.Function):
    """x·Wᵀ + c + s·x·Aᵀ·B with gradients for x, A and B; W and c are frozen."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        a: Tensor,
        b: Tensor,
        own: Tensor | None,
        scale: float,
    ) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        low = flat @ a.T
        low *= scale if own is None else own * scale
        y = added(flat, weight.T, bias, low, b)
        ctx.save_for_backward(flat, low, weight, a, b, own)
        ctx.scale, ctx.shape = scale, x.shape
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Any, ...]:
        flat, low, weight, a, b, own = ctx.saved_tensors
        slope = grad_outputs[0].reshape(-1, grad_outputs[0].shape[-1])
        slope_b = low.T @ slope
        slope_low = slope @ b.T
        slope_low *= ctx.scale if own is None else own * ctx.scale
        slope_a = slope_low.T @ flat
        slope_x = None
        if ctx.needs_input_grad[0]:
            slope_x = added(slope, weight, None, slope_low, a).view(ctx.shape)
        return slope_x, None, None, slope_a, slope_b, None, None
