"""The donor's factors put into the host base's modules of the same name and relative depth.

The weight-only transfer that the seed of this project used. It helps where the host is a
continuation of the donor and does nothing, or harm, elsewhere; it is here as an honest baseline,
so a copy that lands nowhere or changes no logit is refused as NO-OP.
"""

from torch.nn.functional import pad

from shared.errors import NoOp, WrongCount, both
from shared.orders import WorkOrder
from shared.specs import Copy
from worker.fusion.canonical import CanonicalAdapter
from worker.fusion.factors import Factors
from worker.fusion.landing import landing_facts, probe, why_nothing_landed, write_landed
from worker.fusion.module_map import Landing, map_modules
from worker.fusion.structure import Slot, structure, structure_of
from worker.reporting import AdapterResult, Report, Stopped
from worker.skeletons import read_config


def copy(order: WorkOrder, params: Copy, report: Report) -> AdapterResult:
    """Copy the order's one adapter onto its host base, into `order.out`.

    Only the host's configuration is read to map modules; its weights are loaded at the end, to
    see that the copy changes its logits. Raises NoOp, WrongCount, BadBase, UnsupportedAdapter.
    """
    if len(order.adapters) != 1 or order.base is None:
        raise WrongCount(method="copy", wanted="one adapter", given=len(order.adapters))
    donor_base, host_base = order.adapters[0].base, order.base
    report.phase("mapping modules")
    donor = CanonicalAdapter(order.adapters[0].name, order.adapters[0].folder)
    shapes = {name: module.shape for name, module in donor.modules.items()}
    offered = structure(donor_base.name, read_config(donor_base), shapes)
    host = structure_of(host_base)
    found = map_modules(offered, host, params.resize, shift=params.layer_shift)
    if not found.landings:
        raise NoOp(why=why_nothing_landed(donor, host, found))
    report.phase("copying")
    landed: dict[str, list[tuple[Slot, Factors]]] = {}
    for done, (module, landings) in enumerate(found.landings.items(), start=1):
        if report.stop_requested():
            raise Stopped
        landed[module] = [(each.host, _fitted(donor, each, params.scale)) for each in landings]
        report.progress(done, len(found.landings), "modules")
    rank = write_landed(order, host, landed)
    report.log(
        both(
            f"copied {len(found.landed)} of the donor's {len(donor.modules)} modules into "
            f"{len(found.landings)} of {host.base}",
            f"已将供体 {len(donor.modules)} 个模块中的 {len(found.landed)} 个复制到 {host.base} 的 "
            f"{len(found.landings)} 个模块",
        )
    )
    report.phase("probing the host")
    facts = landing_facts(donor, host, found) | {"logit_change": probe(order)}
    return AdapterResult(order.out, rank, facts)


def _fitted(donor: CanonicalAdapter, landing: Landing, scale: float) -> Factors:
    """The donor's part cut to the target's rows and width, or filled with zeros up to them."""
    source, target = landing.donor, landing.host
    part = donor.factors(source.module).at(source.index)
    part = part.scaled(scale * landing.share)
    rows, width = part.shape
    b = pad(part.b[: target.rows], (0, 0, 0, max(0, target.rows - rows)))
    a = pad(part.a[:, : target.width], (0, max(0, target.width - width)))
    return Factors(b, a)
