"""ModelFamily: the facts of an architecture that Graft needs without loading it."""

from dataclasses import dataclass, field
from typing import Any

#: How a projection's side is sized: by a key of the config, by its attention heads, by its width.
HEADS = "heads"
KV_HEADS = "kv_heads"
FOUR_WIDE = "4 x hidden_size"

#: What other names config.json may have for a size.
_ALIASES = {
    "hidden_size": ("n_embed",),
    "intermediate_size": ("inner_hidden_size",),
    "num_attention_heads": ("n_head",),
    "num_hidden_layers": ("num_layers", "n_layer"),
}
#: Sizes that null stands for, as a multiple of hidden_size.
_NULL = {"intermediate_size": 4, "attention_hidden_size": 1}


@dataclass(frozen=True, kw_only=True)
class ModelFamily:
    """One architecture's names and shapes."""

    name: str
    architectures: tuple[str, ...]
    #: Linear modules of a layer: name -> (sizes of the output, summed; size of the input). Where a
    #: layer has the name twice, the path within it.
    projections: dict[str, tuple[tuple[str, ...], str]]
    #: Modules that hold projections of other families, stacked in this order: one or several.
    fused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: Modules that hold several projections head by head: the first head's rows of each, the
    #: second's, and so on.
    interleaved: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def shapes(self, config: dict[str, Any]) -> dict[str, tuple[int, int]]:
        """Each projection's (out, in) for a parsed config.json. Raises KeyError for a size that
        the config does not name."""
        return {
            name: (sum(_side(config, side) for side in out), _side(config, into))
            for name, (out, into) in self.projections.items()
        }

    def parts(self, config: dict[str, Any]) -> dict[str, dict[str, int]]:
        """Each fused projection's parts, in stacking order, with their rows of its output."""
        return {
            name: {
                part: _side(config, side)
                for part, side in zip(parts, self.projections[name][0], strict=True)
            }
            for name, parts in self.fused.items()
        }

    def rows(self, config: dict[str, Any]) -> dict[str, dict[str, list[int]]]:
        """Each interleaved projection's parts, with the rows of its output that are theirs, in the
        order in which a projection of its own would have them."""
        return {
            name: _by_head(parts, size(config, "num_attention_heads"), self.shapes(config)[name][0])
            for name, parts in self.interleaved.items()
        }


def size(config: dict[str, Any], key: str) -> int:
    """A size of a parsed config.json under whichever name it has there. Raises KeyError."""
    for name in (key, *_ALIASES.get(key, ())):
        if name in config:
            found = config[name]
            if found is not None:
                return int(found)
            if key in _NULL:
                return _NULL[key] * size(config, "hidden_size")
    raise KeyError(key)


def _side(config: dict[str, Any], side: str) -> int:
    if side == FOUR_WIDE:
        return 4 * size(config, "hidden_size")
    if side not in (HEADS, KV_HEADS):
        return size(config, side)
    heads = size(config, "num_attention_heads")
    width = int(config.get("head_dim") or size(config, "hidden_size") // heads)
    if side == KV_HEADS:
        heads = int(config.get("num_key_value_heads") or heads)
    return heads * width


def _by_head(parts: tuple[str, ...], heads: int, rows: int) -> dict[str, list[int]]:
    width = rows // heads // len(parts)
    return {
        part: [
            (head * len(parts) + place) * width + row
            for head in range(heads)
            for row in range(width)
        ]
        for place, part in enumerate(parts)
    }
