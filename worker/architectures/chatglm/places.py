"""Where ChatGLM-6B's tokens stand and whom they see: two positions each, and prefix attention.

A sequence is `prompt [gMASK] <sop> answer <eop>`. What stands before <sop> sees all of itself; from
<sop> on each token sees the prompt and the answer so far. The first position counts the prompt and
then stays at the mask token's; the second is 0 in the prompt and counts from 1 at <sop>.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from worker.architectures.chatglm.configuration import ChatGLMConfig


@dataclass(frozen=True)
class Anchors:
    """By row, what a later step must know of its prompt: both (rows,), -1 without a <sop>."""

    #: The place of <sop>.
    answer: Tensor
    #: The first position of every token of the answer.
    mask: Tensor

    def at(self, order: Tensor) -> Tensor:
        """Positions (rows, 2, tokens) of tokens that follow the prompt, `order` (rows, tokens)."""
        answer, mask = self.answer[:, None], self.mask[:, None]
        answering = answer >= 0
        first = torch.where(answering, mask, order)
        second = torch.where(answering, order - answer + 1, 0)
        return torch.stack([first, second], 1)


@dataclass(frozen=True)
class Places:
    """Whole sequences; every tensor but `positions` is (rows, tokens)."""

    #: (rows, 2, tokens)
    positions: Tensor
    #: Number of its sequence in the row; a packed row holds several.
    sequence: Tensor
    #: Whether a token belongs to a prompt that ends in <sop>.
    prompt: Tensor
    #: Of the last sequence of each row.
    anchors: Anchors

    def visible(self) -> Tensor:
        """(rows, tokens, tokens): whether the first token sees the second."""
        length = self.prompt.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=self.prompt.device).tril()
        same = self.sequence[:, :, None] == self.sequence[:, None, :]
        return same & (causal | self.prompt[:, None, :])


def order_of(ids: Tensor, past: int, seen: Tensor | None) -> Tensor:
    """(rows, tokens): the number of each token in its sequence, counted from 0.

    `past` tokens were read before `ids` (rows, tokens); `seen` (rows, at least tokens) is 0 at
    padding, which may stand at either side.
    """
    length = ids.shape[1]
    if seen is None:
        return torch.arange(past, past + length, device=ids.device).expand(len(ids), length)
    return (seen.long().cumsum(1) - 1).clamp_min(0)[:, -length:]


def places_of(ids: Tensor, order: Tensor, config: ChatGLMConfig) -> Places:
    """Places of whole sequences: `ids` and `order` (rows, tokens).

    A sequence begins wherever `order` does not rise. One without <sop> is read causally: nothing
    tells there where a prompt would end.
    """
    fresh = torch.ones_like(order, dtype=torch.bool)
    fresh[:, 1:] = order[:, 1:] <= order[:, :-1]
    sequence = fresh.cumsum(1) - 1
    # Numbers count from where a sequence begins: a trained prefix before it moves no position.
    order = order - _first(fresh, order, sequence).gather(1, sequence)
    answer = _first(ids == config.bos_token_id, order, sequence)
    gmask = _first(ids == config.gmask_token_id, order, sequence)
    mask = _first(ids == config.mask_token_id, order, sequence)
    # Without either mask token the one before <sop> stands for it.
    mask = torch.where(gmask >= 0, gmask, torch.where(mask >= 0, mask, (answer - 1).clamp_min(0)))
    here_answer, here_mask = answer.gather(1, sequence), mask.gather(1, sequence)
    prompt = order < here_answer
    answering = (here_answer >= 0) & ~prompt
    first = torch.where(answering, here_mask, order)
    second = torch.where(answering, order - here_answer + 1, 0)
    last = sequence[:, -1:]
    anchors = Anchors(answer.gather(1, last)[:, 0], mask.gather(1, last)[:, 0])
    return Places(torch.stack([first, second], 1), sequence, prompt, anchors)


def _first(found: Tensor, order: Tensor, sequence: Tensor) -> Tensor:
    """(rows, tokens): by number of sequence, the least order at which `found`; -1 where nowhere."""
    none = order.shape[1] + int(order.max()) + 1
    least = torch.full_like(order, none)
    least = least.scatter_reduce(1, sequence, torch.where(found, order, none), "amin")
    return torch.where(least == none, -1, least)
