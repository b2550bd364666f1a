"""The control of every transfer: random factors as large as the donor's update.

For each host module B·A with B, A standard normal of the donor's rank, scaled so that
‖B·A‖ = share·‖ΔW_S‖ of the donor's module that would land there. Cost: one pass over the host's
modules; no data. A transfer that does no better than this moved nothing but noise.
"""

import torch

from shared.errors import NoOp, WrongCount
from shared.orders import WorkOrder
from shared.specs.fusion.noise import Noise
from worker.fusion.canonical import CanonicalAdapter
from worker.fusion.factors import Factors, frobenius
from worker.fusion.landing import landing_facts, probe, why_nothing_landed, write_landed
from worker.fusion.module_map import Landing, map_modules
from worker.fusion.structure import Slot, structure, structure_of
from worker.reporting import AdapterResult, Report
from worker.skeletons import read_config


def noise(order: WorkOrder, params: Noise, report: Report) -> AdapterResult:
    """Draw a random adapter of the host base, as large as the order's donor, into `order.out`.

    The same seed gives the same adapter. Raises NoOp, WrongCount, BadBase, UnsupportedAdapter.
    """
    if len(order.adapters) != 1 or order.base is None:
        raise WrongCount(method="noise", wanted="one adapter", given=len(order.adapters))
    source = order.adapters[0]
    report.phase("mapping modules")
    donor = CanonicalAdapter(source.name, source.folder)
    shapes = {name: module.shape for name, module in donor.modules.items()}
    offered = structure(source.base.name, read_config(source.base), shapes)
    host = structure_of(order.base)
    found = map_modules(offered, host, "pad")
    if not found.landings:
        raise NoOp(why=why_nothing_landed(donor, host, found))
    generator = torch.Generator().manual_seed(params.seed)
    landed: dict[str, list[tuple[Slot, Factors]]] = {
        module: [(each.host, _drawn(donor, each, generator)) for each in landings]
        for module, landings in found.landings.items()
    }
    rank = write_landed(order, host, landed)
    report.phase("probing the host")
    facts = landing_facts(donor, host, found) | {"logit_change": probe(order)}
    return AdapterResult(order.out, rank, facts)


def _drawn(donor: CanonicalAdapter, landing: Landing, generator: torch.Generator) -> Factors:
    """Random factors of the host's shape and the donor part's rank and norm."""
    part = donor.factors(landing.donor.module)
    part = part.at(landing.donor.index)
    b = torch.randn(landing.host.rows, part.rank, generator=generator)
    a = torch.randn(part.rank, landing.host.width, generator=generator)
    made = Factors(b, a)
    return made.scaled(landing.share * frobenius(part) / frobenius(made))
