"""A frozen linear module whose products, forward and for its input's gradient, are in FP8.

Weights and activations are rounded to e4m3 (4 bits of exponent, 3 of mantissa; Micikevicius et al.
2022, arXiv 2209.05433) with a scale a row, chosen by the row's largest number. Sums stay in fp32,
results in bf16; what is trained keeps its own precision. Two copies of W lie in memory, one along
each product's sums, which together are as large as one in bf16.
"""

from typing import Any

import torch
from torch import Tensor, nn

from worker.training.sums import float8_added

_E4M3 = torch.float8_e4m3fn
_LARGEST = torch.finfo(_E4M3).max
#: Sizes of a product's sides come in these steps.
STEP = 16


class Float8Linear(nn.Module):
    """x·Wᵀ of a frozen W (out, in), without a bias, both multiples of STEP wide."""

    weight: Tensor
    weight_scale: Tensor
    across: Tensor
    across_scale: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        names = ("weight", "weight_scale", "across", "across_scale")
        for name, part in zip(names, (*rounded(weight), *rounded(weight.T)), strict=True):
            self.register_buffer(name, part, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self._product(x, None, None, None, 1.0)

    def with_update(
        self, x: Tensor, a: Tensor, b: Tensor, own: Tensor | None, scale: float
    ) -> Tensor:
        """x·Wᵀ + s·x·Aᵀ·B, as `worker.training.lora.low_rank` has the second part."""
        return self._product(x, a, b, own, scale)

    def _product(
        self, x: Tensor, a: Tensor | None, b: Tensor | None, own: Tensor | None, scale: float
    ) -> Tensor:
        # Rounded here, not in the node below: torch's compiler cannot trace it there for rows of
        # any length.
        eight = rounded(x.detach().flatten(0, -2))
        frozen = (self.weight, self.weight_scale, self.across, self.across_scale)
        return _Product.apply(x, *eight, *frozen, a, b, own, scale)  # pyright: ignore[reportReturnType]


def rounded(x: Tensor) -> tuple[Tensor, Tensor]:
    """x (n, k) as e4m3, and the fp32 scale (n, 1) that each row is to be multiplied with."""
    scale = x.abs().amax(-1, keepdim=True).float().clamp(min=1e-12) / _LARGEST
    return (x.float() / scale).to(_E4M3).contiguous(), scale


class _Product(torch.autograd.Function):
    """x·Wᵀ + s·x·Aᵀ·B with gradients for x, A and B."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        eight: Tensor,
        eight_scale: Tensor,
        weight: Tensor,
        weight_scale: Tensor,
        across: Tensor,
        across_scale: Tensor,
        a: Tensor | None,
        b: Tensor | None,
        own: Tensor | None,
        scale: float,
    ) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        low = None
        if a is not None:
            low = flat @ a.T
            low *= scale if own is None else own * scale
        y = float8_added(eight, eight_scale, weight, weight_scale, low, b)
        ctx.save_for_backward(None if a is None else flat, low, across, across_scale, a, b, own)
        ctx.scale, ctx.shape = scale, x.shape
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Any, ...]:
        flat, low, across, across_scale, a, b, own = ctx.saved_tensors
        slope = grad_outputs[0].reshape(-1, grad_outputs[0].shape[-1])
        slope_a = slope_b = slope_low = slope_x = None
        if a is not None:
            slope_b = low.T @ slope
            slope_low = slope @ b.T
            slope_low *= ctx.scale if own is None else own * ctx.scale
            slope_a = slope_low.T @ flat
        if ctx.needs_input_grad[0]:
            slope_x = float8_added(*rounded(slope), across, across_scale, slope_low, a)
            slope_x = slope_x.view(ctx.shape)
        return slope_x, *[None] * 6, slope_a, slope_b, None, None
