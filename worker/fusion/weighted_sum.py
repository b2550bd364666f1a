"""Exact weighted sum of adapters of one base: ΔW = Σ w_t·ΔW_t, module by module, base never loaded.

With output rank 0 it is what others call `cat`, with a smaller one `svd`. Source: task arithmetic
(Ilharco et al. 2023, arXiv 2212.04089). Cost O((out + in)·K²) a module, K the sum of the ranks;
the result of a chosen rank is the best one in Frobenius norm.
"""

from collections.abc import Sequence

import torch

from shared.orders import WorkOrder
from shared.specs import WeightedSum
from worker.fusion.factors import CoreSpace, Factors
from worker.fusion.modules import Fused, Site, fuse_modules
from worker.reporting import AdapterResult, Report


def sum_updates(updates: Sequence[Factors], weights: Sequence[float], rank: int = 0) -> Fused:
    """Σ weights[t]·updates[t] of one module, at most of `rank`; 0 keeps it exact."""
    space = CoreSpace(updates)
    cores = [weight * core for weight, core in zip(weights, space.cores, strict=True)]
    inputs = sum(float(core.norm()) for core in cores)
    return Fused(space.realise(torch.stack(cores).sum(dim=0), rank), inputs)


def weighted_sum(order: WorkOrder, params: WeightedSum, report: Report) -> AdapterResult:
    """Fuse the order's adapters into `order.out`.

    Raises WrongBase, WrongCount, UnsupportedAdapter, and NoOp when the sum is zero.
    """

    def combine(site: Site) -> Fused:
        return sum_updates(site.updates, site.weights, site.rank)

    return fuse_modules(order, params, report, combine)
