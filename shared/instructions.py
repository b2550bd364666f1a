"""Instructions whose obedience can be read off an answer, in English and Chinese alike.

In the manner of IFEval (Zhou et al. 2023, arXiv 2311.07911), but for both languages and without
any downloaded sentence splitter.
"""

import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, model_validator

Kind = Literal[
    "language", "includes", "excludes", "starts_with", "ends_with", "at_least_words",
    "at_most_words", "sentences", "bullets", "paragraphs", "json", "no_commas", "lower_case",
    "upper_case",
]  # fmt: skip
_TEXT = {"language", "includes", "excludes", "starts_with", "ends_with"}
_COUNT = {"at_least_words", "at_most_words", "sentences", "bullets", "paragraphs"}

#: Share of an answer's letters that must be of the language's script.
ENOUGH = 0.8
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_HAN}]|[^\W\d_{_HAN}]+(?:['’-][^\W\d_{_HAN}]+)*|\d+(?:[.,]\d+)*")
_ASIDE = re.compile(r"```.*?```|`[^`]*`|https?://\S+", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?。！？…\n]+(?:[.!?。！？…]+|\n|$)")
_BULLET = re.compile(r"^\s*(?:[-*•·]|\d+[.)、])\s*\S", re.MULTILINE)
_FENCE = re.compile(r"^```(?:json)?\s*\n(.*)\n```$", re.DOTALL)


class Check(BaseModel):
    """One thing an answer must be; `value` is a text, a number, or nothing, as the kind asks."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: Kind
    value: str | int | None = None

    @model_validator(mode="after")
    def _fitting(self) -> "Check":
        value, kind = self.value, self.kind
        if kind in _TEXT and not (isinstance(value, str) and value.strip()):
            raise ValueError(f"{kind} needs a text as its value")
        if kind == "language" and value not in ("en", "zh"):
            raise ValueError("language is en or zh")
        if kind in _COUNT and not (isinstance(value, int) and value > 0):
            raise ValueError(f"{kind} needs a number above 0 as its value")
        if kind not in _TEXT | _COUNT and value is not None:
            raise ValueError(f"{kind} takes no value")
        return self

    def passes(self, answer: str) -> bool:
        """Whether the answer does as it was told; an empty answer never does."""
        text = unicodedata.normalize("NFKC", answer).strip()
        return bool(text) and bool(_PASSES[self.kind](text, self.value))


def script_share(text: str, language: str) -> float:
    """Share of letters in the language's script (Han, or Latin), 0 of a text without letters.

    Code, addresses and digits do not count; a Han character weighs as much as a Latin word, so
    that one long name does not outweigh a sentence.
    """
    words = [word for word in _WORD.findall(_ASIDE.sub(" ", text)) if not word[0].isdigit()]
    han = sum(1 for word in words if re.match(f"[{_HAN}]", word))
    latin = sum(1 for word in words if "LATIN" in unicodedata.name(word[0], ""))
    return (han if language == "zh" else latin) / len(words) if words else 0.0


def in_language(text: str, language: str) -> bool:
    """Whether a text is in that language, by its script."""
    return script_share(text, language) >= ENOUGH


def words(text: str) -> int:
    """Han characters, other words and numbers."""
    return len(_WORD.findall(text))


def _json(text: str, _: Any) -> bool:
    fenced = _FENCE.match(text)
    try:
        json.loads(fenced.group(1) if fenced else text)
    except ValueError:
        return False
    return True


def _folded(text: Any) -> str:
    return unicodedata.normalize("NFKC", str(text)).casefold()


_PASSES: dict[Kind, Callable[[str, Any], bool]] = {
    "language": in_language,
    "includes": lambda text, value: _folded(value) in _folded(text),
    "excludes": lambda text, value: _folded(value) not in _folded(text),
    "starts_with": lambda text, value: _folded(text).startswith(_folded(value).lstrip()),
    "ends_with": lambda text, value: _folded(text).endswith(_folded(value).rstrip()),
    "at_least_words": lambda text, value: words(text) >= value,
    "at_most_words": lambda text, value: words(text) <= value,
    "sentences": lambda text, value: len(_sentences(text)) == value,
    "bullets": lambda text, value: len(_BULLET.findall(text)) == value,
    "paragraphs": lambda text, value: len([p for p in re.split(r"\n\s*\n", text) if p]) == value,
    "json": _json,
    # NFKC has made the Chinese comma a plain one; the enumeration comma stays itself.
    "no_commas": lambda text, _: not set(",、") & set(text),
    "lower_case": lambda text, _: text == text.lower(),
    "upper_case": lambda text, _: text == text.upper(),
}
if set(_PASSES) != set(get_args(Kind)):
    raise TypeError("a kind of check has no test")


def _sentences(text: str) -> list[str]:
    """Runs that end in a full stop of either script or a line; a decimal point ends none."""
    whole = re.sub(r"(?<=\d)\.(?=\d)", "_", text)
    return [each for each in _SENTENCE.findall(whole) if _WORD.search(each)]
