"""A base's adapted linears in FP8 while an adapter is trained, and as they were afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from shared.errors import InvalidSpec, NoFloat8, both
from worker.reporting import Report
from worker.training.adapted import Adapted
from worker.training.float8 import STEP, Float8Linear

#: Ada and Hopper are the first cards with 8-bit floats.
_FIRST = (8, 9)


def require_float8(device: str) -> None:
    """Raise NoFloat8 where the device has no products of 8-bit floats."""
    if not device.startswith("cuda"):
        why = both("only GPUs multiply them fast", "只有 GPU 能快速计算它们的乘积")
    elif torch.cuda.get_device_capability(device) < _FIRST:
        name = torch.cuda.get_device_name(device)
        why = both(f"{name} is older than Ada and Hopper", f"{name} 早于 Ada 与 Hopper 架构")
    else:
        return
    raise NoFloat8(why=why)


@contextmanager
def in_float8(adapted: Any, report: Report, *, wanted: bool = True) -> Iterator[None]:
    """Inside, products with the weights below the adapter's factors are in FP8.

    The weights themselves wait in the host's memory. Linears with a bias, or whose sides are no
    multiples of 16, stay as they are. Raises InvalidSpec for a base that is not in bf16.
    """
    if not wanted:
        yield
        return
    if not isinstance(adapted, Adapted) or adapted.dtype is not torch.bfloat16:
        problem = both(
            "fp8 needs a base in bf16; set precision to bf16 or auto",
            "fp8 需要 bf16 的底座；请将 precision 设为 bf16 或 auto",
        )
        raise InvalidSpec(field="base_bits", problem=problem)
    chosen = [layer for layer in adapted.layers.values() if _fits(layer.base)]
    share = f"{len(chosen)} / {len(adapted.layers)}"
    report.log(both(f"modules with products in FP8: {share}", f"乘积使用 FP8 的模块：{share}"))
    kept: list[tuple[Any, nn.Module, torch.device]] = []
    try:
        for layer in chosen:
            base: Any = layer.base
            kept.append((layer, base, base.weight.device))
            layer.base = Float8Linear(base.weight.detach())
            base.weight.data = base.weight.data.cpu()
        yield
    finally:
        for layer, base, device in kept:
            layer.base = base.to(device)


def _fits(base: nn.Module) -> bool:
    # Not of a class of its own, whose products might be others.
    if not isinstance(base, nn.Linear) or type(base) is not nn.Linear or base.bias is not None:
        return False
    return base.in_features % STEP == 0 and base.out_features % STEP == 0
