"""Comparing an answer's text with references, in English and Chinese alike."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from rouge_score.rouge_scorer import RougeScorer

#: Scripts written without spaces: kana, and Han with its extensions.
_SCRIPTS = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"[{_SCRIPTS}]|[^\W_{_SCRIPTS}]+")


def tokens(text: str) -> list[str]:
    """Each Han or kana character, each other word or number; lower case, no punctuation.

    rouge-score's own tokenizer keeps only a-z and 0-9, so that it finds every Chinese text empty.
    """
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())


class _Tokenizer:
    """`tokens` in the form rouge-score asks for."""

    def tokenize(self, text: str) -> list[str]:
        return tokens(text)


_ROUGE = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=_Tokenizer())


def answer_values(answer: str, references: Sequence[str]) -> dict[str, float]:
    """ROUGE-1/2/L (F, no stemming; Lin 2004), token F1 and exact match, each in [0, 1].

    Each is the best over the references, so that any good answer counts in full.
    """
    rouge = _ROUGE.score_multi(list(references), answer)
    return {
        **{name: float(found.fmeasure) for name, found in rouge.items()},
        "f1": max(f1(answer, reference) for reference in references),
        "exact_match": float(any(same(answer, reference) for reference in references)),
    }


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
