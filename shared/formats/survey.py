"""What a training file holds: rows, languages, lengths, duplicates and a digest, in one pass."""

import hashlib
import json
import unicodedata
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shared.formats.reading import detect, rows
from shared.formats.rows import Conversation, Preference, Row, Text, question_of
from shared.formats.values import container_of
from shared.templates.languages import language_of

#: Duplicates that are listed, as [row, the earlier row].
_LISTED = 20
#: Bins of the histogram, at most.
_BINS = 24


@dataclass
class Survey:
    """A training file looked at from the first row to the last."""

    format: str
    rows: int = 0
    #: Rows of each language.
    languages: Counter[str] = field(default_factory=Counter)
    #: json, jsonl, csv, parquet, text; whether gzipped.
    container: str = ""
    #: Rows left out because they were wrong.
    skipped: int = 0
    #: Rows that say the same as an earlier one, after normalisation; the first of them.
    duplicates: int = 0
    repeats: list[list[int]] = field(default_factory=list)
    #: Most answers of one row.
    turns: int = 0
    #: Characters of a row: least, median, 95 of 100, most.
    lengths: list[int] = field(default_factory=list)
    #: [from, to, rows] of characters a row, both ends counted; bins grow with the length.
    histogram: list[list[int]] = field(default_factory=list)
    #: Digest of what the rows say, in order: the same from every container.
    content: str = ""

    def facts(self) -> dict[str, Any]:
        """All but format, rows and languages, as JSON."""
        left_out = {"format", "rows", "languages"}
        return {name: value for name, value in asdict(self).items() if name not in left_out}


def survey(path: Path, format: str = "", *, skip: bool = False) -> Survey:
    """Look at every row of a training file. Raises what `formats.rows` raises."""
    kind = container_of(path)
    packed = _packed(path)
    found = Survey(detect(path, format).name, container=f"{kind}.gz" if packed else kind)
    digest, seen, lengths = hashlib.sha256(), {}, array("Q")
    for number, row in rows(path, format, skip=skip):
        found.rows += 1
        content = said(row)
        digest.update(json.dumps(content, ensure_ascii=False).encode())
        found.languages[language_of_row(row)] += 1
        lengths.append(sum(map(len, content)))
        found.turns = max(found.turns, _answers(row))
        first = seen.setdefault(key_of(content), number)
        if first != number:
            found.duplicates += 1
            if len(found.repeats) < _LISTED:
                found.repeats.append([number, first])
    ordered = sorted(lengths)
    found.lengths = [ordered[int(share * (len(ordered) - 1))] for share in (0, 0.5, 0.95, 1)]
    found.histogram = histogram(ordered)
    found.content = digest.hexdigest()[:16]
    return found


def histogram(ordered: Sequence[int]) -> list[list[int]]:
    """[from, to, rows] of lengths in ascending order; a row twice as long is as far as any other.

    Bins are equal in the logarithm, for lengths have long tails, and end on whole characters.
    """
    if not ordered:
        return []
    least, most = max(1, ordered[0]), max(1, ordered[-1])
    step = (most / least) ** (1 / _BINS)
    ends = sorted({min(most, int(least * step**place)) for place in range(1, _BINS)} | {most})
    found, below, low = [], 0, ordered[0]
    for end in ends:
        reached = bisect_right(ordered, end)
        found.append([low, end, reached - below])
        below, low = reached, end + 1
    return found


def said(row: Row) -> list[str]:
    """Everything a row says, in order."""
    if isinstance(row, Text):
        return [row.text]
    talk = row.prompt if isinstance(row, Preference) else row
    texts = [talk.system, *(part for turn in talk.turns for part in (turn.content, turn.input))]
    return texts + ([row.chosen, row.rejected] if isinstance(row, Preference) else [])


def normalised(text: str) -> str:
    """A text without what two copies of it may differ in: width, case, runs of spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def key_of(texts: Iterable[str]) -> int:
    """64 bits that texts have in common exactly where they are the same after normalisation."""
    joined = "\x1f".join(normalised(text) for text in texts)
    return int.from_bytes(hashlib.blake2b(joined.encode(), digest_size=8).digest())


def language_of_row(row: Row) -> str:
    """The language of a row's question and first answer."""
    if isinstance(row, Conversation):
        return language_of(question_of(row) + row.turns[1].content)
    return language_of(question_of(row))


def without_duplicates(some: Iterable[Row]) -> Iterator[Row]:
    """Rows in their order, each that says the same as an earlier one left out."""
    seen: set[int] = set()
    for row in some:
        key = key_of(said(row))
        if key not in seen:
            seen.add(key)
            yield row


def _answers(row: Row) -> int:
    return (
        sum(turn.role == "assistant" for turn in row.turns) if isinstance(row, Conversation) else 1
    )


def _packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
