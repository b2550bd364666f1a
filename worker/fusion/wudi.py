"""WUDI merging: least interference on the inputs that each adapter reacts to, without data."""

from collections.abc import Sequence

import torch
from torch import Tensor

from shared.orders import WorkOrder
from shared.specs.fusion.wudi import Wudi
from worker.fusion.factors import CoreSpace
from worker.fusion.modules import Fused, Site, fuse_modules
from worker.reporting import AdapterResult, Report

#: Input directions with less than this share of the largest energy are rounding.
_ROUNDING = 1e-10


def wudi(order: WorkOrder, params: Wudi, report: Report) -> AdapterResult:
    """ΔW = argmin Σ_t w_t·‖(ΔW - ΔW_t)·ΔW_tᵀ‖²/‖ΔW_t‖², the one of least norm.

    An adapter's rows span the inputs it was trained on, so they stand in for its data: ΔW =
    (Σ w_t·ΔW_t·G_t)·(Σ w_t·G_t)⁺ with G_t = ΔW_tᵀ·ΔW_t/‖ΔW_t‖². Source: Cheng et al. 2025 (arXiv
    2503.08099), which descends to it; in core coordinates it is one K×K solve. Weights of zero
    leave an adapter out, negative ones have no meaning. Cost O((out + in)·K² + k·K³) a module.
    Raises WrongBase, WrongCount, UnsupportedAdapter, NoOp.
    """

    def combine(site: Site) -> Fused:
        space = CoreSpace(site.updates)
        inputs = sum(
            abs(weight) * float(core.norm())
            for weight, core in zip(site.weights, space.cores, strict=True)
        )
        merged = least_interference(space.cores, site.weights)
        return Fused(space.realise(merged, site.rank).scaled(params.scale), inputs)

    return fuse_modules(order, params, report, combine)


def least_interference(cores: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """(Σ w_t·M_t·C_t)·(Σ w_t·C_t)⁺ with C_t = M_tᵀ·M_t/‖M_t‖²."""
    total, gram = torch.zeros_like(cores[0]), torch.zeros_like(cores[0].T @ cores[0])
    for core, weight in zip(cores, weights, strict=True):
        energy = float(core.square().sum())
        if energy:
            own = weight * core.T @ core / energy
            total, gram = total + core @ own, gram + own
    return total @ torch.linalg.pinv(gram, rtol=_ROUNDING, hermitian=True)
