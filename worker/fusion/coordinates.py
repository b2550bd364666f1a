"""The three coordinates in which elementwise rules may act, and the way back to factors.

Elements depend on the coordinates, so these are chosen such that neither the order of the adapters
nor an invertible R in (B·R⁻¹)·(R·A) changes them, up to signs, to which the rules are equivariant.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from worker.fusion.factors import CoreSpace, Factors, Truncation, numerical_rank

#: Up to this narrower side a dense matrix gets an exact SVD.
_EXACT_SIDE = 768
_OVERSAMPLED, _PASSES = 16, 6

Makes = list[Callable[[], Tensor]]
Back = Callable[[Tensor], Truncation]


def dense(updates: Sequence[Factors], rank: int) -> tuple[Makes, Back]:
    """The updates themselves, out×in; back by the best approximation of the rank.

    Rank 0 takes the sum of the ranks. Memory: a few out×in matrices in fp64.
    """
    most = rank or sum(update.rank for update in updates)
    return [update.delta for update in updates], lambda merged: truncated(merged, most)


def knots(updates: Sequence[Factors], rank: int) -> tuple[Makes, Back]:
    """Σ·V_tᵀ of [ΔW_1 … ΔW_k] = U·Σ·[V_1ᵀ … V_kᵀ], K×in (KnOTS, arXiv 2410.19735).

    In core coordinates [ΔW_1 … ΔW_k] is Q_b·[M_1 … M_k] up to orthonormal columns, so U is Q_b
    times the left singular vectors of a K×kK matrix: O((out + in)·K² + k·K³).
    """
    space = CoreSpace(updates)
    left = _left_singular(torch.cat(space.cores, dim=1))
    makes = [lambda core=core: space.lift_right(left.T @ core) for core in space.cores]

    def back(merged: Tensor) -> Truncation:
        whole = CoreSpace([Factors(space.lift_left(left), merged)])
        return whole.realise(whole.cores[0], rank)

    return makes, back


def core(updates: Sequence[Factors], rank: int) -> tuple[Makes, Back]:
    """The cores M_t in the singular bases of [M_1 … M_k] and [M_1; …; M_k], K×K (Core Space).

    Source: arXiv 2509.17786; the rotation is ours, without it elements depend on the order of the
    adapters and on their factors' gauge. O((out + in)·K² + k·K³).
    """
    space = CoreSpace(updates)
    left, right, rotated = canonical_cores(space.cores)
    makes = [lambda each=each: each for each in rotated]
    return makes, lambda merged: space.realise(left @ merged @ right.T, rank)


def canonical_cores(cores: Sequence[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """(P, S, [Pᵀ·M_t·S]) with P and S the singular bases of all cores side by side and stacked."""
    left = _left_singular(torch.cat(list(cores), dim=1))
    right = _left_singular(torch.cat([each.T for each in cores], dim=1))
    return left, right, [left.T @ each @ right for each in cores]


def truncated(matrix: Tensor, rank: int) -> Truncation:
    """The best approximation of a dense matrix: by SVD, or by block power iteration where large.

    What is dropped is exact in both: the iteration's result is an orthogonal projection.
    """
    norm = float(matrix.norm())
    if min(matrix.shape) <= _EXACT_SIDE:
        u, sigma, vh = torch.linalg.svd(matrix, full_matrices=False)
    else:
        u, sigma, vh = _leading(matrix, rank)
    kept = min(rank, numerical_rank(sigma)) if norm else 0
    half = sigma[:kept].sqrt()
    factors = Factors((u[:, :kept] * half).float(), (half[:, None] * vh[:kept]).float())
    dropped = max(0.0, norm**2 - float(sigma[:kept].square().sum()))
    return Truncation(factors, norm, dropped if dropped > 1e-14 * norm**2 else 0.0)


def _leading(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """The leading singular triples (Halko et al. 2011, algorithm 4.4), from a fixed start."""
    width = min(rank + _OVERSAMPLED, *matrix.shape)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(matrix.shape[1], width, generator=generator, dtype=matrix.dtype)
    left = torch.linalg.qr(matrix @ start)[0]
    for _ in range(_PASSES):
        left = torch.linalg.qr(matrix @ torch.linalg.qr(matrix.T @ left)[0])[0]
    u, sigma, vh = torch.linalg.svd(left.T @ matrix, full_matrices=False)
    return left @ u, sigma, vh


def _left_singular(matrix: Tensor) -> Tensor:
    return torch.linalg.svd(matrix, full_matrices=False)[0]
