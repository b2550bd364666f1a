"""Updates put at their places in the host's modules, and the host looked at afterwards."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from shared.errors import Both, NoOp, both
from shared.orders import WorkOrder
from worker.checkpoints import attach_adapter, load_base, logit_change
from worker.fusion.canonical import CanonicalAdapter
from worker.fusion.factors import Factors, compressed
from worker.fusion.module_map import ModuleMap
from worker.fusion.peft_folder import PeftFolder
from worker.fusion.structure import Slot, Structure


def stacked(parts: Iterable[tuple[Slot, Factors]], rows: int) -> Factors:
    """One module's update of `rows` outputs: each part's rows at its slot, block-diagonal."""
    columns, inputs = [], []
    for slot, part in parts:
        placed = part.b.new_zeros(rows, part.rank)
        placed[slot.index] = part.b
        columns.append(placed)
        inputs.append(part.a)
    return Factors(torch.cat(columns, dim=1), torch.cat(inputs, dim=0))


def write_landed(
    order: WorkOrder, host: Structure, landed: Mapping[str, Sequence[tuple[Slot, Factors]]]
) -> int:
    """Write the host's updated modules into `order.out`; returns the largest rank.

    Raises NoOp where every update is zero.
    """
    rows = dict.fromkeys(landed, 0)
    for slot in host.slots:
        if slot.module in rows:
            rows[slot.module] += slot.rows
    with PeftFolder(order.out, landed, host.base) as folder:
        for module, parts in landed.items():
            made = compressed(stacked(parts, rows[module]))
            if made.rank:
                folder.add(module, made)
        if not folder.ranks:
            donor = order.adapters[0].name
            why = both(
                f'every update of "{donor}" that reached the host is zero.',
                f"“{donor}”到达目标底座的更新全部为零。",
            )
            raise NoOp(why=why)
    return folder.rank


def probe(order: WorkOrder, model: Any = None) -> float:
    """Largest change of the host's logits by the adapter in `order.out`. Raises NoOp for none.

    `model`: the host base where it is loaded already.
    """
    name = order.adapters[0].name
    assert order.base is not None
    if model is None:
        model, _ = load_base(order.base, order.device, "auto")
    change = logit_change(attach_adapter(model, order.out, name=name))
    if not change > 0:
        why = both(
            f'what landed of "{name}" leaves every logit of {order.base.name} unchanged.',
            f"“{name}”移植过来的部分没有改变 {order.base.name} 的任何 logit。",
        )
        raise NoOp(why=why)
    return change


def landing_facts(donor: CanonicalAdapter, host: Structure, found: ModuleMap) -> dict[str, Any]:
    """What went where, what did not and why, for the adapter's record."""
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


def why_nothing_landed(donor: CanonicalAdapter, host: Structure, found: ModuleMap) -> Both:
    """The sentence for a NO-OP, with the first few reasons."""
    some = list(found.skipped.items())[:3]
    reasons = "; ".join(f"donor {module}: {why}" for module, why in some)
    count = len(donor.modules)
    return both(
        f'none of the {count} modules of "{donor.name}" exists in {host.base} with the same size: '
        f"e.g. {reasons}.",
        f"“{donor.name}”的 {count} 个模块在 {host.base} 中都没有大小相同的对应模块，"
        f"例如 {reasons}。",
    )
