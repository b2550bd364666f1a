"""The projections of a base, one slot each, whether its modules hold one of them or several."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.families import family_of
from shared.orders import BaseFiles
from worker.skeletons import linear_shapes, read_config


@dataclass(frozen=True)
class Slot:
    """One projection: all of a module's output rows, or some of a fused module's."""

    module: str
    layer: int
    #: What it does in its layer, the same in every family: q_proj, gate_proj, ...
    name: str
    #: First row of the module's output, and how many.
    start: int
    rows: int
    width: int
    #: Its rows one by one, where they do not lie together (head by head with other projections').
    dealt: tuple[int, ...] = ()

    @property
    def index(self) -> slice | list[int]:
        """Its rows in the module's output, for indexing."""
        return list(self.dealt) or slice(self.start, self.start + self.rows)

    @property
    def size(self) -> str:
        return f"{self.rows}x{self.width}"


@dataclass(frozen=True)
class Structure:
    """Depth and slots of a base, or of what an adapter touches in it."""

    base: str
    layers: int
    slots: tuple[Slot, ...]
    #: Modules outside the layers (an output head); they have no place in another base.
    outside: tuple[str, ...] = ()


def structure_of(base: BaseFiles) -> Structure:
    """Every linear module in the layers of a base, from its configuration alone (no weights)."""
    return structure(base.name, read_config(base), linear_shapes(base))


def structure(base: str, config: Any, shapes: Mapping[str, tuple[int, int]]) -> Structure:
    """The slots of modules of the given (out, in) in a base of that configuration."""
    family = family_of((config.architectures or [""])[0])
    fused = family.parts(config.to_dict()) if family else {}
    dealt = family.rows(config.to_dict()) if family else {}
    layers = int(config.num_hidden_layers)
    places = {module: place for module in shapes if (place := _place(module)) and place[0] < layers}
    twice = _repeated(places)
    slots: list[Slot] = []
    for module, (layer, path) in places.items():
        name = path.rsplit(".", 1)[-1]
        out, width = shapes[module]
        # Experts repeat a name within their layer; there the whole path tells them apart.
        key = path if (layer, name) in twice else name
        for part, places in dealt.get(name, {}).items():
            slots.append(Slot(module, layer, part, 0, len(places), width, tuple(places)))
        parts = {} if name in dealt else fused.get(name, {key: out})
        start = 0
        for part, rows in parts.items():
            slots.append(Slot(module, layer, part, start, rows, width))
            start += rows
    outside = tuple(module for module in shapes if module not in places)
    return Structure(base, layers, tuple(slots), outside)


def _place(module: str) -> tuple[int, str] | None:
    """(layer, path within it) of a module such as `model.layers.3.self_attn.q_proj`."""
    match = re.match(r"(?:.*?\.)?(\d+)\.(.+)$", module)
    return (int(match[1]), match[2]) if match else None


def _repeated(places: Mapping[str, tuple[int, str]]) -> set[tuple[int, str]]:
    counts = Counter((layer, path.rsplit(".", 1)[-1]) for layer, path in places.values())
    return {key for key, count in counts.items() if count > 1}
