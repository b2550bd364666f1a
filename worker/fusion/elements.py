"""Elementwise merging: which elements of an update are kept, and how the kept ones are combined.

A table of rules times a table of elections, so that TIES, DARE, DELLA and the rest are rows.
Updates come as functions that make them: memory holds a few matrices, not one an adapter.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

#: Makes one update in the chosen coordinates, fp64; called once a pass.
Make = Callable[[], Tensor]
#: What is left of an update after its rule; the generator is the update's own.
Keep = Callable[[Tensor, torch.Generator], Tensor]
Election = Literal["none", "sum", "count"]


def largest(density: float) -> Keep:
    """The largest `density` of the elements by magnitude (the trim of TIES)."""
    return lambda update, _: torch.where(_at_least(update.abs(), density), update, 0.0)


def drawn(density: float) -> Keep:
    """Each element with chance `density`, divided by it: the expectation is the update (DARE)."""

    def keep(update: Tensor, generator: torch.Generator) -> Tensor:
        draws = torch.rand(update.shape, generator=generator, dtype=torch.float64)
        return torch.where(draws < density, update / density, 0.0)

    return keep


def drawn_by_size(density: float, epsilon: float) -> Keep:
    """Each element with a chance that rises with its rank in its row, divided by it (DELLA).

    From density - ε for the row's smallest to density + ε for its largest.
    """

    def keep(update: Tensor, generator: torch.Generator) -> Tensor:
        ranks = update.abs().argsort(dim=1).argsort(dim=1).double()
        spread = 2 * ranks / max(1, update.shape[1] - 1) - 1
        chance = (density + epsilon * spread).clamp(1e-6, 1.0)
        draws = torch.rand(update.shape, generator=generator, dtype=torch.float64)
        return torch.where(draws < chance, update / chance, 0.0)

    return keep


def middle(density: float, outliers: float) -> Keep:
    """The `density` of elements below the largest `outliers` of them (Breadcrumbs)."""

    def keep(update: Tensor, _: torch.Generator) -> Tensor:
        size = update.abs()
        kept = _at_least(size, min(1.0, density + outliers))
        if math.floor(outliers * size.numel()):
            kept &= ~_at_least(size, outliers)
        return torch.where(kept, update, 0.0)

    return keep


def _at_least(size: Tensor, share: float) -> Tensor:
    """Where the largest `share` of the elements are, at least one of them."""
    count = max(1, round(share * size.numel()))
    if count >= size.numel():
        return torch.ones_like(size, dtype=torch.bool)
    threshold = size.flatten().kthvalue(size.numel() - count + 1).values
    return size >= threshold


@dataclass(frozen=True)
class Rule:
    """How a method treats one update, and how it settles signs between them."""

    keep: Keep
    election: Election


def merge(
    makes: Sequence[Make], weights: Sequence[float], seeds: Sequence[int], rule: Rule
) -> Tensor:
    """The merged update.

    Without an election Σ w_t·x_t. With one, each place gets the weighted mean of the kept elements
    that have the elected sign: Σ w_t·x_t / Σ |w_t| over them, times Σ |w_t| of all adapters where
    that is not 1, so that weights scale the result.
    """
    if rule.election == "none":
        return _total(makes, weights, seeds, rule.keep, lambda kept: kept)
    elected = _total(
        makes, weights, seeds, rule.keep, torch.sign if rule.election == "count" else lambda x: x
    ).sign_()
    total = torch.zeros_like(elected)
    mass = torch.zeros_like(elected)
    for make, weight, seed in zip(makes, weights, seeds, strict=True):
        part = weight * rule.keep(make(), _generator(seed))
        agrees = (part.sign() == elected) & (part != 0)
        total += torch.where(agrees, part, 0.0)
        mass += abs(weight) * agrees
    return torch.where(mass > 0, total / mass.clamp(min=1e-300), 0.0) * sum(map(abs, weights))


def _total(
    makes: Sequence[Make],
    weights: Sequence[float],
    seeds: Sequence[int],
    keep: Keep,
    counted: Callable[[Tensor], Tensor],
) -> Tensor:
    total: Tensor | None = None
    for make, weight, seed in zip(makes, weights, seeds, strict=True):
        part = counted(weight * keep(make(), _generator(seed)))
        total = part if total is None else total + part
    if total is None:
        raise ValueError("nothing to merge")
    return total


def select_calculate_erase(makes: Sequence[Make], density: float) -> Tensor:
    """SCE: the places of largest variance, adapters weighed by energy there, minorities erased.

    For one adapter there is no variance, so every place is kept.
    """
    mean, square = 0.0, 0.0
    for make in makes:
        part = make()
        mean, square = mean + part / len(makes), square + part.square() / len(makes)
    variance = torch.as_tensor(square) - torch.as_tensor(mean).square()
    chosen = _at_least(variance, density if len(makes) > 1 else 1.0)
    energies = [float((make() * chosen).square().mean()) for make in makes]
    whole = sum(energies) or 1.0
    elected = torch.zeros_like(variance)
    for make, energy in zip(makes, energies, strict=True):
        elected += make() * chosen * (energy / whole)
    elected.sign_()
    total, mass = torch.zeros_like(variance), torch.zeros_like(variance)
    for make, energy in zip(makes, energies, strict=True):
        part = make() * chosen
        agrees = (part.sign() == elected) & (part != 0)
        total += torch.where(agrees, part * (energy / whole), 0.0)
        mass += energy / whole * agrees
    return torch.where(mass > 0, total / mass.clamp(min=1e-300), 0.0)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
