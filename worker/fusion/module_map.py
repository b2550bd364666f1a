"""Which projection of the donor lands in which of the host, and why the others do not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from worker.fusion.structure import Slot, Structure

Resize = Literal["refuse", "pad"]


@dataclass(frozen=True)
class Landing:
    """A donor's slot for one of the host's; the update is multiplied by `share`."""

    donor: Slot
    host: Slot
    share: float


@dataclass(frozen=True)
class ModuleMap:
    """Landings by host module, and the donor modules that have none, each with its reason."""

    landings: dict[str, list[Landing]]
    skipped: dict[str, str]

    @property
    def landed(self) -> set[str]:
        """The donor modules of which at least a part landed."""
        return {landing.donor.module for found in self.landings.values() for landing in found}


def layer_map(donor_layers: int, host_layers: int) -> list[int]:
    """For each layer of the host the donor's layer at the same relative depth."""
    if host_layers == 1:
        return [(donor_layers - 1) // 2]
    step = (donor_layers - 1) / (host_layers - 1)
    return [round(layer * step) for layer in range(host_layers)]


def map_modules(
    donor: Structure,
    host: Structure,
    resize: Resize,
    depths: Sequence[int] | None = None,
    shift: int = 0,
) -> ModuleMap:
    """Match slots by name and by `depths`, the donor layer of each host layer (by default the one
    at the same relative depth).

    A donor layer that feeds several layers of the host gives each an equal share, so that the
    residual stream moves as far as in the donor. `shift` takes every layer from so many further
    on, round the end: a control.
    """
    depths = depths or layer_map(donor.layers, host.layers)
    depths = [(depth + shift) % donor.layers for depth in depths]
    fed = Counter(depths)
    offered = {(slot.layer, slot.name): slot for slot in donor.slots}
    landings: dict[str, list[Landing]] = {}
    reasons: dict[str, str] = {}
    for slot in host.slots:
        depth = depths[slot.layer]
        source = offered.get((depth, slot.name))
        if source is None:
            continue
        if resize == "refuse" and source.size != slot.size:
            reasons.setdefault(source.module, f"{source.size}, host {slot.module} {slot.size}")
            continue
        landings.setdefault(slot.module, []).append(Landing(source, slot, 1 / fed[depth]))
    found = ModuleMap(landings, {})
    names = {slot.name for slot in host.slots}
    for source in donor.slots:
        if source.name not in names:
            reasons.setdefault(source.module, f"{host.base} has no {source.name}")
        elif source.layer not in fed:
            reasons.setdefault(source.module, f"no layer of {host.base} is mapped to its layer")
    for module in donor.outside:
        reasons[module] = "only modules inside the layers have a counterpart"
    skipped = {module: why for module, why in reasons.items() if module not in found.landed}
    return ModuleMap(landings, skipped)
