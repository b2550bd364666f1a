"""Which of the two languages a text is in."""

import re

from shared.errors import Language

#: A Han character carries about as much as 0.6 of an English word.
_WORDS_PER_HAN = 0.6
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"[A-Za-z]+")


def language_of(text: str) -> Language:
    """`zh` where Han characters say more than Latin words, else `en`."""
    return "zh" if len(_HAN.findall(text)) * _WORDS_PER_HAN > len(_WORD.findall(text)) else "en"


def language_of_question(instruction: str, input: str) -> Language:
    """The instruction's language, since it asks for the answer; the input's where it has none."""
    says_something = _HAN.search(instruction) or _WORD.search(instruction)
    return language_of(instruction if says_something else input)
