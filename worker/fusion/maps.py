"""Closed-form maps between the activations of two bases, and how much of them the maps explain.

X_S (n, d_S) and X_T (n, d_T) hold the donor's and the host's activations at the same n places of
text, one place a row; sums over places are in fp64.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

#: Directions of a cross-covariance below this share of the largest are rounding.
_ROUNDING = 1e-10


def procrustes(source: Tensor, target: Tensor, most: int | None = None) -> Tensor:
    """The scaled semi-orthogonal M (d_T, d_S) for which target ≈ source·Mᵀ.

    M = s·V·Uᵀ with U·Σ·Vᵀ = X_Sᵀ·X_T (Schönemann 1966) and the least-squares scale
    s = tr Σ / ‖X_S‖². Cost O(n·d_S·d_T + d_S·d_T·min(d)). Theseus (arXiv 2602.12952) has no s and
    searches a scale on labels; s needs none. Where Σ is zero U and V are arbitrary, so these
    directions are left out; `most`: how many there can be where rounding hides that.
    """
    one, other = source.double(), target.double()
    # On the CPU: a GPU's fp64 SVD of some hundred rows is slower.
    u, sigma, vh = torch.linalg.svd((one.T @ other).cpu(), full_matrices=False)
    kept = min(int((sigma > _ROUNDING * sigma[:1]).sum()), most or len(sigma))
    return (vh[:kept].T @ u[:, :kept].T * (sigma.sum() / one.square().sum().cpu())).to(source)


def ridge(source: Tensor, target: Tensor, penalty: float) -> Tensor:
    """The M (d_T, d_S) that minimises ‖target - source·Mᵀ‖² + λ‖M‖², λ = penalty·mean square.

    Cost O(n·d_S² + d_S³/3).
    """
    given, wanted = source.double(), target.double()
    gram = given.T @ given
    gram.diagonal().add_(penalty * gram.diagonal().mean())
    return torch.cholesky_solve(given.T @ wanted, torch.linalg.cholesky(gram)).T.float()


def explained(predicted: Tensor, true: Tensor) -> float:
    """R² = 1 - ‖true - predicted‖² / ‖true - mean‖²; 1 is perfect, below 0 is worse than a mean."""
    spread = (true - true.mean(dim=0)).square().sum()
    return float(1 - (true - predicted).square().sum() / spread)


def cka(one: Tensor, other: Tensor) -> float:
    """Linear centred kernel alignment in [0, 1] (Kornblith et al. 2019, arXiv 1905.00414)."""
    one, other = one - one.mean(dim=0), other - other.mean(dim=0)
    cross = (one.T @ other).square().sum()
    return float(cross / ((one.T @ one).norm() * (other.T @ other).norm()))


def monotone_layers(similarity: Sequence[Sequence[float]]) -> list[int]:
    """For each host layer the donor layer, never going back, with the largest summed similarity.

    similarity[host][donor]; dynamic programming as in LoRASuite (arXiv 2505.13515), where two host
    layers may also share a donor layer.
    """
    best: list[list[float]] = []
    came: list[list[int]] = []
    for row in similarity:
        before = best[-1] if best else [0.0] * len(row)
        sources = [max(range(s + 1), key=before.__getitem__) for s in range(len(row))]
        came.append(sources)
        best.append([row[s] + before[sources[s]] for s in range(len(row))])
    place = max(range(len(best[-1])), key=best[-1].__getitem__)
    path = [place]
    for sources in reversed(came[1:]):
        path.append(sources[path[-1]])
    return path[::-1]
