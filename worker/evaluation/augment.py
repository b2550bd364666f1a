"""Samples of a frozen knowledge base for each item of a benchmark, by similarity or at random."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.benchmarks import BenchmarkItem, ChoiceItem, GenerateItem
from shared.retrieval import (
    Found,
    Index,
    Sample,
    Version,
    at_random,
    most_similar,
    read_samples,
    terms,
)
from shared.specs import Choosing

_REVISION = 0


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

    def examples(
        self, how: Choosing, items: Sequence[Any], most: int
    ) -> tuple[Mapping[str, Sequence[Sample]], int]:
        """The samples that may go before each prompt, the nearest last; and how many were passed
        over because they would give an answer away.

        None for shapes that ask nothing (continuations).
        """
        found: dict[str, Sequence[Sample]] = {}
        leaks = 0
        for item in items:
            if isinstance(item, ChoiceItem | GenerateItem):
                chosen = self._choose(how, item, most)
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

    def _choose(self, how: Choosing, item: ChoiceItem | GenerateItem, most: int) -> Found:
        choose = most_similar if how == "retrieved" else at_random
        return choose(
            self._index, lambda keys: [self._samples[key] for key in keys], item.prompt,
            _REVISION, most, references=right_answers(item), lang=item.lang,
        )  # fmt: skip


def right_answers(item: BenchmarkItem) -> list[str]:
    """What a sample must not give away."""
    if isinstance(item, ChoiceItem):
        return [item.choices[item.answer]]
    return item.references if isinstance(item, GenerateItem) else []
