"""The loop of every method on one base: module by module, factors in, one fused update out."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.errors import Both, NoOp, UnsupportedAdapter, WrongCount, both
from shared.orders import WorkOrder
from shared.specs.fusion.same_base import SameBase
from worker.fusion.canonical import WEIGHTS, CanonicalAdapter
from worker.fusion.factors import Factors, Truncation, frobenius
from worker.fusion.peft_folder import PeftFolder
from worker.fusion.profile import uniform_rank
from worker.fusion.same_base import modules_of, open_donors
from worker.fusion.saved_modules import SavedModules
from worker.reporting import AdapterResult, Report, Stopped

#: A result this small beside what went into it is the rounding of a cancellation, not an update.
_CANCELLED = 1e-6


@dataclass(frozen=True)
class Site:
    """One module, and the updates of those adapters that have it."""

    module: str
    updates: list[Factors]
    #: The updates' weights, and their adapters' places in the order.
    weights: list[float]
    places: list[int]
    #: Digests of the adapters' files, which tell updates of one size apart.
    keys: list[str]
    #: Largest rank of the result; 0 leaves it to the method.
    rank: int


@dataclass(frozen=True)
class Fused:
    """One module's fused update and the size of what went into it."""

    fused: Truncation
    #: Σ |w_t|·‖ΔW_t‖_F: what a sum's norm would be without any cancellation.
    inputs: float

    @property
    def cancelled(self) -> bool:
        """Whether nothing but rounding is left of the inputs."""
        return self.fused.norm <= _CANCELLED * self.inputs or self.fused.factors.rank == 0

    @property
    def nothing(self) -> Factors:
        """A zero update of rank 1 and the same shape, to hold a place for a bias."""
        out, width = self.fused.factors.shape
        return Factors(torch.zeros(out, 1), torch.zeros(1, width))


Combine = Callable[[Site], Fused]


def shares(params: SameBase, donors: int) -> list[float]:
    """The weights of the spec, or equal ones that sum to 1. Raises WrongCount."""
    given: list[float] = list(getattr(params, "weights", []))
    if given and len(given) != donors:
        raise WrongCount(method=params.method, wanted=f"{donors} weights", given=len(given))
    return given or [1 / donors] * donors


def ranked(updates: Sequence[Factors], keys: Sequence[str]) -> list[int]:
    """Each update's place when they are sorted by size, 0 for the smallest.

    What random draws are keyed to: neither the adapters' order nor other factors of the same
    updates change it. `keys` (the files' digests) settle sizes that agree to six digits.
    """
    return ranked_sizes([frobenius(update) for update in updates], keys)


def ranked_sizes(sizes: Sequence[float], keys: Sequence[str]) -> list[int]:
    """The same of sizes that are known."""
    rounded = [(float(f"{size:.5e}"), key) for size, key in zip(sizes, keys, strict=True)]
    order = sorted(range(len(rounded)), key=rounded.__getitem__)
    return [order.index(place) for place in range(len(order))]


def fuse_modules(
    order: WorkOrder,
    params: SameBase,
    report: Report,
    combine: Combine,
    *,
    donors: Sequence[CanonicalAdapter] | None = None,
) -> AdapterResult:
    """Fuse the order's adapters into `order.out`; memory holds one module at a time.

    Raises WrongBase, WrongCount, UnsupportedAdapter, and NoOp when the result is zero.
    """
    donors = donors or open_donors(order, report, params)
    weights = shares(params, len(donors))
    modules = modules_of(donors)
    keys = [digest(donor.folder) for donor in order.adapters]
    rank = uniform_rank(params, donors) or params.rank
    saved = SavedModules(donors, weights, params)
    facts: dict[str, Any] = {"weights": list(weights), "modules": {}}
    norm = inputs = dropped = 0.0
    report.phase("fusing")
    folder = PeftFolder(
        order.out, modules, order.adapters[0].base.name,
        fan_in_fan_out=donors[0].fan_in_fan_out, uniform=uniform_rank(params, donors),
        biased=any(donor.biased for donor in donors), saved=saved.names,
    )  # fmt: skip
    with folder:
        for done, module in enumerate(modules, start=1):
            if report.stop_requested():
                raise Stopped
            made = combine(_site(donors, weights, keys, module, rank))
            bias = _bias(donors, weights, module)
            if not made.cancelled:
                folder.add(module, made.fused.factors, bias)
            elif bias is not None:
                folder.add(module, made.nothing, bias)
            facts["modules"][module] = _module_facts(donors, module, made)
            norm += made.fused.norm**2
            inputs += made.inputs**2
            dropped += made.fused.dropped
            report.progress(done, len(modules), "modules")
        for name, value in saved.parameters():
            folder.add_saved(name, value)
        if not folder.ranks or (
            norm <= _CANCELLED**2 * inputs and not any(donor.biased for donor in donors)
        ):
            raise NoOp(why=_why_zero(donors, weights, inputs))
    facts["dropped_energy"] = dropped / norm if norm else 0.0
    if saved.names:
        facts["saved_modules"] = saved.facts()
    if dora := {
        donor.name: max(donor.dora_dropped.values()) for donor in donors if donor.dora_dropped
    }:
        facts["dora_dropped"] = dora
        report.log(
            both(
                f"DoRA as plain factors lost at most these shares of a module's energy: {dora}",
                f"DoRA 转为普通因子后，各适配器单个模块损失能量的最大比例：{dora}",
            )
        )
    facts["norm"] = norm**0.5
    share = f"{100 * facts['dropped_energy']:.4g}%"
    report.log(
        both(
            f"{params.method}: {len(donors)} adapters over {len(modules)} modules: rank "
            f"{folder.rank}, {share} of the energy dropped",
            f"{params.method}：{len(donors)} 个适配器、{len(modules)} 个模块：秩 {folder.rank}，"
            f"舍去能量 {share}",
        )
    )
    return AdapterResult(order.out, folder.rank, facts)


def _site(
    donors: Sequence[CanonicalAdapter],
    weights: Sequence[float],
    keys: Sequence[str],
    module: str,
    rank: int,
) -> Site:
    places = [place for place, donor in enumerate(donors) if module in donor.modules]
    updates: list[Factors] = []
    for place in places:
        updates.append(donors[place].factors(module))
        if updates[-1].shape != updates[0].shape:
            sizes = " and ".join("x".join(map(str, update.shape)) for update in updates)
            problem = both(
                f"{module} has other sizes than in the adapters before it ({sizes})",
                f"{module} 的大小与前面的适配器不同（{sizes}）",
            )
            raise UnsupportedAdapter(adapter=donors[place].name, problem=problem)
    return Site(
        module, updates, [weights[place] for place in places], places,
        [keys[place] for place in places], rank,
    )  # fmt: skip


def _bias(
    donors: Sequence[CanonicalAdapter], weights: Sequence[float], module: str
) -> Tensor | None:
    """Σ w_t·bias_t, whatever the method does to the factors; None where nobody has one."""
    parts = [
        weight * bias
        for donor, weight in zip(donors, weights, strict=True)
        if module in donor.biased and (bias := donor.bias(module)) is not None
    ]
    return torch.stack(parts).sum(dim=0) if parts else None


def digest(folder: Path) -> str:
    """SHA-256 of an adapter's weights file."""
    with (folder / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _module_facts(donors: Sequence[CanonicalAdapter], module: str, made: Fused) -> dict[str, Any]:
    present = {donor.name: donor.modules[module] for donor in donors if module in donor.modules}
    norm = made.fused.norm
    return {
        "shape": list(next(iter(present.values())).shape),
        "ranks": {name: described.rank for name, described in present.items()},
        "rank": 0 if made.cancelled else made.fused.factors.rank,
        "norm": norm,
        "dropped_energy": made.fused.dropped / norm**2 if norm else 0.0,
    }


def _why_zero(donors: Sequence[CanonicalAdapter], weights: Sequence[float], inputs: float) -> Both:
    listed = ", ".join(
        f"{weight:g} of {donor.name}" for donor, weight in zip(donors, weights, strict=True)
    )
    if inputs > 0:
        return both(
            f"the weighted updates cancel each other in every module ({listed}).",
            f"加权更新在每个模块中都相互抵消（{listed}）。",
        )
    return both(
        f"every weighted update is zero ({listed}): a weight of 0 or an untrained adapter.",
        f"所有加权更新均为零（{listed}）：权重为 0，或适配器未经训练。",
    )
