"""Benchmark files: items of one shape (choice, generate, continuation, instruct), checked."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)

from shared.answer_rules import AnswerRule
from shared.errors import LANGUAGES
from shared.instructions import Check
from shared.json_rows import bad_rows, read_values
from shared.metrics import Shape

#: Keys that not every file has; each does nothing where it is empty.
_LATER = ("verbatim", "stop", "max_new_tokens", "exact")


class BenchmarkItem(BaseModel):
    """What every shape has. Unknown keys are left alone: files carry notes of their own."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    shape: ClassVar[Shape]
    #: The file's own name for the row; its number where it has none. Not part of the content.
    id: str
    lang: Literal["en", "zh"]
    #: Rows of one group (a passage, a dialogue) are one draw for the statistics.
    group: str | None = None
    #: The prompt stands as it is, without template or samples, in one text with what follows it.
    verbatim: bool = False

    @field_validator("*")
    @classmethod
    def _encodable(cls, value: Any) -> Any:
        """Refuse half a surrogate pair: JSON can hold one, UTF-8 (and so every model) cannot."""
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and any("\ud800" <= char <= "\udfff" for char in text):
                raise ValueError("holds half a surrogate pair, which is not text")
        return value

    @cached_property
    def item_hash(self) -> str:
        """sha256 of the content (not of id and group): equal in two files, so results pair.

        Keys that came later count only where they are used, so that older hashes stay.
        """
        held = self.model_dump(mode="json", exclude={"id", "group"})
        content = [self.shape, {k: v for k, v in held.items() if v or k not in _LATER}]
        text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


class ChoiceItem(BenchmarkItem):
    """A question and the answers to choose from."""

    shape = "choice"
    prompt: StrictStr
    choices: list[StrictStr] = Field(min_length=2)
    #: Place of the right choice, from 0; a file may give its text instead.
    answer: StrictInt

    @model_validator(mode="before")
    @classmethod
    def _place(cls, data: Any) -> Any:
        choices, answer = data.get("choices"), data.get("answer")
        if isinstance(answer, str) and isinstance(choices, list):
            if answer not in choices:
                raise ValueError(f"answer {answer!r} is none of the choices")
            data = data | {"answer": choices.index(answer)}
        return data

    @model_validator(mode="after")
    def _complete(self) -> "ChoiceItem":
        _filled(prompt=self.prompt, **{f"choice {n}": c for n, c in enumerate(self.choices)})
        if not 0 <= self.answer < len(self.choices):
            raise ValueError(f"answer {self.answer} is not from 0 to {len(self.choices) - 1}")
        if len({choice.strip() for choice in self.choices}) < len(self.choices):
            raise ValueError("two choices are the same")
        return self


class GenerateItem(BenchmarkItem):
    """A task and good answers to it; the best-matching one counts."""

    shape = "generate"
    prompt: StrictStr
    references: list[StrictStr] = Field(min_length=1)
    #: Strings that end this answer, and its longest length, instead of the evaluation's own.
    stop: list[Annotated[StrictStr, Field(min_length=1)]] = []
    max_new_tokens: StrictInt | None = Field(default=None, ge=1, le=8192)
    #: How the answer is read and compared; without it, width, case and marks do not count.
    exact: AnswerRule | None = None

    @model_validator(mode="after")
    def _complete(self) -> "GenerateItem":
        names = {f"reference {n}": text for n, text in enumerate(self.references)}
        _filled(prompt=self.prompt, **names)
        return self


class ContinuationItem(BenchmarkItem):
    """A text cut in two: how well is the second part foreseen from the first? All of it, where
    the first is empty."""

    shape = "continuation"
    context: StrictStr
    continuation: StrictStr

    @model_validator(mode="after")
    def _complete(self) -> "ContinuationItem":
        _filled(continuation=self.continuation)
        return self


class InstructItem(BenchmarkItem):
    """A task, and what an answer must be that does as it is told."""

    shape = "instruct"
    prompt: StrictStr
    checks: list[Check] = Field(min_length=1)

    @model_validator(mode="after")
    def _complete(self) -> "InstructItem":
        _filled(prompt=self.prompt)
        return self


Item = ChoiceItem | GenerateItem | ContinuationItem | InstructItem
#: A row is of the shape whose key it has.
_SHAPES: dict[str, type[Item]] = {
    "choices": ChoiceItem,
    "references": GenerateItem,
    "continuation": ContinuationItem,
    "checks": InstructItem,
}


@dataclass(frozen=True)
class Benchmark:
    """The items of one file, each content once, in the file's order."""

    shape: Shape
    items: list[Item]
    #: Items of each language.
    languages: dict[str, int]
    #: Rows left out because an earlier row has the same content: {row: the earlier row}.
    duplicates: dict[int, int]

    @property
    def takes_samples(self) -> bool:
        """Whether samples may go before the items: not before a text that asks nothing, nor where
        a prompt must stand as it is."""
        return self.shape != "continuation" and not any(item.verbatim for item in self.items)


def read_benchmark(path: Path) -> Benchmark:
    """Read and check a benchmark file; the first row decides its shape.

    Raises FileMissing, NotText, NotJson, EmptyData, or BadRows listing the wrong rows.
    """
    rows = read_values(path)
    kind = _kind(rows[0][1])
    if kind is None:
        keys = ", ".join(f'"{key}"' for key in _SHAPES)
        raise bad_rows(path, len(rows), {rows[0][0]: f"no shape fits, it has none of {keys}"})
    items: list[Item] = []
    wrong: dict[int, str] = {}
    first: dict[str, int] = {}
    duplicates: dict[int, int] = {}
    for number, row in rows:
        item = _item(kind, number, row)
        if isinstance(item, str):
            wrong[number] = item
        elif item.item_hash in first:
            duplicates[number] = first[item.item_hash]
        else:
            first[item.item_hash] = number
            items.append(item)
    if wrong:
        raise bad_rows(path, len(rows), wrong)
    languages = dict(Counter(item.lang for item in items))
    return Benchmark(kind.shape, items, languages, duplicates)


def _kind(row: Any) -> type[Item] | None:
    keys = row if isinstance(row, Mapping) else ()
    return next((kind for key, kind in _SHAPES.items() if key in keys), None)


def _item(kind: type[Item], number: int, row: Any) -> Item | str:
    """The item of a row, or what is wrong with it."""
    if not isinstance(row, dict):
        return "not an object"
    found = _kind(row)
    if found is not None and found is not kind:
        return f"a {found.shape} row in a {kind.shape} file"
    name = row.get("id")
    try:
        return kind.model_validate(row | {"id": str(number if name is None else name)})
    except ValidationError as wrong:
        return "; ".join(_reason(error) for error in wrong.errors(include_url=False))


def _reason(error: Any) -> str:
    """One problem in few words: the key and what is wrong with it."""
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"no {place}"
    if error["type"] == "value_error":
        return f"{place}: {error['ctx']['error']}" if place else str(error["ctx"]["error"])
    if place == "lang":
        return f"lang must be one of {', '.join(LANGUAGES)}"
    return f"{place}: {error['msg'][:1].lower()}{error['msg'][1:]}"


def _filled(**texts: str) -> None:
    empty = [name for name, text in texts.items() if not text.strip()]
    if empty:
        raise ValueError(f"{', '.join(empty)} is empty")
