"""Rows as token ids: each piece of a template tokenized apart, and the spans that are trained."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from shared.formats import AlpacaRow, Conversation, Preference, Row, Text, row_of
from shared.templates import Piece, pieces
from worker.framing import Frame, frame_of

#: Rows the tokenizer sees at once; bounds memory, not results.
_CHUNK = 1000
#: First token and the one after the last of a trained stretch.
Span = tuple[int, int]


@dataclass(frozen=True)
class Example:
    """One row: the tokens of `trained` are learned, the others only read."""

    ids: tuple[int, ...]
    #: In order, apart from each other; never the first token, which nothing predicts.
    trained: tuple[Span, ...]

    @classmethod
    def answering(cls, ids: tuple[int, ...], answer: int) -> "Example":
        """An example whose tokens from `answer` on are trained."""
        return cls(ids, ((answer, len(ids)),))

    @property
    def answer(self) -> int:
        """Where its first trained token is."""
        return self.trained[0][0]

    @property
    def labels(self) -> int:
        """How many of its tokens are trained."""
        return sum(end - begin for begin, end in self.trained)

    @property
    def targets(self) -> tuple[int, ...]:
        """The trained tokens, in order."""
        return tuple(token for begin, end in self.trained for token in self.ids[begin:end])


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
    #: Of preferences, the same questions with the answers not wanted, place by place.
    rejected: list[Example] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Tokens of all examples."""
        return sum(len(example.ids) for example in (*self.examples, *self.rejected))

    @property
    def labels(self) -> int:
        """Trained tokens of all examples."""
        return sum(example.labels for example in (*self.examples, *self.rejected))


def encode(
    rows: Iterable[Row | AlpacaRow], tokenizer: Any, template: str, max_length: int
) -> Encoded:
    """The examples of `rows`, cut at the right to `max_length` tokens.

    Prompts and answers are tokenized apart, as at evaluation, so that a prompt's ids never depend
    on its answer. Around the prompt stands what the base wants there (see `frame_of`), such as a
    begin token. A preference is left out as a whole where either of its answers is.
    """
    examples: list[Example] = []
    rejected: list[Example] = []
    total = cut = 0
    for made in _tokenized(rows, tokenizer, template):
        total += 1
        cut += any(len(example.ids) > max_length for example in made)
        kept = [short for each in made if (short := _shortened(each, max_length))]
        if len(kept) == len(made):
            examples.append(kept[0])
            rejected += kept[1:]
    ends = tokenizer.eos_token_id is not None
    return Encoded(examples, total, cut, total - len(examples), ends, rejected)


def prompt_ids(row: Row | AlpacaRow, tokenizer: Any, template: str) -> tuple[int, ...]:
    """The tokens that ask a row's last question, as it was or will be trained.

    Raises ValueError for a text, which asks nothing.
    """
    found = row_of(row)
    if isinstance(found, Text):
        raise ValueError("a text asks nothing")
    asked = found.prompt if isinstance(found, Preference) else found.asked
    [[example]] = _tokenized([asked], tokenizer, template)
    return example.ids


def _tokenized(
    rows: Iterable[Row | AlpacaRow], tokenizer: Any, template: str
) -> Iterator[list[Example]]:
    """The one example of each row, or the two of a preference; nothing cut yet."""
    waiting = iter(rows)
    frame, end = frame_of(tokenizer), tokenizer.eos_token_id
    while chunk := [_laid_out(row_of(row), template) for row in islice(waiting, _CHUNK)]:
        texts = [piece.text for each in chunk for laid in each for piece in laid]
        # verbose: the tokenizer's own warning about long texts; the audit reports what is cut.
        ids = iter(tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"])
        for each in chunk:
            yield [_example(laid, list(islice(ids, len(laid))), frame, end) for laid in each]


def _laid_out(row: Row, template: str) -> list[list[Piece]]:
    if isinstance(row, Text):
        return [[Piece(row.text, trained=True, ends=True)]]
    conversations: Sequence[Conversation] = row.pair if isinstance(row, Preference) else (row,)
    return [pieces(template, conversation) for conversation in conversations]


def _example(laid: list[Piece], tokens: list[list[int]], frame: Frame, end: int | None) -> Example:
    """The pieces in a row, in the base's frame.

    A base with a frame behind its prompts reads all before it as one prompt, so there only the
    last answer is trained and ended; earlier ones are part of what is asked.
    """
    ids: list[int] = list(frame.before)
    trained: list[Span] = []
    answers = [place for place, piece in enumerate(laid) if piece.trained]
    last = answers[-1] if answers else len(laid)
    for place, (piece, own) in enumerate(zip(laid, tokens, strict=True)):
        # A begin token that the text already had comes once.
        begun = ids and len(ids) == len(frame.before) and own[: len(ids)] == ids
        own = own[len(ids) :] if begun else own
        ids += frame.after if place == last else ()
        asked = bool(frame.after) and place < last
        first = max(1, len(ids))
        ids += own
        if piece.ends and end is not None and not asked:
            ids.append(end)
        if piece.trained and not asked and len(ids) > first:
            trained.append((first, len(ids)))
    ids += () if answers else frame.after
    return Example(tuple(ids), tuple(trained))


def _shortened(example: Example, length: int) -> Example | None:
    """The example cut at the right; None where no trained token is left."""
    if len(example.ids) <= length:
        return example if example.trained else None
    spans = tuple((begin, min(end, length)) for begin, end in example.trained if begin < length)
    return Example(example.ids[:length], spans) if spans else None
