"""Products added where another product lies, also in compiled layers.

The compiler knows no addition in place: it would copy the first product, which is as large as an
activation, to add the second. So compiled layers see such a sum as one operation. On an H200 the
copies were 19 of a 7B step's 440 ms.
"""

import torch
from torch import Tensor, library


def added(x: Tensor, weight: Tensor, bias: Tensor | None, low: Tensor, b: Tensor) -> Tensor:
    """(n, out) of x·W + c + low·B: x (n, in), weight (in, out), low (n, R), b (R, out)."""
    if torch.compiler.is_compiling():
        return _added(x, weight, bias, low, b)
    return _sum(x, weight, bias, low, b)


def float8_added(
    x: Tensor, x_scale: Tensor, weight: Tensor, scale: Tensor, low: Tensor | None, b: Tensor | None
) -> Tensor:
    """(n, out) in bf16 of x·Wᵀ + low·B, x and W in 8-bit floats with a scale a row.

    x (n, in), x_scale (n, 1), weight (out, in), scale (out, 1), both scales fp32; low (n, R) and
    b (R, out) in bf16, or None.
    """
    if torch.compiler.is_compiling():
        return _float8_added(x, x_scale, weight, scale, low, b)
    return _float8_sum(x, x_scale, weight, scale, low, b)


def _sum(x: Tensor, weight: Tensor, bias: Tensor | None, low: Tensor, b: Tensor) -> Tensor:
    first = x @ weight if bias is None else torch.addmm(bias, x, weight)
    return first.addmm_(low, b)


def _float8_sum(
    x: Tensor, x_scale: Tensor, weight: Tensor, scale: Tensor, low: Tensor | None, b: Tensor | None
) -> Tensor:
    # Sums are short of fp32 by some bits ("fast"), which is far below what 8 bits round away.
    first = torch._scaled_mm(
        x, weight.T, scale_a=x_scale, scale_b=scale.T, out_dtype=torch.bfloat16, use_fast_accum=True
    )
    return first if low is None or b is None else first.addmm_(low, b)


_added = library.custom_op("graft::added", _sum, mutates_args=())
_float8_added = library.custom_op("graft::float8_added", _float8_sum, mutates_args=())


@_added.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None, low: Tensor, b: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[1])


@_float8_added.register_fake
def _(
    x: Tensor, x_scale: Tensor, weight: Tensor, scale: Tensor, low: Tensor | None, b: Tensor | None
) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0], dtype=torch.bfloat16)
