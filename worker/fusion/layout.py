"""An adapter whose projections are fused or split unlike its base's, laid out as the base's.

Fused to split is exact at the same rank: rows of B, the same A. Split to fused is exact at the sum
of the ranks: A stacked, B block-diagonal. Heads are not touched: parts follow each other, q then k
then v, as in qkv_proj and gate_up_proj of transformers (not interleaved by head).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from worker.fusion.canonical import CanonicalAdapter, Module
from worker.fusion.factors import Factors

#: Names of fused projections and what they are made of, in the order of their rows.
FUSED = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "query_key_value": ("q_proj", "k_proj", "v_proj"),
    "W_pack": ("q_proj", "k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
}


@dataclass(frozen=True)
class Piece:
    """Rows of a module of the adapter, and where they begin in a module of the base."""

    source: str
    start: int
    rows: int
    at: int


class RelaidAdapter(CanonicalAdapter):
    """An adapter read under the names of its base's modules."""

    def __init__(self, donor: CanonicalAdapter, places: Mapping[str, tuple[int, int]]) -> None:
        """`places`: (out, in) of the base's modules. Modules without a place stay as they are."""
        self.__dict__ |= donor.__dict__
        self._donor = donor
        self._places = places
        self._pieces = pieces(donor.modules, places)
        used = {piece.source for found in self._pieces.values() for piece in found}
        kept = {name: module for name, module in donor.modules.items() if name not in used}
        laid = {name: self._described(name, found) for name, found in self._pieces.items()}
        self.modules = kept | laid

    @property
    def biased(self) -> set[str]:
        own = self._donor.biased
        laid = {
            name
            for name, found in self._pieces.items()
            if any(piece.source in own for piece in found)
        }
        return (own & self.modules.keys()) | laid

    def factors(self, module: str) -> Factors:
        if module not in self._pieces:
            return self._donor.factors(module)
        out = self._places[module][0]
        columns: list[Tensor] = []
        inputs: list[Tensor] = []
        for piece in self._pieces[module]:
            part = self._donor.factors(piece.source).rows(piece.start, piece.start + piece.rows)
            columns.append(pad(part.b, (0, 0, piece.at, out - piece.at - piece.rows)))
            inputs.append(part.a)
        return Factors(torch.cat(columns, dim=1), torch.cat(inputs, dim=0))

    def bias(self, module: str) -> Tensor | None:
        if module not in self._pieces:
            return self._donor.bias(module)
        total = torch.zeros(self._places[module][0])
        for piece in self._pieces[module]:
            part = self._donor.bias(piece.source)
            if part is not None:
                rows = part[piece.start : piece.start + piece.rows]
                total[piece.at : piece.at + piece.rows] += rows
        return total

    def _described(self, name: str, found: Sequence[Piece]) -> Module:
        rank = sum(self._donor.modules[piece.source].rank for piece in found)
        return Module(shape=self._places[name], rank=rank, scale=1.0)


def pieces(
    modules: Mapping[str, Module], places: Mapping[str, tuple[int, int]]
) -> dict[str, list[Piece]]:
    """For each module of the base that is laid out otherwise: the adapter's rows that make it.

    Only where the sizes fit whole; what does not fit is left for the reader to refuse.
    """
    found: dict[str, list[Piece]] = {}
    for name, (out, width) in places.items():
        stem, _, last = name.rpartition(".")
        if name in modules:
            continue
        for fused, parts in FUSED.items():
            whole = f"{stem}.{fused}"
            siblings = [f"{stem}.{part}" for part in parts]
            if last in parts and whole in modules and all(each in places for each in siblings):
                sizes = [places[each][0] for each in siblings]
                if modules[whole].shape == (sum(sizes), width):
                    start = sum(sizes[: parts.index(last)])
                    found[name] = [Piece(whole, start, out, 0)]
            elif last == fused:
                own = _split_parts(siblings, modules, out, width)
                if own:
                    found[name] = own
    return found


def _split_parts(
    siblings: Sequence[str], modules: Mapping[str, Module], out: int, width: int
) -> list[Piece]:
    """The parts of a fused module that the adapter has, at their places; empty if unknown."""
    if not all(each in modules for each in siblings):
        return []
    shapes = [modules[each].shape for each in siblings]
    if sum(rows for rows, _ in shapes) != out or {inner for _, inner in shapes} != {width}:
        return []
    starts = [sum(rows for rows, _ in shapes[:number]) for number in range(len(shapes))]
    return [
        Piece(name, 0, rows, start)
        for name, (rows, _), start in zip(siblings, shapes, starts, strict=True)
    ]
