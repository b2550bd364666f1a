"""Weight transport: the donor's factors carried into the host's spaces by maps of activations.

With h the inputs and y the outputs of matched modules at the same places of text:
ΔW_T = M_out·ΔW_S·M_in, so A_T = A_S·M_in and B_T = M_out·B_S keep the rank. Procrustes takes
orthogonal maps (Theseus, arXiv 2602.12952). Ridge regresses the adapter's bottleneck
Z = H_S·A_Sᵀ on the host's inputs, A_T = (argmin ‖Z - H_T·X‖² + λ‖X‖²)ᵀ, and the host's outputs on
the donor's. A map of outputs is fitted on what the base itself writes: of a module that widens
(gate, up) the part of B outside its weight's range is lost. Cost: one forward pass over the texts
of both bases for each layer of the host, one layer's activations in memory; no labels, no
gradients.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from shared.errors import NoOp, WrongCount, both
from shared.formats import read_questions
from shared.orders import WorkOrder
from shared.specs import Procrustes, Ridge
from worker.checkpoints import load_base
from worker.fusion.activations import Paired, pair_texts, read_and_written
from worker.fusion.canonical import CanonicalAdapter
from worker.fusion.factors import Factors
from worker.fusion.inheritance import inherited
from worker.fusion.landing import landing_facts, probe, write_landed
from worker.fusion.maps import cka, explained, monotone_layers, procrustes, ridge
from worker.fusion.module_map import Landing, ModuleMap, map_modules
from worker.fusion.probing import layer_outputs
from worker.fusion.structure import Slot, structure, structure_of
from worker.reporting import AdapterResult, Report, Stopped
from worker.skeletons import read_config

#: Inputs and outputs of a module at the paired places.
Flow = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Carried:
    """One projection's factors on the host, and what share of held-out activations its two maps
    explain."""

    factors: Factors
    r2_in: float
    r2_out: float


def transport(order: WorkOrder, params: Procrustes | Ridge, report: Report) -> AdapterResult:
    """Carry the order's one adapter onto its host base, into `order.out`.

    Raises NoOp where no module passes the gate or no logit changes; WrongCount, BadBase,
    UnsupportedAdapter, Stopped.
    """
    if len(order.adapters) != 1 or order.base is None or order.dataset is None:
        given = len(order.adapters)
        raise WrongCount(method=params.method, wanted="one adapter", given=given)
    source = order.adapters[0]
    report.phase("reading prompts")
    rows = read_questions(order.dataset.path, order.dataset.format)
    rows = rows[: params.rows] if params.rows else rows
    donor = CanonicalAdapter(source.name, source.folder)
    report.phase("loading bases")
    theirs = load_base(source.base, order.device, "auto")
    ours = load_base(order.base, order.device, "auto")
    template = str(inherited(order.adapters)["template"])
    paired = pair_texts(theirs, ours, rows, template, params.tokens)
    shapes = {name: module.shape for name, module in donor.modules.items()}
    offered = structure(source.base.name, read_config(source.base), shapes)
    host = structure_of(order.base)
    depths = None if params.layers == "proportional" else _alike(paired)
    found = map_modules(offered, host, "pad", depths, params.layer_shift)
    report.phase("carrying")
    landed, modules = _carry(donor, found, params, paired, report)
    if not landed:
        why = both(
            f'no map for "{donor.name}" has a held-out R² of {params.least_r2:g} or more.',
            f"“{donor.name}”没有任何映射的留出 R² 达到 {params.least_r2:g}。",
        )
        raise NoOp(why=why)
    rank = write_landed(order, host, landed)
    kept = sum(each["kept"] for each in modules)
    report.log(
        both(
            f"{kept} of {len(modules)} projections carried over, fitted on "
            f"{len(paired.held_out)} places ({paired.share:.0%} of the host's tokens)",
            f"{len(modules)} 个投影中的 {kept} 个已迁移，按 {len(paired.held_out)} 个位置拟合"
            f"（占宿主词元的 {paired.share:.0%}）",
        )
    )
    facts = landing_facts(donor, host, found) | {
        "projections": modules, "paired_share": paired.share, "places": len(paired.held_out),
        "layer_map": depths, "logit_change": probe(order, ours[0]),
    }  # fmt: skip
    return AdapterResult(order.out, rank, facts)


def _carry(
    donor: CanonicalAdapter,
    found: ModuleMap,
    params: Procrustes | Ridge,
    paired: Paired,
    report: Report,
) -> tuple[dict[str, list[tuple[Slot, Factors]]], list[dict[str, Any]]]:
    """What passes the gate, by host module; and a record of every projection."""
    landed: dict[str, list[tuple[Slot, Factors]]] = {}
    modules: list[dict[str, Any]] = []
    layers = sorted({each[0].host.layer for each in found.landings.values()})
    for done, layer in enumerate(layers, start=1):
        if report.stop_requested():
            raise Stopped
        here = [
            each
            for all_of in found.landings.values()
            for each in all_of
            if each.host.layer == layer
        ]
        theirs = read_and_written(paired.donor, {each.donor.module for each in here})
        ours = read_and_written(paired.host, {each.host.module for each in here})
        maps = _Maps(paired.held_out)
        for each in here:
            flows = _flow(theirs, each.donor), _flow(ours, each.host)
            made = _carried(donor, each, params, *flows, maps)
            kept = min(made.r2_in, made.r2_out) >= params.least_r2
            if kept:
                landed.setdefault(each.host.module, []).append((each.host, made.factors))
            modules.append(
                {"module": each.host.module, "part": each.host.name, "from": each.donor.module,
                 "r2_in": made.r2_in, "r2_out": made.r2_out, "kept": kept}
            )  # fmt: skip
        report.progress(done, len(layers), "layers")
    return landed, modules


def _flow(flows: Mapping[str, Flow], slot: Slot) -> Flow:
    given, made = flows[slot.module]
    return given, made[:, slot.index]


def _carried(
    donor: CanonicalAdapter,
    landing: Landing,
    params: Procrustes | Ridge,
    theirs: Flow,
    ours: Flow,
    maps: "_Maps",
) -> Carried:
    """Fit both maps of one projection on the places that are not held out."""
    part = donor.factors(landing.donor.module)
    part = part.at(landing.donor.index)
    a, b = part.a.to(theirs[0]), part.b.to(theirs[0])
    held = maps.held_out.to(a.device)
    bottleneck = theirs[0] @ a.T
    if isinstance(params, Ridge):
        new_a = ridge(ours[0][~held], bottleneck[~held], params.penalty)
        out = ridge(theirs[1][~held], ours[1][~held], params.penalty)
    else:
        new_a = a @ maps.between(ours[0], theirs[0])
        # What a module writes has no more dimensions than what it reads.
        most = min(theirs[0].shape[1], ours[0].shape[1])
        out = procrustes(theirs[1][~held], ours[1][~held], most)
    made = Factors((out @ b * (params.scale * landing.share)).cpu(), new_a.cpu())
    return Carried(
        made,
        explained(ours[0][held] @ new_a.T, bottleneck[held]),
        explained(theirs[1][held] @ out.T, ours[1][held]),
    )


class _Maps:
    """One layer's Procrustes maps of inputs, which several of its modules share."""

    def __init__(self, held_out: Tensor) -> None:
        self.held_out = held_out
        self._found: dict[tuple[int, int], Tensor] = {}

    def between(self, source: Tensor, target: Tensor) -> Tensor:
        """The map fitted on the places that are not held out."""
        key = (id(source), id(target))
        if key not in self._found:
            fit = ~self.held_out.to(source.device)
            self._found[key] = procrustes(source[fit], target[fit])
        return self._found[key]


def _alike(paired: Paired) -> list[int]:
    """The donor layer of each host layer by the CKA of what the layers put out."""
    donor, host = layer_outputs(paired)
    return monotone_layers([[cka(theirs, own) for theirs in donor] for own in host])
