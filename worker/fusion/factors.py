"""Low-rank updates of one module, and exact algebra on them without the dense matrix.

Updates ΔW_t = B_t·A_t of one module are stacked, B = [B_1 … B_k] and A = [A_1; …; A_k], and each
stack gets an orthonormal basis: B = Q_b·R_b, Aᵀ = Q_a·R_a. Every linear combination is then
Q_b·M·Q_aᵀ with a small core M (K×K, K the sum of the ranks), so its singular values are those of
M and the best approximation of any rank (Eckart and Young 1936) costs O((out + in)·K² + K³).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Relative error below which a result is called exact: the rounding of its fp32 factors.
EXACT = 2e-7
#: Q of a Gram matrix loses this much orthogonality at most; beyond it, Householder is used.
_SLACK = 1e-7
_EPSILON = torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class Factors:
    """One module's update ΔW = b·a with every scale folded in; b is out×r, a is r×in."""

    b: Tensor
    a: Tensor

    @property
    def rank(self) -> int:
        return self.a.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in) of the module."""
        return self.b.shape[0], self.a.shape[1]

    def delta(self) -> Tensor:
        """The dense update, out×in, in fp64; for tests and small modules."""
        return self.b.double() @ self.a.double()

    def scaled(self, weight: float) -> "Factors":
        """The same update times `weight`."""
        return Factors(self.b * weight, self.a)

    def rows(self, start: int, stop: int) -> "Factors":
        """The update of the module's output rows start..stop; exact, of the same rank."""
        return self.at(slice(start, stop))

    def at(self, rows: slice | list[int]) -> "Factors":
        """The update of those output rows of the module; exact, of the same rank."""
        return Factors(self.b[rows], self.a)


@dataclass(frozen=True)
class Basis:
    """An orthonormal basis Q of a tall matrix M (n×K) and M's coordinates in it, M = Q·r."""

    r: Tensor
    _columns: Tensor
    #: What turns the columns into Q; None where they are Q already.
    _solver: Tensor | None

    def lift(self, coordinates: Tensor) -> Tensor:
        """Q·coordinates, n×q, without forming Q where q is small."""
        if self._solver is not None:
            coordinates = self._solver @ coordinates
        return self._columns @ coordinates


def basis(matrix: Tensor) -> Basis:
    """An orthonormal basis of the columns of `matrix` (n×K), all in fp64.

    Cholesky of the Gram matrix with unit diagonal where that is safe (as fast as Householder in
    fp32 and 10⁴ times as accurate), Householder in fp64 where the columns are nearly dependent,
    e.g. an adapter and a copy of it. `r` is at most n×K.
    """
    columns = matrix.double()
    norms = columns.norm(dim=0)
    if columns.shape[0] >= columns.shape[1] and bool((norms > 0).all()):
        gram = (columns.T @ columns) / norms / norms[:, None]
        lower, failed = torch.linalg.cholesky_ex(gram)
        if not failed:
            identity = torch.eye(len(norms), dtype=torch.float64, device=columns.device)
            inverse = torch.linalg.solve_triangular(lower, identity, upper=False).T
            # ‖L⁻¹‖² bounds 1/λ_min; Q's columns are then orthonormal to within ε·K·‖L⁻¹‖².
            if _EPSILON * len(norms) * float(inverse.square().sum()) < _SLACK:
                return Basis(lower.T * norms, columns, inverse / norms[:, None])
    q, r = torch.linalg.qr(columns)
    return Basis(r, q, None)


@dataclass(frozen=True)
class Truncation:
    """A fused update and what making it cost."""

    factors: Factors
    #: Frobenius norm of the update before truncation.
    norm: float
    #: Squared Frobenius norm of what truncation left out.
    dropped: float

    def scaled(self, scale: float) -> "Truncation":
        """The same times `scale`."""
        factors = self.factors.scaled(scale)
        return Truncation(factors, self.norm * abs(scale), self.dropped * scale**2)


class CoreSpace:
    """Updates of one module in common coordinates: ΔW_t = Q_b·cores[t]·Q_aᵀ, exactly.

    Source: Core Space merging (Panariello et al. 2025) with the bases of fusion by thin QR.
    """

    def __init__(self, updates: Sequence[Factors]) -> None:
        """All updates have the same (out, in); their ranks may differ."""
        self._left = basis(torch.cat([update.b for update in updates], dim=1))
        self._right = basis(torch.cat([update.a for update in updates], dim=0).T)
        ranks = [update.rank for update in updates]
        self.cores: list[Tensor] = [
            left @ right.T
            for left, right in zip(
                self._left.r.split(ranks, dim=1), self._right.r.split(ranks, dim=1), strict=True
            )
        ]

    def lift_left(self, coordinates: Tensor) -> Tensor:
        """Q_b·coordinates, out×q, for coordinates of p×q."""
        return self._left.lift(coordinates)

    def lift_right(self, coordinates: Tensor) -> Tensor:
        """coordinates·Q_aᵀ, q×in, for coordinates of q×p."""
        return self._right.lift(coordinates.T).T

    def realise(self, core: Tensor, rank: int = 0) -> Truncation:
        """Q_b·core·Q_aᵀ as factors of the given rank, the best one in Frobenius norm.

        Rank 0 keeps all that fp32 can tell from zero. Factors are balanced (UΣ^½, Σ^½Vᵀ) and
        each column of b has its largest entry positive, so equal updates give equal factors
        where singular values differ.
        """
        u, sigma, vh = torch.linalg.svd(core, full_matrices=False)
        kept = numerical_rank(sigma)
        if rank:
            kept = min(rank, kept)
        half = sigma[:kept].sqrt()
        b = self._left.lift(u[:, :kept] * half)
        a = self._right.lift(vh[:kept].T * half).T
        signs = _signs(b)
        factors = Factors((b * signs).float(), (a * signs[:, None]).float().contiguous())
        return Truncation(
            factors, float(sigma.square().sum().sqrt()), float(sigma[kept:].square().sum())
        )


def numerical_rank(sigma: Tensor) -> int:
    """The smallest rank whose truncation error is below EXACT of the whole; 0 for a zero core."""
    tails = sigma.square().flip(0).cumsum(0).flip(0)
    return int((tails > EXACT**2 * tails[:1]).sum())


def _signs(columns: Tensor) -> Tensor:
    """±1 for each column so that its largest entry becomes positive."""
    if columns.shape[1] == 0:
        return columns.new_zeros(0)
    largest = columns.gather(0, columns.abs().argmax(dim=0, keepdim=True))[0]
    return torch.where(largest < 0, -1.0, 1.0).to(columns.dtype)


def compressed(update: Factors, rank: int = 0) -> Factors:
    """The same update at its numerical rank, in canonical form; at most of `rank` if given."""
    space = CoreSpace([update])
    return space.realise(space.cores[0], rank).factors


def frobenius(update: Factors) -> float:
    """‖B·A‖_F from two r×r Gram matrices, in fp64."""
    b, a = update.b.double(), update.a.double()
    return float(((b.T @ b) * (a @ a.T)).sum().clamp(min=0).sqrt())
