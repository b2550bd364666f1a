"""The elementwise methods: TIES, DARE, DARE-TIES, DELLA, Breadcrumbs, magnitude prune and SCE.

Each is a row: which elements of an update are kept, and how signs are settled. `space` says which
elements: of ΔW itself (as published; ΔW loses its low rank, so that the way back to factors drops
energy, which is reported), of KnOTS' shared output basis, or of the rotated cores of Core Space.
Cost a module: dense O(k·out·in) and a truncated SVD; knots and core O((out + in)·K² + k·K³).
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from shared.orders import WorkOrder
from shared.specs.fusion.same_base import Drawn, Sparse
from shared.specs.fusion.sparse import (
    Breadcrumbs,
    Dare,
    DareTies,
    Della,
    MagnitudePrune,
    Sce,
    Ties,
)
from worker.fusion import coordinates
from worker.fusion.elements import (
    Rule,
    drawn,
    drawn_by_size,
    largest,
    merge,
    middle,
    select_calculate_erase,
)
from worker.fusion.factors import frobenius
from worker.fusion.modules import Fused, Site, fuse_modules, ranked
from worker.reporting import AdapterResult, Report

#: Method by method: what it keeps and how it settles signs. SCE has weights of its own.
RULES: Mapping[type[Sparse], Callable[[Any], Rule]] = {
    Ties: lambda p: Rule(largest(p.density), p.election),
    Dare: lambda p: Rule(drawn(p.density), "none"),
    DareTies: lambda p: Rule(drawn(p.density), p.election),
    Della: lambda p: Rule(drawn_by_size(p.density, p.epsilon), p.election),
    Breadcrumbs: lambda p: Rule(middle(p.density, p.outliers), p.election),
    MagnitudePrune: lambda p: Rule(largest(p.density), "none"),
}
_SPACES = {"dense": coordinates.dense, "knots": coordinates.knots, "core": coordinates.core}


def sparse(order: WorkOrder, params: Sparse, report: Report) -> AdapterResult:
    """Fuse the order's adapters by the elementwise rule of the method, into `order.out`.

    Sources: the docstrings of the parameters classes. Raises WrongBase, WrongCount,
    UnsupportedAdapter, and NoOp when the result is zero.
    """
    return fuse_modules(order, params, report, lambda site: _combine(site, params))


def _combine(site: Site, params: Sparse) -> Fused:
    makes, back = _SPACES[params.space](site.updates, site.rank)
    if isinstance(params, Sce):
        merged = select_calculate_erase(makes, params.density)
    else:
        seed = params.seed if isinstance(params, Drawn) else 0
        seeds = [_seed(seed, place, site.module) for place in ranked(site.updates, site.keys)]
        merged = merge(makes, site.weights, seeds, RULES[type(params)](params))
    inputs = sum(
        abs(weight) * frobenius(update)
        for weight, update in zip(site.weights, site.updates, strict=True)
    )
    return Fused(back(merged).scaled(params.scale), inputs)


def _seed(seed: int, place: int, module: str) -> int:
    """Of one update's draws: by its place among the updates by size, not in the order."""
    digest = hashlib.sha256(f"{seed} {place} {module}".encode()).digest()
    return int.from_bytes(digest[:8]) % 2**63
