"""Samples of a frozen knowledge base for each item of a benchmark, by similarity or at random."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

from shared.benchmarks import BenchmarkItem, ChoiceItem, GenerateItem
from shared.retrieval import (
    Found,
    Index,
    Sample,
    Vectors,
    Version,
    at_random,
    looked_at,
    most_similar,
    read_samples,
    terms,
)
from shared.retrieval.vectors import Floats
from shared.specs import Choosing

_REVISION = 0
#: Languages that samples may be in.
LANGUAGES = 2
#: Vectors of texts, shape (texts, width).
Encode = Callable[[Sequence[str]], Floats]


class Library:
    """One revision in memory."""

    def __init__(self, path: Path) -> None:
        """Read a frozen revision and index it. Raises BadData where the file is damaged."""
        self._samples = read_samples(path)
        self._index = Index(
            [
                Version(key, terms(sample.question), _REVISION)
                for key, sample in enumerate(self._samples)
            ]
        )
        self._vectors: Vectors | None = None
        self._encode: Encode | None = None

    def search_by(self, encode: Encode, keep: Callable[[Callable[[], Floats]], Floats]) -> None:
        """Find similar samples by vectors from now on: `encode` makes those of texts, `keep` gives
        the samples' own, which it may have from earlier."""
        self._encode = encode
        self._vectors = Vectors(keep(lambda: encode([each.question for each in self._samples])))

    def examples(
        self, how: Choosing, items: Sequence[Any], most: int
    ) -> tuple[Mapping[str, Sequence[Sample]], int]:
        """The samples that may go before each prompt, the nearest last; and how many were passed
        over because they would give an answer away.

        None for shapes that ask nothing (continuations).
        """
        found: dict[str, Sequence[Sample]] = {}
        leaks = 0
        asking = [item for item in items if isinstance(item, ChoiceItem | GenerateItem)]
        nearest: Iterable[Any] = repeat(None)
        if how == "retrieved" and self._vectors is not None and self._encode is not None:
            questions = self._encode([item.prompt for item in asking])
            # All languages lie in one space: where one is asked for, more have to be looked at.
            nearest = self._vectors.search(questions, LANGUAGES * looked_at(most))
        for item, candidates in zip(asking, nearest, strict=False):
            chosen = self._choose(how, item, most, candidates)
            found[item.prompt] = [hit.sample for hit in chosen.hits]
            leaks += chosen.leaks
        return found, leaks

    def nearest(self, question: str, lang: str, most: int) -> list[Sample]:
        """The most similar samples to a question that anybody may know the answer to, the nearest
        last."""
        found = most_similar(
            self._index, lambda keys: [self._samples[key] for key in keys], question, _REVISION,
            most, lang=lang, guarded=False,
        )  # fmt: skip
        return [hit.sample for hit in found.hits]

    def _choose(
        self,
        how: Choosing,
        item: ChoiceItem | GenerateItem,
        most: int,
        candidates: Sequence[tuple[int, float]] | None,
    ) -> Found:
        asked: dict[str, Any] = {"references": right_answers(item), "lang": item.lang}
        if how == "retrieved":
            asked["candidates"] = candidates
        choose = most_similar if how == "retrieved" else at_random
        return choose(
            self._index, lambda keys: [self._samples[key] for key in keys], item.prompt,
            _REVISION, most, **asked,
        )  # fmt: skip


def right_answers(item: BenchmarkItem) -> list[str]:
    """What a sample must not give away."""
    if isinstance(item, ChoiceItem):
        return [item.choices[item.answer]]
    return item.references if isinstance(item, GenerateItem) else []
