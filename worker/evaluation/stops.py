"""Stop strings: an answer ends before the first of them."""

from collections.abc import Sequence
from typing import Any


class Stops:
    """Tells when an answer's tokens hold one of the strings.

    Only a token whose own text can end a string makes it look at the whole answer.
    """

    def __init__(self, tokenizer: Any, strings: Sequence[str]) -> None:
        self._tokenizer, self._strings = tokenizer, strings
        self._last = {text[-1] for text in strings}
        self._may_end: dict[int, bool] = {}

    def __call__(self, written: list[int]) -> bool:
        token = written[-1]
        if token not in self._may_end:
            text = self._tokenizer.decode([token])
            # Part of a character reads as U+FFFD: together with its neighbours it may be any.
            self._may_end[token] = "\ufffd" in text or not self._last.isdisjoint(text)
        if not self._may_end[token]:
            return False
        answer = self._tokenizer.decode(written, skip_special_tokens=True)
        return any(text in answer for text in self._strings)


def before(text: str, strings: Sequence[str]) -> str:
    """The text up to the first of the strings, if it holds any."""
    return text[: min((at for each in strings if (at := text.find(each)) >= 0), default=len(text))]
