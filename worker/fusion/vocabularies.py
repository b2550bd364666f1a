"""One base's change of its next-token probabilities, told in the tokens of another base.

For a host token u the donor's tokens that can begin u's text are gathered: the same text alone
where the donor has it as a token, else every token that begins with u's text, and the first token
of u's text as the donor's tokenizer cuts it. The change for u is the log ratio of their summed
probabilities. With one vocabulary for both that is the change of each token itself.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from worker.fusion.token_bytes import token_bytes

#: Probabilities under this count as this: what neither sees coming does not change.
_FLOOR = 1e-9


class Bridge:
    """From a donor's vocabulary to a host's."""

    def __init__(self, donor: Any, host: Any, device: Any) -> None:
        """Takes the two tokenizers. Raises BadBase where a token's bytes cannot be told."""
        self.shared = donor.get_vocab() == host.get_vocab()
        self.donor_texts, self.host_texts = token_bytes(donor), token_bytes(host)
        self.size = len(self.host_texts)
        found = _Tokens(donor, self.donor_texts)
        spans = [found.span(text) for text in self.host_texts]
        for name in ("eos_token_id", "bos_token_id", "pad_token_id"):
            source, target = getattr(donor, name), getattr(host, name)
            if source is not None and target is not None:
                place = found.place[source]
                spans[target] = (place, place + 1, -1)
        #: Share of the host's tokens that the donor has too.
        self.exact = sum(last - first == 1 for first, last, _ in spans) / len(spans)
        self._order = torch.tensor(found.order, device=device)
        self._first, self._last, self._lead = torch.tensor(spans, device=device).T

    def change(self, after: Tensor, before: Tensor) -> Tensor:
        """log P_after - log P_before of the donor, both logits (n, donor vocabulary), for each of
        the host's tokens: (n, host tokens), fp32."""
        if self.shared:
            return (after.log_softmax(-1) - before.log_softmax(-1))[:, : self.size]
        return (self._gathered(after).log_() - self._gathered(before).log_()).float()

    def _gathered(self, logits: Tensor) -> Tensor:
        """(n, host tokens): summed probability of the donor's tokens for each, fp64."""
        probabilities = logits.softmax(-1).double()
        ordered = probabilities[:, self._order]
        # Sums of runs of tokens in order of their bytes: differences of one running sum, in fp64.
        running = torch.nn.functional.pad(ordered.cumsum(1), (1, 0))
        found = running[:, self._last] - running[:, self._first]
        alone = self._last - self._first == 1
        found[:, alone] = ordered[:, self._first[alone]]
        led = self._lead >= 0
        found[:, led] += probabilities[:, self._lead[led]]
        known = led | (self._last > self._first)
        found[:, ~known] = 1.0
        return found.clamp_(min=_FLOOR)


class _Tokens:
    """A vocabulary in the order of its tokens' bytes, special tokens last."""

    def __init__(self, tokenizer: Any, texts: Sequence[bytes | None]) -> None:
        plain = sorted((text, token) for token, text in enumerate(texts) if text)
        named = [token for token, text in enumerate(texts) if not text]
        self.order = [token for _, token in plain] + named
        self.place = {token: place for place, token in enumerate(self.order)}
        self._texts = [text for text, _ in plain]
        self._tokenizer = tokenizer
        self._ids = dict(reversed(plain))
        self._plain = set(self._ids.values())

    def span(self, text: bytes | None) -> tuple[int, int, int]:
        """(first, last) of the run of tokens for a text, and one token more or -1."""
        if not text:
            return 0, 0, -1
        if text in self._ids:
            place = self.place[self._ids[text]]
            return place, place + 1, -1
        first = bisect_left(self._texts, text)
        return first, bisect_left(self._texts, _after(text)), self._leading(text)

    def _leading(self, text: bytes) -> int:
        """The first token of a text: as the tokenizer cuts it, or the longest that fits."""
        try:
            ids = self._tokenizer(text.decode(), add_special_tokens=False)["input_ids"]
        except UnicodeDecodeError:
            ids = []
        starts = (text[:size] for size in range(len(text), 0, -1))
        longest = next((self._ids[start] for start in starts if start in self._ids), -1)
        return ids[0] if ids and ids[0] in self._plain else longest


def _after(text: bytes) -> bytes:
    """The least byte string above all that begin with `text`; "\\xff…" has practically none."""
    trimmed = text.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else b"\xff" * 64
