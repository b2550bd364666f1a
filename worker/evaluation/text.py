"""Comparing an answer's text with references, in English and Chinese alike."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from shared.instructions import in_language

#: Scripts written without spaces: kana, and Han with its extensions.
_SCRIPTS = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"[{_SCRIPTS}]|[^\W_{_SCRIPTS}]+")


def tokens(text: str) -> list[str]:
    """Each Han or kana character, each other word or number; lower case, no punctuation.

    A tokenizer that keeps only a-z and 0-9, as rouge-score's does, finds every Chinese text empty.
    """
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())


def answer_values(answer: str, references: Sequence[str]) -> dict[str, float]:
    """ROUGE-1/2/L (F, no stemming; Lin 2004), token F1 and exact match, each in [0, 1].

    Also chrF. Each is the best over the references, so that any good answer counts in full.
    """
    rouges = [rouge(answer, reference) for reference in references]
    return {
        **{name: max(each[name] for each in rouges) for name in rouges[0]},
        "chrf": max(chrf(answer, reference) for reference in references),
        "f1": max(f1(answer, reference) for reference in references),
        "exact_match": float(any(same(answer, reference) for reference in references)),
    }


def own_values(answer: str, lang: str) -> dict[str, float]:
    """What an answer shows without any reference: its language, and how it repeats itself."""
    return {
        "in_language": float(in_language(answer, lang)),
        "distinct2": _distinct(answer, 2),
        "repetition": 1 - _distinct(answer, 4),
    }


def _distinct(text: str, n: int) -> float:
    """Share of different n-grams among all (Li et al. 2016); 1 of a text too short for any."""
    words = tokens(text)
    grams = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 1.0


def rouge(answer: str, reference: str) -> dict[str, float]:
    """F-scores of the words, the pairs of words and the longest order that both texts share."""
    given, wanted = tokens(answer), tokens(reference)
    scores = {}
    for n in (1, 2):
        one, other = _runs(given, n), _runs(wanted, n)
        scores[f"rouge{n}"] = _f_score((one & other).total(), one.total(), other.total())
    scores["rougeL"] = _f_score(in_common(given, wanted), len(given), len(wanted))
    return scores


def _runs(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))


def _f_score(shared: int, given: int, wanted: int) -> float:
    """Harmonic mean of the shares `shared` has of what was given and of what was wanted."""
    if shared == 0:
        return 0.0
    precision, recall = shared / given, shared / wanted
    return 2 * precision * recall / (precision + recall)


def in_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, a word of `other` a step.

    Each place of `one` has a bit, which is 0 where that subsequence grows (Hyyrö 2004).
    """
    places: dict[str, int] = {}
    for at, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << at
    whole = (1 << len(one)) - 1
    left = whole
    for word in other:
        met = left & places.get(word, 0)
        left = (left + met | left - met) & whole
    return len(one) - left.bit_count()


def chrf(answer: str, reference: str, *, order: int = 6, beta: float = 2.0) -> float:
    """Character n-gram F-score without spaces (Popović 2015), precision and recall averaged over
    the orders that both texts are long enough for, as sacrebleu does; in [0, 1]."""
    given, wanted = "".join(answer.split()), "".join(reference.split())
    precisions, recalls = [], []
    for n in range(1, order + 1):
        one, other = _grams(given, n), _grams(wanted, n)
        if one and other:
            same = (one & other).total()
            precisions.append(same / one.total())
            recalls.append(same / other.total())
    if not precisions:
        return 0.0
    precision, recall = (sum(each) / len(each) for each in (precisions, recalls))
    below = beta**2 * precision + recall
    return (1 + beta**2) * precision * recall / below if below else 0.0


def _grams(text: str, n: int) -> Counter[str]:
    return Counter(text[at : at + n] for at in range(len(text) - n + 1))


def f1(answer: str, reference: str) -> float:
    """Harmonic mean of the shares of tokens that answer and reference have in common (SQuAD's)."""
    given, wanted = Counter(tokens(answer)), Counter(tokens(reference))
    if not given or not wanted:
        return float(same(answer, reference))
    return 2 * (given & wanted).total() / (given.total() + wanted.total())


def same(answer: str, reference: str) -> bool:
    """Equal but for width, case, spaces and punctuation; texts of marks only must be equal."""
    given, wanted = tokens(answer), tokens(reference)
    if given or wanted:
        return given == wanted
    return _folded(answer) == _folded(reference)


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())
