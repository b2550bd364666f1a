"""lm-eval's HF loop written out, for machines where lm-eval cannot be installed.

As lm-eval 0.4.13 does it: requests sorted by length, one row a choice, right-padded batches of a
fixed size, log-softmax over all positions and the whole vocabulary in fp32, two device syncs an
item; generation by `model.generate` in static left-padded batches.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from worker.evaluation.trees import Tree


class Loop:
    """A resident model asked the way lm-eval asks it; the batch halves while memory runs out."""

    def __init__(self, model: Any, pad: int, batch_size: int = 64) -> None:
        self.model, self._pad, self._size = model, pad, batch_size

    def use(self, model: Any) -> None:
        """Ask this model from now on."""
        self.model = model

    def score(self, trees: Sequence[Tree]) -> list[list[float]]:
        """Log-likelihoods of all endings."""
        pairs = [(tree.context, ending) for tree in trees for ending in tree.endings]
        order = sorted(range(len(pairs)), key=lambda at: -len(pairs[at][0] + pairs[at][1]))
        values = [0.0] * len(pairs)
        start = 0
        while start < len(order):
            places = order[start : start + self._size]
            try:
                found = self._scores([pairs[place] for place in places])
            except torch.OutOfMemoryError:
                self._halve()
                continue
            for place, value in zip(places, found, strict=True):
                values[place] = value
            start += len(places)
        rest = iter(values)
        return [[next(rest) for _ in tree.endings] for tree in trees]

    def _scores(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[float]:
        rows = [(context + ending)[:-1] for context, ending in pairs]
        width = max(map(len, rows))
        device = self.model.device
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=device)
        logs = log_softmax(self.model(ids).logits, dim=-1, dtype=torch.float32)
        found = []
        for line, row, (_, ending) in zip(logs, rows, pairs, strict=True):
            own = line[len(row) - len(ending) : len(row)]
            wanted = torch.tensor(ending, device=device)
            bool((own.argmax(-1) == wanted).all())
            found.append(float(own.gather(1, wanted[:, None]).sum()))
        return found

    def generate(self, prompts: Sequence[list[int]], longest: int) -> list[list[int]]:
        """Greedy continuations of token ids, `longest` tokens each at most."""
        order = sorted(range(len(prompts)), key=lambda at: -len(prompts[at]))
        out: list[list[int]] = [[]] * len(prompts)
        for start in range(0, len(order), self._size):
            places = order[start : start + self._size]
            ids, seen = self._padded([prompts[place] for place in places])
            made = self.model.generate(
                input_ids=ids, attention_mask=seen, max_new_tokens=longest, do_sample=False,
                pad_token_id=self._pad, use_cache=True,
            )  # fmt: skip
            for place, row in zip(places, made[:, ids.shape[1] :].tolist(), strict=True):
                out[place] = row
        return out

    def _padded(self, prompts: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        width = max(map(len, prompts))
        rows = [[self._pad] * (width - len(ids)) + ids for ids in prompts]
        seen = [[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts]
        device = self.model.device
        return torch.tensor(rows, device=device), torch.tensor(seen, device=device)

    def _halve(self) -> None:
        if self._size == 1:
            raise MemoryError("one row does not fit")
        self._size //= 2
        torch.cuda.empty_cache()
