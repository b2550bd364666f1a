"""Prompt templates as data: how an instruction and its input become the text a model continues."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import get_args

from shared.errors import InvalidSpec, Language
from shared.specs.training import TemplateName

#: A Han character carries about as much as 0.6 of an English word.
_WORDS_PER_HAN = 0.6
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"[A-Za-z]+")


@dataclass(frozen=True)
class Wording:
    """One language's prompt, without and with an input; what follows it is the answer."""

    plain: str
    with_input: str


#: The prompt Stanford Alpaca published, so that its adapters and ours understand each other.
_ENGLISH = Wording(
    plain=(
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.\n\n### Instruction:\n{instruction}\n\n### Response:\n"
    ),
    with_input=(
        "Below is an instruction that describes a task, paired with an input that provides "
        "further context. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
    ),
)
_CHINESE = Wording(
    plain=(
        "以下是一条描述任务的指令。请写出恰当完成该请求的回答。\n\n"
        "### 指令：\n{instruction}\n\n### 回答：\n"
    ),
    with_input=(
        "以下是一条描述任务的指令，并附有提供背景的输入。请写出恰当完成该请求的回答。\n\n"
        "### 指令：\n{instruction}\n\n### 输入：\n{input}\n\n### 回答：\n"
    ),
)
#: Template -> wording for rows of each language.
TEMPLATES: dict[TemplateName, dict[Language, Wording]] = {
    "auto": {"en": _ENGLISH, "zh": _CHINESE},
    "alpaca-en": {"en": _ENGLISH, "zh": _ENGLISH},
    "alpaca-zh": {"en": _CHINESE, "zh": _CHINESE},
}


def render(template: str, instruction: str, input: str = "", *, lang: str | None = None) -> str:
    """The prompt of one row; its language decides where the template has several wordings.

    `lang` states the language where the caller knows it, else the text is looked at.
    Raises InvalidSpec for a template that does not exist.
    """
    language = "zh" if (lang or _language_of_row(instruction, input)) == "zh" else "en"
    wording = _wordings(template)[language]
    if not input.strip():
        return wording.plain.format(instruction=instruction)
    return wording.with_input.format(instruction=instruction, input=input)


def fingerprint(template: str) -> str:
    """Digest of a template's words: two adapters with the same one saw the same prompts.

    Raises InvalidSpec for a template that does not exist.
    """
    words = {language: asdict(wording) for language, wording in _wordings(template).items()}
    text = json.dumps(words, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def language_of(text: str) -> Language:
    """`zh` where Han characters say more than Latin words, else `en`."""
    return "zh" if len(_HAN.findall(text)) * _WORDS_PER_HAN > len(_WORD.findall(text)) else "en"


def _language_of_row(instruction: str, input: str) -> Language:
    """The instruction's language, since it asks for the answer; the input's where it has none."""
    says_something = _HAN.search(instruction) or _WORD.search(instruction)
    return language_of(instruction if says_something else input)


def _wordings(template: str) -> dict[Language, Wording]:
    for name, wordings in TEMPLATES.items():
        if name == template:
            return wordings
    known = ", ".join(get_args(TemplateName))
    raise InvalidSpec(field="template", problem=f'there is no "{template}"; known: {known}')
