"""Which samples go before a question: the most similar ones, or as many drawn at random."""

import random
from collections.abc import Callable, Sequence

from shared.retrieval.index import Index
from shared.retrieval.samples import Found, Hit, Sample
from shared.retrieval.text import content_hash, terms

#: Two texts are nearly the same where the terms they share carry this much of what both say.
DUPLICATE = 0.8
#: A reference this short (a label, a number) is the answer to many questions and betrays none.
TELLING_REFERENCE = 8
#: Candidates looked at for each sample wanted: guard and language leave some out.
_SPARE, _LEAST = 4, 32

#: Looks samples up by the index's keys.
Fetch = Callable[[Sequence[int]], Sequence[Sample]]


def most_similar(
    index: Index,
    fetch: Fetch,
    question: str,
    revision: int,
    most: int,
    *,
    references: Sequence[str] = (),
    lang: str | None = None,
    guarded: bool = True,
    candidates: Sequence[tuple[int, float]] | None = None,
) -> Found:
    """Up to `most` samples of a language by BM25, the most similar last; none that leaks.

    `candidates`, (key, score) with the nearest first, come from another search where given.

    A sample leaks that asks the question itself, nearly the same (`likeness` >= DUPLICATE), or
    whose answer is nearly one of the references of telling length. Whoever asks to know rather
    than to measure is not `guarded` from the answer.
    """
    if candidates is None:
        candidates = index.search(terms(question), revision, looked_at(most))
    guard = _Guard(index, revision, question, references)
    hits: list[Hit] = []
    leaks = 0
    # In portions, for most of the time the first few are enough.
    portion = _SPARE + most
    for first in range(0, len(candidates), portion):
        keys = [key for key, _ in candidates[first : first + portion]]
        for sample, (_, score) in zip(fetch(keys), candidates[first:], strict=False):
            if len(hits) == most or (lang is not None and sample.lang != lang):
                continue
            if guarded and guard.leaks(sample):
                leaks += 1
            else:
                hits.append(Hit(sample=sample, score=score))
        if len(hits) == most:
            break
    return Found(hits=hits[::-1], leaks=leaks)


def looked_at(most: int) -> int:
    """How many candidates are looked at: some leak, or are of another language."""
    return max(_LEAST, _SPARE * most)


def at_random(
    index: Index,
    fetch: Fetch,
    question: str,
    revision: int,
    most: int,
    *,
    references: Sequence[str] = (),
    lang: str | None = None,
    guarded: bool = True,
) -> Found:
    """As many samples of the language, drawn with the question as the seed; the same guard."""
    guard = _Guard(index, revision, question, references)
    chance = random.Random(content_hash(question))
    keys = index.alive(revision)
    hits: list[Hit] = []
    leaks = 0
    # In portions: a permutation of a large base for every question would cost more than its answer.
    for _ in range(8):
        places = chance.sample(range(len(keys)), min(len(keys), max(_LEAST, _SPARE * most)))
        drawn = [int(keys[place]) for place in places]
        for sample in fetch(drawn):
            known = {hit.sample.id for hit in hits}
            if len(hits) == most or sample.id in known or (lang and sample.lang != lang):
                continue
            if guarded and guard.leaks(sample):
                leaks += 1
            else:
                hits.append(Hit(sample=sample))
        if len(hits) == most or len(drawn) == len(keys):
            break
    return Found(hits=hits, leaks=leaks)


def likeness(index: Index, revision: int, one: Sequence[str], other: Sequence[str]) -> float:
    """Weight of the shared terms over weight of all terms of two texts, from 0 to 1.

    Weighted by what each term tells (its idf), so that the words every question of a benchmark
    begins with make no two of them alike.
    """
    mine, theirs = set(one), set(other)
    if not mine or not theirs:
        return 0.0
    weights = {term: index.weight(term, revision) for term in mine | theirs}
    return sum(weights[term] for term in mine & theirs) / sum(weights.values())


class _Guard:
    """Knows the question, and which samples would give its answer away."""

    def __init__(
        self, index: Index, revision: int, question: str, references: Sequence[str]
    ) -> None:
        self._index, self._revision = index, revision
        self._hash = content_hash(question)
        self._terms = terms(question)
        found = [terms(reference) for reference in references]
        self._references = [each for each in found if len(each) >= TELLING_REFERENCE]

    def leaks(self, sample: Sample) -> bool:
        if content_hash(sample.question) == self._hash:
            return True
        if self._alike(self._terms, terms(sample.question)):
            return True
        answer = terms(sample.output) if self._references else []
        return any(self._alike(reference, answer) for reference in self._references)

    def _alike(self, one: list[str], other: list[str]) -> bool:
        # Most samples share too few terms to be alike whatever those weigh.
        shared = len(set(one) & set(other))
        if 2 * shared < max(len(set(one)), len(set(other))):
            return False
        return likeness(self._index, self._revision, one, other) >= DUPLICATE
