"""What the modules of two bases read and write at the same places of the same texts."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shared.formats import AlpacaRow, Row
from worker.fusion.answers import prompts_of
from worker.fusion.token_bytes import ends, token_bytes

#: Prompts run together.
_BATCH = 16
#: One place in so many is held out, by whole texts.
_HELD_OUT = 5


@dataclass(frozen=True)
class Reading:
    """One base reading the texts."""

    model: Any
    ids: list[list[int]]
    #: For each text the places that are paired.
    places: list[list[int]]

    def rows(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Batches: padded ids (texts, longest), and row and column of each paired place."""
        for first in range(0, len(self.ids), _BATCH):
            texts, here = self.ids[first : first + _BATCH], self.places[first : first + _BATCH]
            width = max(len(text) for text in texts)
            padded = torch.tensor([text + [0] * (width - len(text)) for text in texts])
            rows = [row for row, places in enumerate(here) for _ in places]
            columns = [place for places in here for place in places]
            device = self.model.device
            yield padded.to(device), torch.tensor(rows).to(device), torch.tensor(columns).to(device)


@dataclass(frozen=True)
class Paired:
    """Both bases reading the same texts; `held_out` marks the places kept from fitting."""

    donor: Reading
    host: Reading
    held_out: Tensor
    #: Share of the host's tokens that end where one of the donor's does.
    share: float


def pair_texts(
    donor: tuple[Any, Any],
    host: tuple[Any, Any],
    rows: Sequence[Row | AlpacaRow],
    template: str,
    most: int,
) -> Paired:
    """Pair (model, tokenizer) of both bases on prompts until `most` places are found.

    Places are paired where tokens of both end at the same byte. The words that all prompts begin
    with are left out: they would outweigh everything else.
    """
    numbered = list(enumerate(rows))
    asked = [
        {prompt.row: prompt.ids for prompt in prompts_of(numbered, tokenizer, template)}
        for _, tokenizer in (donor, host)
    ]
    texts = [token_bytes(tokenizer) for _, tokenizer in (donor, host)]
    skipped = _common_bytes(asked[1].values(), texts[1])
    found: list[tuple[list[int], list[int], list[int], list[int]]] = []
    total = seen = 0
    for row in range(len(rows)):
        if total >= most:
            break
        theirs, ours = asked[0][row], asked[1][row]
        at = {byte: place for place, byte in enumerate(ends(theirs, texts[0]))}
        own = [(place, byte) for place, byte in enumerate(ends(ours, texts[1])) if byte > skipped]
        both = [(at[byte], place) for place, byte in own if byte in at]
        found.append((theirs, ours, [each for each, _ in both], [each for _, each in both]))
        total, seen = total + len(both), seen + len(own)
    held = [number % _HELD_OUT == 0 for number, each in enumerate(found) for _ in each[2]]
    return Paired(
        Reading(donor[0], [each[0] for each in found], [each[2] for each in found]),
        Reading(host[0], [each[1] for each in found], [each[3] for each in found]),
        torch.tensor(held),
        total / max(1, seen),
    )


def _common_bytes(prompts: Iterable[list[int]], texts: list[bytes | None]) -> int:
    """How many first bytes all prompts share; the least and the greatest differ first."""
    joined = [b"".join(texts[token] or b"" for token in ids) for ids in prompts]
    low, high = min(joined), max(joined)
    pairs = enumerate(zip(low, high, strict=False))
    return next((place for place, (one, other) in pairs if one != other), 0)


@contextmanager
def _watched(model: Any, modules: Iterable[str]) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Within it, what each module last read and wrote."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(name: str) -> Any:
        def hook(_: Any, given: tuple[Tensor, ...], made: Any) -> None:
            seen[name] = (given[0], made[0] if isinstance(made, tuple) else made)

        return hook

    hooks = [model.get_submodule(name).register_forward_hook(keep(name)) for name in modules]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@torch.inference_mode()
def read_and_written(reading: Reading, modules: Iterable[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """By module its inputs (n, in) and outputs (n, out) at the paired places, fp32.

    Modules that read the same activations (q, k, v; gate, up) get the same tensor.
    """
    names = list(modules)
    read: dict[str, list[Tensor]] = {name: [] for name in names}
    written: dict[str, list[Tensor]] = {name: [] for name in names}
    with _watched(reading.model, names) as seen:
        for ids, rows, columns in reading.rows():
            reading.model(input_ids=ids, use_cache=False)
            picked: dict[int, Tensor] = {}
            for name in names:
                given, made = seen[name]
                if id(given) not in picked:
                    picked[id(given)] = given[rows, columns].float()
                read[name].append(picked[id(given)])
                written[name].append(made[rows, columns].float())
    joined = {tuple(map(id, parts)): parts for parts in read.values()}
    inputs = {key: torch.cat(parts) for key, parts in joined.items()}
    return {name: (inputs[tuple(map(id, read[name]))], torch.cat(written[name])) for name in names}
