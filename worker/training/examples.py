"""Rows as token ids: the prompt in its template, then the answer, of which only that is trained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shared.alpaca import Row
from shared.templates import render

#: Rows the tokenizer sees at once; bounds memory, not results.
_CHUNK = 1000


@dataclass(frozen=True)
class Example:
    """One row: `ids[answer:]` is trained, what stands before only read."""

    ids: tuple[int, ...]
    answer: int

    @property
    def labels(self) -> int:
        """How many of its tokens are trained."""
        return len(self.ids) - self.answer


@dataclass(frozen=True)
class Encoded:
    """A dataset as examples, and what the length limit took from it (all in rows)."""

    examples: list[Example]
    rows: int
    #: Longer than the limit: lost the end of the answer, and with it the token that ends it.
    cut: int
    #: Left with no answer at all; not among `examples`.
    dropped: int
    #: Whether answers end with the tokenizer's end-of-text token.
    trains_end: bool

    @property
    def tokens(self) -> int:
        """Tokens of all examples."""
        return sum(len(example.ids) for example in self.examples)

    @property
    def labels(self) -> int:
        """Trained tokens of all examples."""
        return sum(example.labels for example in self.examples)


def encode(rows: Sequence[Row], tokenizer: Any, template: str, max_length: int) -> Encoded:
    """The examples of `rows`, cut at the right to `max_length` tokens.

    Prompt and answer are tokenized apart, as at evaluation, so that the prompt's ids never depend
    on the answer. The tokenizer's begin token comes first, once, where it has one: bases are
    trained with it even where their tokenizer does not add it.
    """
    start = () if tokenizer.bos_token_id is None else (tokenizer.bos_token_id,)
    end = () if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,)
    examples: list[Example] = []
    cut = 0
    for prompt, answer in _tokenized(rows, tokenizer, template):
        prompt = start + _without(prompt, start)
        ids = prompt + answer + end
        cut += len(ids) > max_length
        if 0 < len(prompt) < max_length:
            examples.append(Example(ids[:max_length], len(prompt)))
    return Encoded(examples, len(rows), cut, len(rows) - len(examples), bool(end))


def _tokenized(
    rows: Sequence[Row], tokenizer: Any, template: str
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    for first in range(0, len(rows), _CHUNK):
        chunk = rows[first : first + _CHUNK]
        prompts = [render(template, row["instruction"], row["input"]) for row in chunk]
        answers = [row["output"] for row in chunk]
        # verbose: the tokenizer's own warning about long texts; the audit reports what is cut.
        ids = tokenizer(prompts + answers, add_special_tokens=False, verbose=False)["input_ids"]
        for prompt, answer in zip(ids[: len(chunk)], ids[len(chunk) :], strict=True):
            yield tuple(prompt), tuple(answer)


def _without(ids: tuple[int, ...], start: tuple[int, ...]) -> tuple[int, ...]:
    """Ids less a begin token that the text already had."""
    return ids[len(start) :] if start and ids[: len(start)] == start else ids
