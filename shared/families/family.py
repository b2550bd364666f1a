"""ModelFamily: the facts of an architecture that Graft needs without loading it."""

from dataclasses import dataclass, field
from typing import Any

#: How a projection's side is sized: by a key of the config, or by its attention heads.
HEADS = "heads"
KV_HEADS = "kv_heads"


@dataclass(frozen=True, kw_only=True)
class ModelFamily:
    """One architecture's names and shapes."""

    name: str
    architectures: tuple[str, ...]
    #: Linear modules of a layer: name -> (sizes of the output, summed; size of the input).
    projections: dict[str, tuple[tuple[str, ...], str]]
    #: Modules that hold several projections of other families, stacked in this order.
    fused: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def shapes(self, config: dict[str, Any]) -> dict[str, tuple[int, int]]:
        """Each projection's (out, in) for a parsed config.json."""
        return {
            name: (sum(_size(config, side) for side in out), _size(config, into))
            for name, (out, into) in self.projections.items()
        }

    def parts(self, config: dict[str, Any]) -> dict[str, dict[str, int]]:
        """Each fused projection's parts, in stacking order, with their rows of its output."""
        return {
            name: {
                part: _size(config, side)
                for part, side in zip(parts, self.projections[name][0], strict=True)
            }
            for name, parts in self.fused.items()
        }


def _size(config: dict[str, Any], side: str) -> int:
    heads = int(config["num_attention_heads"])
    width = int(config.get("head_dim") or int(config["hidden_size"]) // heads)
    if side == HEADS:
        return heads * width
    if side == KV_HEADS:
        return int(config.get("num_key_value_heads") or heads) * width
    return int(config[side])
