"""Compress-then-Merge: one pair of bases of the wanted rank for all adapters, merging inside it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from shared.orders import WorkOrder
from shared.specs.fusion.compression import CompressThenMerge
from worker.fusion.coordinates import canonical_cores
from worker.fusion.elements import Rule, largest, merge
from worker.fusion.factors import CoreSpace, Truncation
from worker.fusion.modules import Fused, Site, fuse_modules
from worker.reporting import AdapterResult, Report

_ROUNDS, _SETTLED = 200, 1e-12


def compress_then_merge(
    order: WorkOrder, params: CompressThenMerge, report: Report
) -> AdapterResult:
    """ΔW = U·merge(Uᵀ·ΔW_t·V)·Vᵀ with U (out×r) and V (in×r) by Tucker-2.

    U and V maximise Σ_t ‖Uᵀ·ΔW_t·V‖²/‖ΔW_t‖^(2·blend) by higher-order orthogonal iteration on the
    cores: rank r by construction. Source: Compress-then-Merge (arXiv 2606.03723). Cost
    O((out + in)·K² + k·K³) a module. The energy dropped is what compression loses of the adapters.
    Raises WrongBase, WrongCount, UnsupportedAdapter, NoOp.
    """

    def combine(site: Site) -> Fused:
        space = CoreSpace(site.updates)
        rank = site.rank or max(update.rank for update in site.updates)
        left, right = shared_bases(space.cores, rank, params.blend)
        small = [left.T @ core @ right for core in space.cores]
        p, s, rotated = canonical_cores(small)
        kept = largest(params.density if params.rule == "ties" else 1.0)
        rule = Rule(kept, "sum" if params.rule == "ties" else "none")
        makes = [lambda each=each: each for each in rotated]
        merged = merge(makes, site.weights, [0] * len(makes), rule)
        made = space.realise(left @ p @ merged @ s.T @ right.T, rank)
        inputs = sum(
            abs(weight) * float(core.norm())
            for weight, core in zip(site.weights, space.cores, strict=True)
        )
        return Fused(_with_loss(made, space.cores, small).scaled(params.scale), inputs)

    return fuse_modules(order, params, report, combine)


def shared_bases(cores: Sequence[Tensor], rank: int, blend: float) -> tuple[Tensor, Tensor]:
    """Orthonormal U and V (K×r) that keep most of all cores (Tucker-2 by HOOI from HOSVD)."""
    rank = min(rank, *cores[0].shape)
    norms = [max(float(core.norm()), 1e-300) for core in cores]
    blended = [core / norm**blend for core, norm in zip(cores, norms, strict=True)]
    left = _leading(blended, rank)
    right = _leading([core.T for core in blended], rank)
    kept = 0.0
    for _ in range(_ROUNDS):
        left = _leading([core @ right for core in blended], rank)
        right = _leading([core.T @ left for core in blended], rank)
        before, kept = kept, sum(float((left.T @ c @ right).square().sum()) for c in blended)
        if kept - before <= _SETTLED * kept:
            break
    return left, right


def _leading(parts: Sequence[Tensor], rank: int) -> Tensor:
    """The leading left singular vectors of the parts side by side."""
    return torch.linalg.svd(torch.cat(list(parts), dim=1), full_matrices=False)[0][:, :rank]


def _with_loss(made: Truncation, cores: Sequence[Tensor], small: Sequence[Tensor]) -> Truncation:
    """The result with the share of the adapters' energy that compression lost as its drop."""
    whole = sum(float(core.square().sum()) for core in cores)
    left = sum(float(core.square().sum()) for core in small)
    kept = left / whole if whole else 1.0
    if kept <= 0:
        return made
    energy = made.norm**2 / kept
    return Truncation(made.factors, energy**0.5, max(0.0, energy * (1 - kept)) + made.dropped)
