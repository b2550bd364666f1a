"""STAR: each adapter's leading singular directions, enlarged to its nuclear norm, then summed."""

import torch
from torch import Tensor

from shared.orders import WorkOrder
from shared.specs.fusion.star import Star
from worker.fusion.factors import CoreSpace
from worker.fusion.modules import Fused, Site, fuse_modules
from worker.reporting import AdapterResult, Report

#: Shares that agree to this are equal: an adapter of equal singular values has exact ones.
_ROUNDING = 1e-9


def star(order: WorkOrder, params: Star, report: Report) -> AdapterResult:
    """ΔW = Σ w_t·(‖σ_t‖₁/‖σ_t,1…r‖₁)·U_rΣ_rV_rᵀ of each ΔW_t = U·Σ·Vᵀ.

    r is the smallest with σ_t,1 + … + σ_t,r ≥ keep·‖σ_t‖₁, adapter by adapter. Source: Lee et al.
    2025 (arXiv 2502.10339), whose weights are equal; their code takes the SVD of the dense update,
    here it is that of a K×K core. Cost O((out + in)·K² + k·K³) a module, no data. Raises WrongBase,
    WrongCount, UnsupportedAdapter, NoOp.
    """

    def combine(site: Site) -> Fused:
        space = CoreSpace(site.updates)
        cores = [weight * core for weight, core in zip(site.weights, space.cores, strict=True)]
        inputs = sum(float(core.norm()) for core in cores)
        merged = torch.stack([shortened(core, params.keep) for core in cores]).sum(dim=0)
        return Fused(space.realise(merged, site.rank).scaled(params.scale), inputs)

    return fuse_modules(order, params, report, combine)


def shortened(matrix: Tensor, keep: float) -> Tensor:
    """The fewest leading directions with `keep` of the nuclear norm, scaled up to all of it."""
    u, sigma, vh = torch.linalg.svd(matrix, full_matrices=False)
    held, whole = sigma.cumsum(0), float(sigma.sum())
    if not whole:
        return matrix
    rank = int((held < (keep - _ROUNDING) * whole).sum()) + 1
    return (u[:, :rank] * (sigma[:rank] * (whole / held[rank - 1]))) @ vh[:rank]
