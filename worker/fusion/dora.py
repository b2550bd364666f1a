"""A DoRA adapter's update as plain factors: it needs the base, and the rank it is cut to."""

import torch
from torch import Tensor

from worker.fusion.coordinates import truncated
from worker.fusion.factors import Factors, Truncation


def dora_update(plain: Factors, magnitude: Tensor, weight: Tensor, rank: int) -> Truncation:
    """ΔW = diag(m/‖W + B·A‖)·(W + B·A) - W, cut to `rank` by its best approximation.

    `weight` is W (out×in), `magnitude` m (out), norms are of rows, which is what PEFT calls the
    columns of DoRA (Liu et al. 2024, arXiv 2402.09353). ΔW has full rank as soon as m moved, so
    the cut is an approximation and its error is in the result. Cost O(out·in·rank).
    """
    moved = weight.double() + plain.delta()
    norms = moved.norm(dim=1).clamp(min=torch.finfo(torch.float64).tiny)
    scaled = (magnitude.double().flatten() / norms)[:, None] * moved
    return truncated(scaled - weight.double(), rank)
