"""The donor's factors put into the host base's modules of the same name and relative depth.

The weight-only transfer that the seed of this project used. It helps where the host is a
continuation of the donor and does nothing, or harm, elsewhere; it is here as an honest baseline,
so a copy that lands nowhere or changes no logit is refused as NO-OP.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from shared.errors import NoOp, WrongCount
from shared.orders import BaseFiles, WorkOrder
from shared.specs import Copy
from worker.checkpoints import attach_adapter, load_base, logit_change
from worker.fusion.canonical import CanonicalAdapter
from worker.fusion.factors import Factors, compressed
from worker.fusion.module_map import Landing, ModuleMap, map_modules
from worker.fusion.peft_folder import PeftFolder
from worker.fusion.structure import Slot, Structure, read_config, structure, structure_of
from worker.reporting import AdapterResult, Report, Stopped

#: How many reasons a NO-OP message lists.
_LISTED = 3


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
    found = map_modules(offered, host, params.resize)
    if not found.landings:
        raise NoOp(why=_why_nothing_landed(donor, host, found))
    report.phase("copying")
    with PeftFolder(order.out, found.landings, host_base.name) as folder:
        for done, (module, landings) in enumerate(found.landings.items(), start=1):
            if report.stop_requested():
                raise Stopped
            made = compressed(_assemble(donor, landings, _rows(host, module), params.scale))
            if made.rank:
                folder.add(module, made)
            report.progress(done, len(found.landings), "modules")
        if not folder.ranks:
            raise NoOp(why=f'every update of "{donor.name}" that reached the host is zero.')
    facts = _facts(donor, host, found)
    report.log(
        f"copied {len(found.landed)} of the donor's {len(donor.modules)} modules into "
        f"{len(found.landings)} of {host.base}"
    )
    report.phase("probing the host")
    facts["logit_change"] = _probe(order, host_base)
    return AdapterResult(order.out, folder.rank, facts)


def _rows(host: Structure, module: str) -> int:
    return sum(slot.rows for slot in host.slots if slot.module == module)


def _assemble(donor: CanonicalAdapter, landings: list[Landing], rows: int, scale: float) -> Factors:
    """One host module's update: the landed parts block-diagonal, at their places."""
    columns: list[Tensor] = []
    inputs: list[Tensor] = []
    for landing in landings:
        source, target = landing.donor, landing.host
        part = donor.factors(source.module).rows(source.start, source.start + source.rows)
        fitted = _resized(part, target).scaled(scale * landing.share)
        below = rows - target.start - target.rows
        columns.append(pad(fitted.b, (0, 0, target.start, below)))
        inputs.append(fitted.a)
    return Factors(torch.cat(columns, dim=1), torch.cat(inputs, dim=0))


def _resized(part: Factors, target: Slot) -> Factors:
    """The update cut to the target's rows and width, or filled with zeros up to them."""
    rows, width = part.shape
    b = pad(part.b[: target.rows], (0, 0, 0, max(0, target.rows - rows)))
    a = pad(part.a[:, : target.width], (0, max(0, target.width - width)))
    return Factors(b, a)


def _probe(order: WorkOrder, host: BaseFiles) -> float:
    """Largest change of the host's logits. Raises NoOp where there is none."""
    model, _ = load_base(host, order.device, "auto")
    change = logit_change(attach_adapter(model, order.out, name=order.adapters[0].name))
    if not change > 0:
        why = f'the copy of "{order.adapters[0].name}" leaves every logit of {host.name} unchanged.'
        raise NoOp(why=why)
    return change


def _facts(donor: CanonicalAdapter, host: Structure, found: ModuleMap) -> dict[str, Any]:
    untouched = {slot.module for slot in host.slots} - found.landings.keys()
    return {
        "matched": {
            module: [
                {"from": landing.donor.module, "part": landing.host.name, "share": landing.share,
                 "donor_size": landing.donor.size, "host_size": landing.host.size}
                for landing in landings
            ]
            for module, landings in found.landings.items()
        },
        "skipped": found.skipped,
        "donor_modules": len(donor.modules),
        "host_modules_untouched": len(untouched),
    }  # fmt: skip


def _why_nothing_landed(donor: CanonicalAdapter, host: Structure, found: ModuleMap) -> str:
    some = list(found.skipped.items())[:_LISTED]
    reasons = "; ".join(f"donor {module}: {why}" for module, why in some)
    return (
        f'none of the {len(donor.modules)} modules of "{donor.name}" exists in {host.base} with '
        f"the same size: e.g. {reasons}."
    )
