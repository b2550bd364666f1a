"""Arrow routing: the adapters side by side in one folder, with the direction each listens to."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from shared.errors import NoOp, both
from shared.orders import WorkOrder
from shared.specs.fusion.arrow import Arrow
from worker.fusion.canonical import CanonicalAdapter
from worker.fusion.factors import CoreSpace, Factors
from worker.fusion.peft_folder import PeftFolder
from worker.fusion.same_base import modules_of, open_donors
from worker.reporting import AdapterResult, Report, Stopped
from worker.routing import PROTOTYPES, Routes

#: The folder of the adapters as PEFT's create_arrow_model takes them: one rank, the same modules.
EXPERTS = "experts"


def arrow(order: WorkOrder, params: Arrow, report: Report) -> AdapterResult:
    """y += Σ_t g_t(x)·ΔW_t·x with g the softmax over the top_k largest |x·v_t| / temperature.

    v_t is the first right singular vector of ΔW_t, so the routing hangs on the update alone, not
    on how it is factored. Source: Ostapenko et al. 2024 (arXiv 2405.11157). `order.out` holds the
    mean as one exact stacked adapter with its routes, and `experts/NAME`. Cost O((out + in)·r²) an
    adapter and module, and the sum of the ranks at run time. Raises WrongBase, UnsupportedAdapter,
    and NoOp when every update is zero.
    """
    donors = open_donors(order, report)
    modules = modules_of(donors)
    widest = max(each.rank for donor in donors for each in donor.modules.values())
    base, turned = order.adapters[0].base.name, donors[0].fan_in_fan_out
    prototypes: dict[str, Tensor] = {}
    ranks: dict[str, list[int]] = {}
    report.phase("fusing")
    with ExitStack() as open_:
        whole = open_.enter_context(PeftFolder(order.out, modules, base, fan_in_fan_out=turned))
        apart = [
            open_.enter_context(
                PeftFolder(folder, modules, base, fan_in_fan_out=turned, uniform=widest)
            )
            for folder in _folders(order.out, donors)
        ]
        for done, module in enumerate(modules, start=1):
            if report.stop_requested():
                raise Stopped
            experts = _experts(donors, module)
            whole.add(module, _mean(experts))
            for folder, expert in zip(apart, experts, strict=True):
                folder.add(module, expert)
            prototypes[module] = torch.stack([direction(expert) for expert in experts])
            ranks[module] = [expert.rank for expert in experts]
            report.progress(done, len(modules), "modules")
    if not any(bool(each.any()) for each in prototypes.values()):
        why = both("every update is zero: untrained adapters.", "所有更新均为零：适配器未经训练。")
        raise NoOp(why=why)
    save_file(prototypes, order.out / PROTOTYPES, {"format": "pt"})
    names = [donor.name for donor in donors]
    Routes(names, ranks, params.top_k, params.temperature).write(order.out)
    facts = {"experts": names, "top_k": min(params.top_k, len(names))}
    return AdapterResult(order.out, whole.rank, facts)


def direction(update: Factors) -> Tensor:
    """(in,), fp32: the first right singular vector of the update; zeros for a zero update."""
    space = CoreSpace([update])
    found = space.realise(space.cores[0], 1)
    a = found.factors.a[0].float() if found.norm > 0 else torch.zeros(update.shape[1])
    return a / a.norm().clamp_min(torch.finfo(torch.float32).tiny)


def _folders(out: Path, donors: Sequence[CanonicalAdapter]) -> list[Path]:
    return [out / EXPERTS / donor.name for donor in donors]


def _experts(donors: Sequence[CanonicalAdapter], module: str) -> list[Factors]:
    """Each adapter's update of the module; a zero one where it has none."""
    found = [donor.factors(module) if module in donor.modules else None for donor in donors]
    out, width = next(each.shape for each in found if each is not None)
    nothing = Factors(torch.zeros(out, 1), torch.zeros(1, width))
    return [nothing if each is None else each for each in found]


def _mean(experts: Sequence[Factors]) -> Factors:
    b = torch.cat([expert.b for expert in experts], dim=1) / len(experts)
    return Factors(b, torch.cat([expert.a for expert in experts]))
