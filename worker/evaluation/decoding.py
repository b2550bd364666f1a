"""Greedy decoding in batches: a finished row leaves the batch instead of being padded on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shared.errors import NotFinite
from worker.evaluation.batching import batches
from worker.evaluation.scoring import head_at


@dataclass(frozen=True)
class Answer:
    """Generated token ids without the end token; `finished` is False at the length limit."""

    tokens: list[int]
    finished: bool


@torch.inference_mode()
def decode(
    model: Any,
    prompts: Sequence[list[int]],
    *,
    ends: frozenset[int],
    max_new_tokens: int,
    batch_tokens: int,
    done: Callable[[Sequence[int], int], None] = lambda places, tokens: None,
) -> list[Answer]:
    """The likeliest next token, again and again, until an end token or `max_new_tokens`.

    The base's own generation settings (sampling, penalties) play no part. `done` is called after
    every step with the prompts that ended and the tokens it ran. Raises NotFinite.

    Nothing is recorded for gradients: PEFT marks the active adapter as trainable, and the cache
    of keys and values would then hold every step's activations until the last answer ends.
    """
    out = [Answer([], False)] * len(prompts)
    lengths = [len(prompt) + max_new_tokens for prompt in prompts]
    for places in batches(lengths, most_tokens=batch_tokens):
        _decode_batch(model, prompts, places, out, ends, max_new_tokens, done)
    return out


def _decode_batch(
    model: Any,
    prompts: Sequence[list[int]],
    places: list[int],
    out: list[Answer],
    ends: frozenset[int],
    max_new_tokens: int,
    done: Callable[[Sequence[int], int], None],
) -> None:
    """Fill `out` at `places`."""
    tokens, seen = _left_padded([prompts[place] for place in places], model.device)
    positions = (seen.cumsum(1) - 1).clamp_min(0)
    alive, cache, ran = places, None, int(seen.sum())
    written: dict[int, list[int]] = {place: [] for place in places}
    for step in range(1, max_new_tokens + 1):
        chosen, cache = _likeliest(model, tokens, seen, positions, cache)
        ids = chosen.tolist()
        stay: list[int] = []
        for row, (place, token) in enumerate(zip(alive, ids, strict=True)):
            if token not in ends:
                written[place].append(token)
            if token in ends or step == max_new_tokens:
                out[place] = Answer(written[place], token in ends)
            else:
                stay.append(row)
        done([place for row, place in enumerate(alive) if row not in stay], ran)
        if not stay:
            return
        kept = torch.tensor(stay, device=model.device)
        if len(stay) < len(alive):
            cache.batch_select_indices(kept)
        alive, ran = [alive[row] for row in stay], len(stay)
        tokens, positions = chosen[kept, None], positions[kept, -1:] + 1
        seen = torch.cat([seen[kept], torch.ones_like(tokens)], 1)


def _likeliest(
    model: Any, tokens: Tensor, seen: Tensor, positions: Tensor, cache: Any
) -> tuple[Tensor, Any]:
    """The likeliest next token of each row, shape (rows,), and the cache grown by `tokens`."""
    rows = torch.arange(len(tokens), device=tokens.device)
    with head_at(model, rows, torch.full_like(rows, -1)):
        made = model(
            input_ids=tokens, attention_mask=seen, position_ids=positions,
            past_key_values=cache, use_cache=True,
        )  # fmt: skip
    best, chosen = made.logits[0].max(-1)
    # A NaN is the maximum wherever there is one.
    if not bool(torch.isfinite(best).all()):
        raise NotFinite(what="A logit", where="decoding")
    return chosen, made.past_key_values


def _left_padded(prompts: Sequence[list[int]], device: Any) -> tuple[Tensor, Tensor]:
    """Ids and 0/1 mask, both (rows, longest); the prompts end in the last column."""
    width = max(len(prompt) for prompt in prompts)
    tokens = torch.zeros(len(prompts), width, dtype=torch.long)
    seen = torch.zeros_like(tokens)
    for row, prompt in enumerate(prompts):
        tokens[row, width - len(prompt) :] = torch.tensor(prompt)
        seen[row, width - len(prompt) :] = 1
    return tokens.to(device), seen.to(device)
