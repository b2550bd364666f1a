"""Greedy decoding in batches: a finished row leaves the batch instead of being padded on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shared.errors import NotFinite
from worker.evaluation.batching import batches
from worker.evaluation.caches import Beginning, Room
from worker.evaluation.preceded import beginning_of
from worker.evaluation.scoring import head_at, read_beginning
from worker.evaluation.trees import shared_beginnings
from worker.kernels import for_any_length
from worker.recurrence import keeps_state
from worker.stacked import Stack

#: Hears after a step which prompts ended (one entry for each adapter) and the tokens it ran.
Done = Callable[[Sequence[int], int], None]
#: Whether an answer's tokens so far hold a stop string.
Stop = Callable[[list[int]], bool]


@dataclass(frozen=True)
class Answer:
    """Generated token ids without the end token; `finished` is False at the length limit."""

    tokens: list[int]
    finished: bool


#: Where answers go: by arm, then by place.
Answers = Sequence[list[Answer]] | Mapping[int, list[Answer]]


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How answers are made, the same for every prompt."""

    ends: frozenset[int]
    max_new_tokens: int
    batch_tokens: int
    #: The model reads masks of any form (`packing_fits`): beginnings are shared and the room for
    #: keys and values is set aside once.
    packed: bool = False
    stop: Stop | None = None


def decode(
    model: Any,
    prompts: Sequence[list[int]],
    *,
    ends: frozenset[int],
    max_new_tokens: int,
    batch_tokens: int,
    done: Done = lambda places, tokens: None,
) -> list[Answer]:
    """The likeliest next token, again and again, until an end token or `max_new_tokens`.

    The base's own generation settings (sampling, penalties) play no part. Raises NotFinite.
    """
    how = Decoding(ends=ends, max_new_tokens=max_new_tokens, batch_tokens=batch_tokens)
    return decode_all(model, prompts, how, done=done)[0]


@torch.inference_mode()
def decode_all(
    model: Any,
    prompts: Sequence[list[int]],
    how: Decoding,
    *,
    stack: Stack | None = None,
    done: Done = lambda places, tokens: None,
) -> list[list[Answer]]:
    """Each adapter's answer to each prompt; of a model without a stack, its own alone.

    Nothing is recorded for gradients: PEFT marks the active adapter as trainable, and the cache
    of keys and values would then hold every step's activations until the last answer ends.
    """
    arms = stack.count if stack else 1
    out = [[Answer([], False)] * len(prompts) for _ in range(arms)]
    groups = shared_beginnings(prompts) if how.packed else [(0, list(range(len(prompts))))]
    recurrent = keeps_state(model)
    for length, places in groups:
        past = read_beginning(model, prompts[places[0]][:length], stack) if length else None
        done([], arms * length)
        sizes = [len(prompts[place]) + how.max_new_tokens for place in places]
        most = 1 if recurrent else max(1, how.batch_tokens // arms)
        for chosen in batches(sizes, most_tokens=most):
            rows = [(arm, places[i]) for arm in range(arms) for i in chosen]
            rest = [prompts[place][length:] for _, place in rows]
            if stack:
                stack.blocks()
            for _ in Batch(model, rows, rest, how, past, stack).steps(out, done):
                pass
    return out


class Batch:
    """The rows of one batch that are still being answered: (arm, place) each, and its prompt.

    With a stack, rows are one equal block an arm (`Stack.blocks`), or told by `Stack.rows`.
    """

    def __init__(
        self,
        model: Any,
        rows: Sequence[tuple[int, int]],
        prompts: Sequence[list[int]],
        how: Decoding,
        past: Beginning | None = None,
        stack: Stack | None = None,
    ) -> None:
        """`prompts` are what follows the shared beginning `past`, one for each row."""
        if past is None and how.packed:
            past = beginning_of(model)
        skipped = past.get_seq_length() if past else 0
        self._model, self._how, self._stack = model, how, stack
        self._rows = list(rows)
        self._written: list[list[int]] = [[] for _ in self._rows]
        self._tokens, seen = _left_padded(prompts, model.device)
        self._positions = skipped + (seen.cumsum(1) - 1).clamp_min(0)
        self._ran = int(seen.sum())
        beginning = seen.new_ones(len(seen), skipped)
        # One column for each token that will be read; the last answer token never is.
        answer = seen.new_ones(len(seen), how.max_new_tokens - 1)
        self._seen = torch.cat([beginning, seen, answer], 1)
        self._length = skipped + self._tokens.shape[1]
        self._cache: Any = None
        self._recurrent = keeps_state(model)
        if how.packed:
            self._cache = Room(len(self._rows), self._seen.shape[1], past)

    def growing(self) -> dict[tuple[int, int], list[int]]:
        """The tokens so far of the rows that are still being answered."""
        return dict(zip(self._rows, self._written, strict=True))

    def steps(self, out: Answers, done: Done = lambda places, tokens: None) -> Iterator[None]:
        """Fill `out` at the rows' places; yields after each token of all rows.

        Inference mode, and the adapters that answer, must be switched on at each step.
        """
        for step in range(1, self._how.max_new_tokens + 1):
            chosen = self._likeliest()
            ended, stay = self._sorted_out(chosen.tolist(), step, out)
            done(ended, self._ran)
            if not stay:
                return
            self._keep(stay, chosen)
            yield

    def _sorted_out(self, ids: list[int], step: int, out: Answers) -> tuple[list[int], list[int]]:
        """Note each row's token; which prompts ended, and the rows that stay in their new order.

        The last rows move into the places of those that ended, so that few rows move.
        """
        how, ended, stay = self._how, [], []
        for row, ((arm, place), token) in enumerate(zip(self._rows, ids, strict=True)):
            written = self._written[row]
            finished = token in how.ends
            if not finished:
                written.append(token)
                finished = how.stop is not None and how.stop(written)
            if finished or step == how.max_new_tokens:
                out[arm][place] = Answer(written, finished)
                ended.append(place)
            else:
                stay.append(row)
        late = [row for row in stay if row >= len(stay)]
        staying = set(stay)
        order = [row if row in staying else late.pop() for row in range(len(stay))]
        return ended, order

    def _keep(self, stay: list[int], chosen: Tensor) -> None:
        """Go on with these rows in this order, and with the tokens just chosen."""
        moved = len(stay) < len(self._rows)
        kept = torch.tensor(stay, device=chosen.device)
        self._tokens, self._positions = chosen[kept, None], self._positions[kept, -1:] + 1
        self._length += 1
        self._ran = len(stay)
        if not moved:
            return
        self._rows = [self._rows[row] for row in stay]
        self._written = [self._written[row] for row in stay]
        self._seen = self._seen[kept]
        if isinstance(self._cache, Room):
            self._cache.keep(stay)
        else:
            self._cache.batch_select_indices(kept)
        if self._stack:
            self._stack.rows(torch.tensor([arm for arm, _ in self._rows], device=chosen.device))

    def _likeliest(self) -> Tensor:
        """The likeliest next token of each row, shape (rows,); the cache grows by `tokens`."""
        rows = torch.arange(len(self._tokens), device=self._tokens.device)
        seen = self._seen[:, : self._length]
        if self._how.packed:
            seen = step_mask(seen, self._tokens.shape[1], self._model.dtype)
        inputs = {"state": self._cache}
        if not self._recurrent:
            inputs = {"attention_mask": seen, "position_ids": self._positions}
            inputs["past_key_values"] = self._cache
        with head_at(self._model, rows, torch.full_like(rows, -1)), for_any_length():
            made = self._model(input_ids=self._tokens, **inputs, use_cache=True)
        self._cache = made.state if self._recurrent else made.past_key_values
        if isinstance(self._cache, Room):
            self._cache.advance()
        best, chosen = made.logits[0].max(-1)
        # A NaN is the maximum wherever there is one.
        if not bool(torch.isfinite(best).all()):
            raise NotFinite(what="A logit", where="decoding")
        return chosen


def step_mask(seen: Tensor, new: int, dtype: torch.dtype) -> Tensor:
    """Additive mask (rows, 1, new, length) for the last `new` of `seen` (rows, length) tokens."""
    rows, length = seen.shape
    allowed = seen.bool()[:, None, None]
    if new > 1:
        causal = torch.ones(new, length, dtype=torch.bool, device=seen.device)
        allowed = allowed & causal.tril(length - new)
    mask = torch.zeros(rows, 1, new, length, dtype=dtype, device=seen.device)
    return mask.masked_fill_(~allowed, torch.finfo(dtype).min)


def _left_padded(prompts: Sequence[list[int]], device: Any) -> tuple[Tensor, Tensor]:
    """Ids and 0/1 mask, both (rows, longest); the prompts end in the last column."""
    width = max(len(prompt) for prompt in prompts)
    tokens = torch.zeros(len(prompts), width, dtype=torch.long)
    seen = torch.zeros_like(tokens)
    for row, prompt in enumerate(prompts):
        tokens[row, width - len(prompt) :] = torch.tensor(prompt)
        seen[row, width - len(prompt) :] = 1
    return tokens.to(device), seen.to(device)
