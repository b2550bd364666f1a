"""Averages whose coefficients follow from the angles between updates: Model Stock and SLERP.

Both are Σ c_t·ΔW_t with c from the k×k Gram matrix ⟨ΔW_s, ΔW_t⟩ = ⟨M_s, M_t⟩ of the cores, so they
are exact in factor space and independent of order and gauge. Cost O((out + in)·K²) a module.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from shared.orders import WorkOrder
from shared.specs.fusion.averages import ModelStock, Slerp
from worker.fusion.factors import CoreSpace
from worker.fusion.modules import Fused, Site, fuse_modules
from worker.reporting import AdapterResult, Report

_ROUNDS, _SETTLED = 100, 1e-13


def model_stock(order: WorkOrder, params: ModelStock, report: Report) -> AdapterResult:
    """ΔW = t·mean(ΔW_t), t = k·cosθ / (1 + (k-1)·cosθ), cosθ the mean cosine of all pairs.

    Source: Jang et al. 2024 (arXiv 2403.19522), with the base as the centre; a negative cosθ gives
    zero. Raises WrongBase, UnsupportedAdapter, and NoOp when the result is zero.
    """

    def combine(site: Site) -> Fused:
        return _combination(site, stock_coefficients, params.scale)

    return fuse_modules(order, params, report, combine)


def slerp(order: WorkOrder, params: Slerp, report: Report) -> AdapterResult:
    """ΔW = (Σ w_t‖ΔW_t‖)·m, m the weighted spherical mean of the directions ΔW_t/‖ΔW_t‖.

    For two adapters m = [sin((1-w)θ)·u_1 + sin(wθ)·u_2]/sin θ (Shoemake 1985); for more the Karcher
    mean (Buss and Fillmore 2001). Raises WrongBase, WrongCount, UnsupportedAdapter, NoOp.
    """

    def combine(site: Site) -> Fused:
        weights = torch.tensor(site.weights, dtype=torch.float64)
        return _combination(site, lambda gram: slerp_coefficients(gram, weights), params.scale)

    return fuse_modules(order, params, report, combine)


def stock_coefficients(gram: Tensor) -> Tensor:
    """Model Stock's coefficients of k updates from their k×k Gram matrix."""
    count = len(gram)
    if count == 1:
        return torch.ones(1, dtype=gram.dtype)
    norms = gram.diagonal().clamp(min=1e-300).sqrt()
    cosines = gram / norms / norms[:, None]
    cosine = float((cosines.sum() - cosines.trace()) / (count * (count - 1)))
    ratio = max(0.0, count * cosine / (1 + (count - 1) * cosine)) if cosine > 0 else 0.0
    return torch.full((count,), ratio / count, dtype=gram.dtype)


def slerp_coefficients(gram: Tensor, weights: Tensor) -> Tensor:
    """The coefficients of the spherical mean; updates of zero count as zero length.

    Weights of a mean: they are divided by their sum where that is not zero. Directions opposite
    to the mean have no logarithm; then, and where all is zero, it is the plain weighted sum.
    """
    total = weights.sum()
    norms = gram.diagonal().clamp(min=0).sqrt()
    length = (weights * norms).sum()
    if abs(float(total)) < 1e-12 or not (norms > 0).all():
        return weights
    shares = weights / total
    cosines = (gram / norms / norms[:, None]).clamp(-1, 1)
    mean = _unit(shares, cosines)
    if mean is None:
        return weights
    for _ in range(_ROUNDS):
        onto = (cosines @ mean).clamp(-1, 1)
        angles = onto.arccos()
        if bool((angles > torch.pi - 1e-6).any()):
            return weights
        stretch = torch.where(angles > 1e-9, angles / angles.sin().clamp(min=1e-300), 1.0)
        step = shares * stretch - (shares * stretch * onto).sum() * mean
        size = (step @ cosines @ step).clamp(min=0).sqrt()
        if float(size) < _SETTLED:
            break
        mean = mean * size.cos() + step * (size.sin() / size)
    return mean / norms * length


def _unit(coefficients: Tensor, cosines: Tensor) -> Tensor | None:
    size = (coefficients @ cosines @ coefficients).clamp(min=0).sqrt()
    return coefficients / size if float(size) > 1e-9 else None


def _combination(site: Site, coefficients_of: Callable[[Tensor], Tensor], scale: float) -> Fused:
    space = CoreSpace(site.updates)
    flat = torch.stack([core.flatten() for core in space.cores])
    coefficients = coefficients_of(flat @ flat.T)
    merged = (coefficients @ flat).view_as(space.cores[0])
    inputs = float((flat.norm(dim=1) * torch.tensor(site.weights).abs()).sum())
    return Fused(space.realise(merged, site.rank).scaled(scale), inputs)
