"""An inverted index of all versions of a knowledge base's samples, asked as of any revision.

Scores are BM25 (Robertson & Zaragoza 2009) with statistics of the samples alive at the revision
that is asked, computed when it is asked: what a revision answers depends on nothing that came
later. Texts are only ever added; being edited or expired is the revision `until` which a version
counts.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

#: BM25's saturation and length normalisation, at their usual values.
K1, B = 1.2, 0.75
#: The revision until which a version counts that nobody has ended.
FOREVER = 2**62
#: Added versions are searched one by one until this many call for a new index.
MOST_LOOSE = 4096
#: From this many samples on, terms that more than a fifth of them hold are left out of a search
#: that has rarer ones: they tell samples hardly apart and cost most of the time.
MANY, TOO_COMMON = 2000, 0.2

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Version:
    """One text of one sample: its terms, and the revisions in which it counts."""

    key: int
    terms: Sequence[str]
    since: int = 0
    until: int = FOREVER


@dataclass(frozen=True)
class _View:
    """What one revision holds: which places are alive, and their length factors."""

    alive: NDArray[np.bool_]
    count: int
    factors: NDArray[np.float32]
    #: Of the terms looked at so far.
    weights: dict[str, float] = field(default_factory=dict)


class Index:
    """Versions by place, in the order in which they were added."""

    def __init__(self, versions: Sequence[Version] = ()) -> None:
        self._numbers: dict[str, int] = {}
        self._tokens, self._lengths = array("q"), array("q")
        self.keys, self._since, self._until = array("q"), array("q"), array("q")
        self._places: dict[int, int] = {}
        self._starts: Ints = np.zeros(1, dtype=np.int64)
        self._docs = np.zeros(0, dtype=np.int32)
        self._counts = np.zeros(0, dtype=np.float32)
        #: Versions from this place on are not in the postings yet.
        self._packed = 0
        self._loose: dict[int, dict[int, int]] = {}
        self._views: dict[int, _View] = {}
        self.add(versions)

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, versions: Sequence[Version]) -> None:
        """Take in new versions; each key comes once."""
        for version in versions:
            numbers = [self._numbers.setdefault(term, len(self._numbers)) for term in version.terms]
            place = len(self.keys)
            self._places[version.key] = place
            self.keys.append(version.key)
            self._since.append(version.since)
            self._until.append(version.until)
            self._lengths.append(len(numbers))
            self._tokens.extend(numbers)
            if len(versions) <= MOST_LOOSE:
                for number in numbers:
                    found = self._loose.setdefault(number, {})
                    found[place] = found.get(place, 0) + 1
        if len(self.keys) - self._packed > MOST_LOOSE:
            self._pack()
        self._views.clear()

    def end(self, key: int, until: int) -> None:
        """A version counts no longer from revision `until` on."""
        self._until[self._places[key]] = until
        self._views.clear()

    def _pack(self) -> None:
        """Postings of everything: for each term its places in order, and how often it is there."""
        lengths = np.frombuffer(self._lengths, dtype=np.int64)
        tokens = np.frombuffer(self._tokens, dtype=np.int64)
        places = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
        pairs, counts = np.unique(tokens * len(lengths) + places, return_counts=True)
        numbers = pairs // max(1, len(lengths))
        self._docs = (pairs - numbers * len(lengths)).astype(np.int32)
        self._counts = counts.astype(np.float32)
        self._starts = np.searchsorted(numbers, np.arange(len(self._numbers) + 1))
        self._packed = len(lengths)
        self._loose = {}

    def _view(self, revision: int) -> _View:
        if revision not in self._views:
            if len(self._views) > 8:
                self._views.clear()
            since = np.array(self._since, dtype=np.int64)
            until = np.array(self._until, dtype=np.int64)
            alive = (since <= revision) & (until > revision)
            lengths = np.array(self._lengths, dtype=np.float64)
            count = int(alive.sum())
            mean = float(lengths[alive].mean()) if count else 1.0
            factors = (K1 * (1 - B + B * lengths / max(mean, 1.0))).astype(np.float32)
            self._views[revision] = _View(alive, count, factors)
        return self._views[revision]

    def _postings(self, number: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Places of a term in order, and how often it is there."""
        docs, counts = self._docs[:0], self._counts[:0]
        if number + 1 < len(self._starts):
            part = slice(self._starts[number], self._starts[number + 1])
            docs, counts = self._docs[part], self._counts[part]
        if loose := self._loose.get(number):
            docs = np.concatenate([docs, np.fromiter(loose, dtype=np.int32)])
            counts = np.concatenate([counts, np.fromiter(loose.values(), dtype=np.float32)])
        return docs, counts

    def weight(self, term: str, revision: int) -> float:
        """How much a term tells: ln(1 + (N - n + 0.5) / (n + 0.5)), n of N samples holding it."""
        view = self._view(revision)
        if term not in view.weights:
            number = self._numbers.get(term)
            holding = 0 if number is None else int(view.alive[self._postings(number)[0]].sum())
            view.weights[term] = _idf(view.count, holding)
        return view.weights[term]

    def search(self, asked: Sequence[str], revision: int, most: int) -> list[tuple[int, float]]:
        """(key, score) of the samples that share a term, the best first; of equals the older."""
        view = self._view(revision)
        found: list[tuple[int, NDArray[np.int32], NDArray[np.float32]]] = []
        for term in sorted(set(asked)):
            if (number := self._numbers.get(term)) is not None:
                docs, counts = self._postings(number)
                if holding := int(view.alive[docs].sum()):
                    found.append((holding, docs, counts))
        scores = np.zeros(len(self.keys), dtype=np.float32)
        for holding, docs, counts in _telling(found, view.count):
            gained = counts * np.float32(K1 + 1) / (counts + view.factors[docs])
            scores[docs] += gained * np.float32(_idf(view.count, holding))
        return self._best(scores * view.alive, most)

    def _best(self, scores: NDArray[np.float32], most: int) -> list[tuple[int, float]]:
        if most < 1:
            return []
        places = np.flatnonzero(scores)
        values = scores[places]
        if len(places) > most:
            # All that reach the last place's score: which of equals are left out must not depend
            # on how the array happens to be partitioned.
            floor = -np.partition(-values, most - 1)[most - 1]
            places, values = places[values >= floor], values[values >= floor]
        order = np.lexsort((places, -values))[:most]
        return [
            (self.keys[place], float(value))
            for place, value in zip(places[order], values[order], strict=True)
        ]

    def alive(self, revision: int) -> Ints:
        """The keys of a revision, in the order they were added."""
        return np.array(self.keys, dtype=np.int64)[self._view(revision).alive]


def _telling(
    found: list[tuple[int, NDArray[np.int32], NDArray[np.float32]]], count: int
) -> list[tuple[int, NDArray[np.int32], NDArray[np.float32]]]:
    """The terms worth adding up: see MANY."""
    if count < MANY:
        return found
    return [each for each in found if each[0] <= TOO_COMMON * count] or found


def _idf(count: int, holding: int) -> float:
    return float(np.log1p((count - holding + 0.5) / (holding + 0.5)))
