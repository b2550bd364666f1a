"""LoRA-LEGO: adapters taken apart into rank-1 units, like units grouped, one unit a group."""

from collections.abc import Sequence

import torch
from torch import Tensor

from shared.orders import WorkOrder
from shared.specs.fusion.compression import LoraLego
from worker.fusion.factors import CoreSpace, numerical_rank
from worker.fusion.modules import Fused, Site, fuse_modules
from worker.reporting import AdapterResult, Report

_ROUNDS = 100


def lora_lego(order: WorkOrder, params: LoraLego, report: Report) -> AdapterResult:
    """ΔW = √(r̄/r)·Σ_j b_j·a_j over r groups of units, each its units' mean at their mean length.

    Units are √σ_i·(u_i, v_i) of each adapter's SVD, so that factors of another gauge give the same
    ones; u_i·v_iᵀ does not know their common sign, so neither do the groups. k-means in core
    coordinates from the longest unit and then always the farthest: no draw, no order. r̄ is the
    adapters' mean rank; the root undoes what a sum of more units adds in variance. Source: Zhao
    et al. 2025 (arXiv 2409.16167), where units are rows of A and columns of B as trained. Cost
    O((out + in)·K² + K²·r·rounds) a module. Raises WrongBase, UnsupportedAdapter, NoOp.
    """

    def combine(site: Site) -> Fused:
        space = CoreSpace(site.updates)
        per_adapter = [_units(core) for core in space.cores]
        units = torch.cat(per_adapter)
        rank = site.rank or max(update.rank for update in site.updates)
        inputs = sum(float(core.norm()) for core in space.cores)
        if not len(units):
            return Fused(space.realise(torch.zeros_like(space.cores[0])), inputs)
        built = grouped(units, rank)
        rows = space.cores[0].shape[0]
        mean_rank = len(units) / len(per_adapter)
        scale = params.scale * (mean_rank / len(built)) ** 0.5
        merged = scale * built[:, :rows].T @ built[:, rows:]
        return Fused(space.realise(merged, rank), inputs)

    return fuse_modules(order, params, report, combine)


def grouped(units: Tensor, groups: int) -> Tensor:
    """At most `groups` rows: the means of like units (n×2K), each at its members' mean length.

    A unit and its negative are the same unit.
    """
    centres = _farthest_first(units, groups)
    assigned = torch.full((len(units),), -1)
    for _ in range(_ROUNDS):
        likeness = units @ centres.T
        distance = centres.square().sum(dim=1) - 2 * likeness.abs()
        found = distance.argmin(dim=1)
        if bool((found == assigned).all()):
            break
        assigned = found
        signs = torch.where(likeness.gather(1, assigned[:, None]) < 0, -1.0, 1.0).double()
        sums = torch.zeros_like(centres).index_add_(0, assigned, units * signs)
        counts = torch.bincount(assigned, minlength=len(centres))[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    made: list[Tensor] = []
    for group in assigned.unique():
        length = units[assigned == group].norm(dim=1).mean()
        made.append(centres[group] * (length / centres[group].norm().clamp(min=1e-300)))
    return torch.stack(made)


def _farthest_first(units: Tensor, groups: int) -> Tensor:
    chosen: Sequence[int] = [int(units.norm(dim=1).argmax())]
    while len(chosen) < min(groups, len(units)):
        centres = units[list(chosen)]
        gaps = (
            units.square().sum(dim=1)[:, None]
            + centres.square().sum(dim=1)
            - 2 * (units @ centres.T).abs()
        )
        chosen = [*chosen, int(gaps.min(dim=1).values.argmax())]
    return units[list(chosen)].clone()


def _units(core: Tensor) -> Tensor:
    """√σ_i·(u_i, v_i) as rows, n×2K."""
    u, sigma, vh = torch.linalg.svd(core, full_matrices=False)
    kept = numerical_rank(sigma)
    half = sigma[:kept].sqrt()
    return torch.cat([(u[:, :kept] * half).T, half[:, None] * vh[:kept]], dim=1)
