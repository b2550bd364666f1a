"""What an adapter changes, layer by module: norms, cosines to its parents, conflicts of signs.

All from the factors: ⟨B₁A₁, B₂A₂⟩ = Σ (B₁ᵀB₂ ∘ A₁A₂ᵀ), so no update is ever formed whole.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shared.lora_files import Array, LoraFile

#: Rows of each update whose signs are compared; their share of all rows is the same everywhere.
ROWS = 64
_LAYER = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True, kw_only=True)
class ModuleDelta:
    """One module of an adapter."""

    #: None outside the layers, e.g. of the head.
    layer: int | None
    #: The rest of its path, e.g. `self_attn.q_proj`.
    module: str
    #: Frobenius norm of ΔW.
    norm: float
    #: How many dimensions carry it: exp of the entropy of the squared singular values.
    effective_rank: float
    #: Cosine of ΔW to each parent's, where the parent adapts the same module at the same size.
    cosines: Mapping[str, float] = field(default_factory=dict)
    #: Share of entries in which the parents disagree on the sign; None with fewer than two.
    conflicts: float | None = None


def module_deltas(own: LoraFile, parents: Mapping[str, LoraFile]) -> list[ModuleDelta]:
    """Every module of `own`, in the order of layers; `parents` by name."""
    found = []
    for path in own.modules:
        b, a = own.factors(path)
        near = {
            name: parent.factors(path)
            for name, parent in parents.items()
            if path in parent.modules and parent.shape(path) == own.shape(path)
        }
        norm = length((b, a))
        layer, module = place(path)
        found.append(
            ModuleDelta(
                layer=layer, module=module, norm=norm, effective_rank=effective_rank(b, a),
                cosines={name: _cosine((b, a), norm, other) for name, other in near.items()},
                conflicts=sign_conflicts(list(near.values())),
            )
        )  # fmt: skip
    return sorted(found, key=lambda each: (each.layer is None, each.layer or 0, each.module))


def place(path: str) -> tuple[int | None, str]:
    """(layer, rest) of a module's path: `model.layers.3.mlp.up_proj` is (3, `mlp.up_proj`)."""
    match = _LAYER.search(path)
    return (int(match[1]), path[match.end() :]) if match else (None, path)


def inner(one: tuple[Array, Array], other: tuple[Array, Array]) -> float:
    """⟨B₁A₁, B₂A₂⟩ in double precision; factors of shapes (out, r) and (r, in)."""
    (b, a), (d, c) = one, other
    left = b.T.astype(np.float64) @ d
    right = a.astype(np.float64) @ c.T
    return float((left * right).sum())


def length(of: tuple[Array, Array]) -> float:
    """Frobenius norm of B·A."""
    return max(0.0, inner(of, of)) ** 0.5


def _cosine(own: tuple[Array, Array], norm: float, other: tuple[Array, Array]) -> float:
    both = norm * length(other)
    return inner(own, other) / both if both else 0.0


def effective_rank(b: Array, a: Array) -> float:
    """exp(entropy) of the shares of ΔW's energy by singular direction (Roy and Vetterli 2007)."""
    left, right = (np.asarray(np.linalg.qr(each.astype(np.float64), mode="r")) for each in (b, a.T))
    core = left @ right.T
    energy = np.linalg.svd(core, compute_uv=False) ** 2
    if not energy.sum():
        return 0.0
    share = energy[energy > 0] / energy.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def sign_conflicts(updates: Sequence[tuple[Array, Array]]) -> float | None:
    """Share of entries in which not all updates have one sign, of those that all change.

    Looked at in `ROWS` evenly spaced rows, which no order of the rows favours.
    """
    if len(updates) < 2:
        return None
    count = updates[0][0].shape[0]
    rows = np.unique(np.linspace(0, count - 1, min(ROWS, count)).astype(int))
    signs = np.stack([np.sign(b[rows] @ a) for b, a in updates])
    moved = (signs != 0).all(axis=0)
    if not moved.any():
        return 0.0
    return float((np.abs(signs.sum(axis=0)) < len(updates))[moved].mean())
