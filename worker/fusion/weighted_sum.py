"""Exact weighted sum of adapters of one base: ΔW = Σ w_t·ΔW_t, module by module, base never loaded.

Source: task arithmetic (Ilharco et al. 2023, arXiv 2212.04089). Cost O((out + in)·K²) a module,
K the sum of the ranks; the result of a chosen rank is the best one in Frobenius norm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from shared.errors import NoOp, UnsupportedAdapter, WrongCount
from shared.orders import WorkOrder
from shared.specs import WeightedSum
from worker.fusion.canonical import CanonicalAdapter
from worker.fusion.factors import CoreSpace, Factors, Truncation
from worker.fusion.peft_folder import PeftFolder
from worker.fusion.same_base import modules_of, open_donors
from worker.reporting import AdapterResult, Report, Stopped

#: A sum this small beside what went into it is the rounding of a cancellation, not an update.
_CANCELLED = 1e-6


@dataclass(frozen=True)
class Sum:
    """One module's weighted sum and the sizes of what went into it."""

    fused: Truncation
    #: Σ |w_t|·‖ΔW_t‖_F: what the sum's norm would be without any cancellation.
    inputs: float

    @property
    def cancelled(self) -> bool:
        """Whether nothing but rounding is left of the inputs."""
        return self.fused.norm <= _CANCELLED * self.inputs or self.fused.factors.rank == 0


def sum_updates(updates: Sequence[Factors], weights: Sequence[float], rank: int = 0) -> Sum:
    """Σ weights[t]·updates[t] of one module, at most of `rank`; 0 keeps it exact."""
    space = CoreSpace(updates)
    cores = [weight * core for weight, core in zip(weights, space.cores, strict=True)]
    inputs = sum(float(core.norm()) for core in cores)
    return Sum(space.realise(torch.stack(cores).sum(dim=0), rank), inputs)


def weighted_sum(order: WorkOrder, params: WeightedSum, report: Report) -> AdapterResult:
    """Fuse the order's adapters into `order.out`.

    Raises WrongBase, WrongCount, UnsupportedAdapter, and NoOp when the sum is zero.
    """
    donors = open_donors(order, report)
    weights = params.weights or [1 / len(donors)] * len(donors)
    if len(weights) != len(donors):
        wanted = f"{len(donors)} weights"
        raise WrongCount(method=params.method, wanted=wanted, given=len(weights))
    modules = modules_of(donors)
    facts: dict[str, Any] = {"weights": list(weights), "modules": {}}
    norm = inputs = dropped = 0.0
    report.phase("summing")
    base = order.adapters[0].base.name
    transposed = donors[0].fan_in_fan_out
    with PeftFolder(order.out, modules, base, fan_in_fan_out=transposed) as folder:
        for done, module in enumerate(modules, start=1):
            if report.stop_requested():
                raise Stopped
            made = _sum_module(donors, weights, module, params.rank)
            if not made.cancelled:
                folder.add(module, made.fused.factors)
            facts["modules"][module] = _module_facts(donors, module, made)
            norm += made.fused.norm**2
            inputs += made.inputs**2
            dropped += made.fused.dropped
            report.progress(done, len(modules), "modules")
        if norm <= _CANCELLED**2 * inputs or not folder.ranks:
            raise NoOp(why=_why_zero(donors, weights, inputs))
    facts["dropped_energy"] = dropped / norm
    facts["norm"] = norm**0.5
    report.log(
        f"summed {len(donors)} adapters over {len(modules)} modules: rank {folder.rank}, "
        f"{100 * facts['dropped_energy']:.4g}% of the energy dropped"
    )
    return AdapterResult(order.out, folder.rank, facts)


def _sum_module(
    donors: Sequence[CanonicalAdapter], weights: Sequence[float], module: str, rank: int
) -> Sum:
    """The sum over those donors that adapt the module; the others add zero."""
    updates: list[Factors] = []
    shares: list[float] = []
    for donor, weight in zip(donors, weights, strict=True):
        if module in donor.modules:
            updates.append(donor.factors(module))
            shares.append(weight)
            if updates[-1].shape != updates[0].shape:
                sizes = " and ".join("x".join(map(str, update.shape)) for update in updates)
                problem = f"{module} has other sizes than in the adapters before it ({sizes})"
                raise UnsupportedAdapter(adapter=donor.name, problem=problem)
    return sum_updates(updates, shares, rank)


def _module_facts(donors: Sequence[CanonicalAdapter], module: str, made: Sum) -> dict[str, Any]:
    present = {donor.name: donor.modules[module] for donor in donors if module in donor.modules}
    norm = made.fused.norm
    return {
        "shape": list(next(iter(present.values())).shape),
        "ranks": {name: described.rank for name, described in present.items()},
        "rank": 0 if made.cancelled else made.fused.factors.rank,
        "norm": norm,
        "dropped_energy": made.fused.dropped / norm**2 if norm else 0.0,
    }


def _why_zero(donors: Sequence[CanonicalAdapter], weights: Sequence[float], inputs: float) -> str:
    listed = ", ".join(
        f"{weight:g} of {donor.name}" for donor, weight in zip(donors, weights, strict=True)
    )
    if inputs > 0:
        return f"the weighted updates cancel each other in every module ({listed})."
    return f"every weighted update is zero ({listed}): a weight of 0 or an untrained adapter."
