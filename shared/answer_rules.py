"""How a generated answer is read before it is compared: patterns, case, what is ignored.

What lm-eval's filters and its `exact_match` do with a task's answers, as data of the item.
"""

import re
import string
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

#: Filters that need no word of explanation.
Plain = Literal["strip", "lower", "upper"]
_PLAIN = {"strip": str.strip, "lower": str.lower, "upper": str.upper}


class Find(BaseModel):
    """The part of an answer that a pattern finds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    regex: str
    #: Which of all matches, from 0; -1 is the last one.
    match: int = 0
    #: What the answer is where nothing is found.
    otherwise: str = "[invalid]"

    @field_validator("regex")
    @classmethod
    def _sound(cls, value: str) -> str:
        return _compiled(value)

    def __call__(self, text: str) -> str:
        """The match without outer spaces; of several groups, the first that is not empty."""
        found = re.findall(self.regex, text)
        if not -len(found) <= self.match < len(found):
            return self.otherwise
        chosen = found[self.match]
        if isinstance(chosen, tuple):
            chosen = next((part for part in chosen if part), self.otherwise)
        return chosen.strip()


class AnswerRule(BaseModel):
    """Steps that read an answer, and what its comparison with a reference does not look at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Done one after the other.
    steps: list[Find | Plain] = []
    #: Patterns taken out of answer and reference.
    ignore: list[str] = []
    case: bool = Field(default=True, description="whether case counts")
    punctuation: bool = Field(default=True, description="whether ASCII punctuation counts")
    digits: bool = Field(default=True, description="whether ASCII digits count")

    @field_validator("ignore")
    @classmethod
    def _sound(cls, value: list[str]) -> list[str]:
        return [_compiled(each) for each in value]

    def read(self, answer: str) -> str:
        """The answer as it is compared and shown."""
        for step in self.steps:
            answer = step(answer) if isinstance(step, Find) else _PLAIN[step](answer)
        return answer

    def same(self, read: str, reference: str) -> bool:
        """Whether an answer that was read equals a reference, character by character otherwise."""
        return self._bare(read) == self._bare(reference)

    def _bare(self, text: str) -> str:
        for pattern in self.ignore:
            text = re.sub(pattern, "", text)
        text = text if self.case else text.lower()
        left_out = "" if self.punctuation else string.punctuation
        left_out += "" if self.digits else string.digits
        return text.translate(str.maketrans("", "", left_out))


def _compiled(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as wrong:
        raise ValueError(f"no regular expression: {wrong}") from None
    return pattern
