"""Methods on singular values and directions, all in core coordinates: TSV-M, Iso-C and Iso-CTS.

With ΔW_t = Q_b·M_t·Q_aᵀ, singular values and directions are those of the K×K cores, so nothing
dense is made: O((out + in)·K² + k·K³) a module. Orthogonalisation is the polar factor, over the
directions that are there: a copy of an adapter adds none.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from shared.orders import WorkOrder
from shared.specs.fusion.spectral import IsoC, IsoCts, TsvMerge
from worker.fusion.factors import CoreSpace, numerical_rank
from worker.fusion.modules import Fused, Site, fuse_modules
from worker.reporting import AdapterResult, Report

#: Directions below this share of the largest singular value are the rounding of fp32 factors.
_ROUNDING = 1e-5


def tsv_m(order: WorkOrder, params: TsvMerge, report: Report) -> AdapterResult:
    """ΔW = U⊥·Σ·V⊥ᵀ: the adapters' own singular vectors side by side, made orthogonal.

    w_t·ΔW_t = U_tΣ_tV_tᵀ; U⊥ = polar([U_1 … U_k]), V⊥ = polar([V_1 … V_k]), Σ all Σ_t.
    Source: Gargiulo et al. 2025 (arXiv 2412.00081), which has all weights 1. Its code cuts each
    adapter to 1/k of the full rank, which for LoRA keeps empty directions; here each brings `keep`
    of its own rank.
    Raises WrongBase, WrongCount, UnsupportedAdapter, NoOp.
    """

    def merged(cores: Sequence[Tensor]) -> Tensor:
        return orthogonal_sum([_leading(core, params.keep) for core in cores])

    return fuse_modules(order, params, report, _combine(merged, params.scale))


def iso_c(order: WorkOrder, params: IsoC, report: Report) -> AdapterResult:
    """ΔW = σ̄·U·Vᵀ where UΣVᵀ is the weighted sum and σ̄ the mean of its non-zero Σ.

    Source: Marczak et al. 2025 (arXiv 2502.04959). In full space the flattening fills directions
    that no adapter has; core space has none. Raises WrongBase, WrongCount, UnsupportedAdapter,
    NoOp.
    """

    def merged(cores: Sequence[Tensor]) -> Tensor:
        return isotropic(torch.stack(list(cores)).sum(dim=0))

    return fuse_modules(order, params, report, _combine(merged, params.scale))


def iso_cts(order: WorkOrder, params: IsoCts, report: Report) -> AdapterResult:
    """Iso-C with directions of single adapters: ΔW = σ̄·U*·V*ᵀ.

    The sum's leading `common`·K directions, then from each adapter the leading ones of what they
    leave of it, (1 - common)·K/k each; U* and V* are the polar factors, σ̄ the mean of all values.
    Source: Marczak et al. 2025 (arXiv 2502.04959), in core space. Raises WrongBase, WrongCount,
    UnsupportedAdapter, NoOp.
    """

    def merged(cores: Sequence[Tensor]) -> Tensor:
        return isotropic_common_and_own(cores, params.common)

    return fuse_modules(order, params, report, _combine(merged, params.scale))


def orthogonal_sum(parts: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """U⊥·Σ·V⊥ᵀ of singular triples (U, Σ, Vᵀ) of several matrices."""
    u = polar(torch.cat([part[0] for part in parts], dim=1))
    sigma = torch.cat([part[1] for part in parts])
    v = polar(torch.cat([part[2].T for part in parts], dim=1))
    return (u * sigma) @ v.T


def isotropic(matrix: Tensor) -> Tensor:
    """The matrix with each non-zero singular value replaced by their mean."""
    u, sigma, vh = torch.linalg.svd(matrix, full_matrices=False)
    rank = numerical_rank(sigma)
    return sigma[:rank].mean() * (u[:, :rank] @ vh[:rank]) if rank else matrix


def isotropic_common_and_own(cores: Sequence[Tensor], common: float) -> Tensor:
    """Iso-CTS of the cores; `common` of the sum's directions, the rest shared by the adapters."""
    u, sigma, vh = torch.linalg.svd(torch.stack(list(cores)).sum(dim=0), full_matrices=False)
    rank = numerical_rank(sigma)
    own = int((rank - round(common * rank)) / len(cores))
    shared = rank - own * len(cores)
    parts = [(u[:, :shared], sigma[:shared], vh[:shared])]
    left = u[:, :shared]
    for core in cores:
        own_u, own_sigma, own_vh = torch.linalg.svd(
            core - left @ (left.T @ core), full_matrices=False
        )
        kept = min(own, numerical_rank(own_sigma))
        parts.append((own_u[:, :kept], own_sigma[:kept], own_vh[:kept]))
    values = torch.cat([part[1] for part in parts])
    if not len(values):
        return torch.zeros_like(cores[0])
    return orthogonal_sum([(pu, torch.ones_like(ps), pv) for pu, ps, pv in parts]) * values.mean()


def polar(matrix: Tensor) -> Tensor:
    """P·Qᵀ of PΣQᵀ over the non-zero Σ: the nearest matrix of orthonormal columns."""
    p, sigma, qh = torch.linalg.svd(matrix, full_matrices=False)
    rank = int((sigma > _ROUNDING * sigma[:1]).sum())
    return p[:, :rank] @ qh[:rank]


def _leading(core: Tensor, keep: float) -> tuple[Tensor, Tensor, Tensor]:
    u, sigma, vh = torch.linalg.svd(core, full_matrices=False)
    kept = max(1, round(keep * numerical_rank(sigma)))
    return u[:, :kept], sigma[:kept], vh[:kept]


def _combine(merged: Callable[[Sequence[Tensor]], Tensor], scale: float) -> Callable[[Site], Fused]:
    def combine(site: Site) -> Fused:
        space = CoreSpace(site.updates)
        cores = [weight * core for weight, core in zip(site.weights, space.cores, strict=True)]
        inputs = sum(float(core.norm()) for core in cores)
        return Fused(space.realise(merged(cores), site.rank).scaled(scale), inputs)

    return combine
