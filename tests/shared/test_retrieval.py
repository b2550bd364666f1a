"""Retrieval: BM25 by words and character pairs, the leak guard, and revisions that stand still."""

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.errors import BadData
from shared.retrieval import (
    Index,
    Sample,
    Version,
    at_random,
    content_hash,
    most_similar,
    read_samples,
    terms,
    write_samples,
)
from shared.retrieval.index import K1, MOST_LOOSE, B
from shared.retrieval.select import likeness

WORDS = ("river", "stone", "cloud", "green", "winter", "paper", "bridge", "lamp", "wheel", "copper")


def _texts(count: int, seed: int = 0) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(3, 9))) for _ in range(count)]


def _reference(texts: Sequence[str], question: str) -> list[float]:
    """BM25 of every text, by its textbook formula."""
    counts = [Counter(terms(text)) for text in texts]
    mean = sum(sum(each.values()) for each in counts) / len(counts)
    scores = [0.0] * len(texts)
    for term in set(terms(question)):
        holding = sum(1 for each in counts if term in each)
        weight = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        for place, each in enumerate(counts):
            length = sum(each.values()) / mean
            top = each[term] * (K1 + 1)
            scores[place] += weight * top / (each[term] + K1 * (1 - B + B * length))
    return scores


def _index(texts: Sequence[str], start: int = 0, since: int = 1) -> list[Version]:
    return [Version(start + n, terms(text), since) for n, text in enumerate(texts)]


def test_latin_text_is_searched_by_words_and_han_text_by_pairs() -> None:
    assert terms("The ＣＡＴ's 2 hats") == ["the", "cat", "s", "2", "hats"]
    assert terms("春天的雨 and 雪") == ["春天", "天的", "的雨", "and", "雪"]


def test_texts_that_differ_by_marks_alone_have_one_hash_and_marks_alone_keep_theirs() -> None:
    assert content_hash("Hello, world!", "a") == content_hash("hello world", "A")
    assert content_hash("ab", "c") != content_hash("a", "bc")
    assert content_hash("+") != content_hash("-")


def test_scores_are_the_formula_of_bm25() -> None:
    texts = _texts(60)
    index = Index(_index(texts))
    found = dict(index.search(terms("green winter river"), 1, 60))
    for place, score in enumerate(_reference(texts, "green winter river")):
        assert found.get(place, 0.0) == pytest.approx(score, rel=1e-5)


def test_a_revision_answers_the_same_however_the_index_came_to_it() -> None:
    texts = _texts(MOST_LOOSE + 300)
    question = terms("copper lamp wheel")
    at_once = Index([*_index(texts[:50]), *_index(texts[50:], 50, since=2)])
    in_pieces = Index(_index(texts[:50]))
    before = in_pieces.search(question, 1, 10)
    assert at_once.search(question, 1, 10) == before
    for place in range(50, len(texts), 100):
        in_pieces.add(_index(texts[place : place + 100], place, since=2))
    in_pieces.end(before[0][0], 3)
    at_once.end(before[0][0], 3)
    for revision in (1, 2, 3):
        assert in_pieces.search(question, revision, 10) == at_once.search(question, revision, 10)
    assert in_pieces.search(question, 1, 10) == before
    assert before[0][0] not in dict(in_pieces.search(question, 3, 50))


def test_of_equal_samples_the_older_ones_are_found() -> None:
    index = Index(_index(["salt and stone"] * 40))
    assert [key for key, _ in index.search(terms("salt"), 1, 5)] == [0, 1, 2, 3, 4]


def _samples(*questions: str, lang: str = "en", output: str = "yes") -> list[Sample]:
    return [
        Sample(id=f"s{n}", since=1, lang=lang, instruction=text, output=output)
        for n, text in enumerate(questions)
    ]


def _asked(
    samples: list[Sample],
    question: str,
    most: int = 3,
    choose: Callable[..., Any] = most_similar,
    **more: Any,
) -> Any:
    index = Index([Version(n, terms(each.question), 1) for n, each in enumerate(samples)])
    return choose(index, lambda keys: [samples[key] for key in keys], question, 1, most, **more)


def test_the_most_similar_sample_stands_last() -> None:
    samples = _samples("a river in winter", "a green river under a bridge", "copper wheel")
    found = _asked(samples, "which bridge crosses the green river")
    assert [hit.sample.id for hit in found.hits] == ["s0", "s1"]
    assert found.hits[0].score < found.hits[1].score


def test_the_question_itself_and_near_copies_of_it_are_left_out_and_counted() -> None:
    question = "How many stones are needed for the old bridge over the river?"
    samples = _samples(
        question.lower().replace("?", " ?"),
        "How many stones are needed for the old bridge over this river?",
        "How many lamps are needed for the garden?",
        *_texts(20),
    )
    found = _asked(samples, question, 1)
    assert [hit.sample.id for hit in found.hits] == ["s2"]
    assert found.leaks == 2


def test_words_that_every_question_begins_with_make_no_two_of_them_alike() -> None:
    start = "以下新闻标题属于哪个类别：体育、财经、科技、教育、文化？标题："
    titles = ["北京暴雨", "球队夺冠", "股市大涨", "新书发布", "高考放榜", "卫星升空", "春茶上市"]
    samples = _samples(*(start + title for title in titles), lang="zh")
    index = Index([Version(n, terms(each.question), 1) for n, each in enumerate(samples)])
    one, other = terms(start + "球队夺冠"), terms(start + "暴雨来袭")
    plain = len(set(one) & set(other)) / len(set(one) | set(other))
    assert plain > 0.7
    assert likeness(index, 1, one, other) < 0.5
    assert len(_asked(samples, start + "暴雨来袭", 5).hits) == 5


def test_a_sample_whose_answer_is_the_reference_leaks_but_a_short_label_does_not() -> None:
    told = "the harbour was closed for nine days after the winter storm of that year"
    samples = _samples("what closed the harbour", output=told)
    assert _asked(samples, "why was the harbour shut", references=[told]).leaks == 1
    labelled = _samples("was the harbour shut", output="positive")
    found = _asked(labelled, "is the harbour open", references=["positive"])
    assert (len(found.hits), found.leaks) == (1, 0)


def test_samples_drawn_at_random_are_the_same_for_the_same_question() -> None:
    samples = _samples(*_texts(200, seed=1))
    first, again, other = (
        [hit.sample.id for hit in _asked(samples, text, 4, at_random).hits]
        for text in ("lamp?", "lamp?", "wheel?")
    )
    assert first == again != other
    assert len(set(first)) == 4


def test_only_samples_of_the_asked_language_are_used() -> None:
    chinese = Sample(id="zh", since=1, lang="zh", instruction="说 lamp", output="灯")
    samples = [*_samples("say lamp"), chinese]
    for choose in (most_similar, at_random):
        found = _asked(samples, "lamp", 2, choose, lang="zh")
        assert [hit.sample.id for hit in found.hits] == ["zh"]


def test_frozen_samples_read_back_and_damage_is_named(tmp_path: Path) -> None:
    samples = [Sample(id="a", since=3, lang="zh", instruction="说\u2028灯", output="灯\n灯")]
    path = tmp_path / "frozen.jsonl"
    write_samples(path, samples)
    assert read_samples(path) == samples
    path.write_text("{}\n")
    with pytest.raises(BadData, match=r"frozen\.jsonl"):
        read_samples(path)
