"""Two published transfers from weights alone, for comparison: Cross-LoRA and ProLoRA.

With truncated SVDs W ≈ U·Σ·Vᵀ of matched base weights (S donor, T host):
Cross-LoRA (arXiv 2508.05232): ΔW_T = U_T·U_Sᵀ·ΔW_S·V_S·V_Tᵀ, the reading of its equation 7 whose
sizes agree for bases of different width. Direction i of the donor is put on direction i of the
host although both signs are arbitrary, so two equally valid SVDs give unrelated results.
ProLoRA (arXiv 2506.04244): ΔW_T = P_T·P_S·ΔW_S·Q_S·Q_T + (1-P_T)(1-P_S)·ΔW_S·(1-Q_S)(1-Q_T) with
P = U·Uᵀ and Q = V·Vᵀ, for bases of one shape. Cost: an SVD of every matched weight; no data.
"""

from typing import Any

import torch
from torch import Tensor

from shared.errors import NoOp, WrongCount
from shared.orders import WorkOrder
from shared.specs import CrossLora, ProLora
from worker.checkpoints import load_base
from worker.fusion.canonical import CanonicalAdapter
from worker.fusion.factors import Factors
from worker.fusion.landing import landing_facts, probe, why_nothing_landed, write_landed
from worker.fusion.module_map import map_modules
from worker.fusion.structure import Slot, structure, structure_of
from worker.reporting import AdapterResult, Report, Stopped
from worker.skeletons import read_config


def project(order: WorkOrder, params: CrossLora | ProLora, report: Report) -> AdapterResult:
    """Project the order's one adapter onto its host base, into `order.out`.

    Raises NoOp where nothing lands or no logit changes; WrongCount, BadBase, UnsupportedAdapter,
    Stopped.
    """
    if len(order.adapters) != 1 or order.base is None:
        given = len(order.adapters)
        raise WrongCount(method=params.method, wanted="one adapter", given=given)
    source = order.adapters[0]
    donor = CanonicalAdapter(source.name, source.folder)
    shapes = {name: module.shape for name, module in donor.modules.items()}
    offered = structure(source.base.name, read_config(source.base), shapes)
    host = structure_of(order.base)
    resize = "refuse" if isinstance(params, ProLora) else "pad"
    found = map_modules(offered, host, resize)
    if not found.landings:
        raise NoOp(why=why_nothing_landed(donor, host, found))
    report.phase("loading bases")
    # On the CPU: only weights are read, and a GPU's SVD of one matrix after another is slower.
    theirs, _ = load_base(source.base, "cpu", "fp32")
    ours, _ = load_base(order.base, "cpu", "fp32")
    generator = (
        torch.Generator().manual_seed(params.seed) if isinstance(params, CrossLora) else None
    )
    report.phase("projecting")
    landed: dict[str, list[tuple[Slot, Factors]]] = {}
    for done, (module, landings) in enumerate(found.landings.items(), start=1):
        if report.stop_requested():
            raise Stopped
        for each in landings:
            part = donor.factors(each.donor.module)
            part = part.at(each.donor.index)
            weights = _weight(theirs, each.donor), _weight(ours, each.host)
            if isinstance(params, CrossLora):
                drawn = generator if params.seed else None
                made = cross_lora(part, *weights, params.subspace, drawn)
            else:
                made = pro_lora(part, *weights, params.subspace)
            moved = made.scaled(params.scale * each.share)
            landed.setdefault(module, []).append((each.host, moved))
        report.progress(done, len(found.landings), "modules")
    rank = write_landed(order, host, landed)
    facts = landing_facts(donor, host, found) | {"logit_change": probe(order, ours)}
    return AdapterResult(order.out, rank, facts)


def cross_lora(
    update: Factors,
    donor: Tensor,
    host: Tensor,
    subspace: int,
    generator: torch.Generator | None = None,
) -> Factors:
    """U_T·U_Sᵀ·ΔW_S·V_S·V_Tᵀ with `subspace` directions; `generator` draws the host's signs."""
    size = min(subspace, *donor.shape, *host.shape)
    u_donor, _, v_donor = _directions(donor, size)
    u_host, _, v_host = _directions(host, size)
    if generator is not None:
        u_host = u_host * (torch.randint(0, 2, (size,), generator=generator) * 2 - 1)
    b, a = update.b.double(), update.a.double()
    return Factors((u_host @ (u_donor.T @ b)).float(), ((a @ v_donor) @ v_host.T).float())


def pro_lora(update: Factors, donor: Tensor, host: Tensor, subspace: int) -> Factors:
    """Range part in the host's range, null part in its null space; rank 2r. Shapes are equal."""
    size = min(subspace, *donor.shape)
    u_donor, _, v_donor = _directions(donor, size)
    u_host, _, v_host = _directions(host, size)
    b, a = update.b.double(), update.a.double().T
    inside = (_onto(u_host, _onto(u_donor, b)), _onto(v_host, _onto(v_donor, a)))
    outside = (_off(u_host, _off(u_donor, b)), _off(v_host, _off(v_donor, a)))
    return Factors(
        torch.cat([inside[0], outside[0]], dim=1).float(),
        torch.cat([inside[1], outside[1]], dim=1).T.contiguous().float(),
    )


def _directions(weight: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """U (out, size), Σ and V (in, size) of a weight, fp64."""
    u, sigma, vh = torch.linalg.svd(weight.double(), full_matrices=False)
    return u[:, :size].cpu(), sigma[:size].cpu(), vh[:size].T.cpu()


def _onto(basis: Tensor, columns: Tensor) -> Tensor:
    return basis @ (basis.T @ columns)


def _off(basis: Tensor, columns: Tensor) -> Tensor:
    return columns - _onto(basis, columns)


def _weight(model: Any, slot: Slot) -> Tensor:
    """The base's weight of one projection, (rows, width)."""
    return model.get_submodule(slot.module).weight.detach()[slot.index]
