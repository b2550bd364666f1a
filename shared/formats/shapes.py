"""The formats of training rows: how each is told by its keys, and what a row of it says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared.formats import dialogues
from shared.formats.fields import WrongRow, list_of, text_of
from shared.formats.preferences import preference
from shared.formats.rows import Row, Text, Turn, asking

FormatName = Literal[
    "preference", "sharegpt", "messages", "lima", "lists", "seed-tasks", "belle", "alpaca",
    "context-target", "content-summary", "prompt-response", "question-answer", "text",
]  # fmt: skip
_Object = Mapping[str, Any]


@dataclass(frozen=True)
class Format:
    """One way to write training rows."""

    name: FormatName
    #: Keys a row of it has, for messages.
    keys: str
    fits: Callable[[_Object], bool]
    read: Callable[[_Object], Row | Sequence[Row]]


def _has(*keys: str) -> Callable[[_Object], bool]:
    return lambda row: all(key in row for key in keys)


def _alpaca(row: _Object) -> Row:
    question = text_of(row, "instruction")
    more, answer = text_of(row, "input", empty=True), text_of(row, "output")
    before = dialogues.earlier(row)
    said = [*before, Turn("user", question, more), Turn("assistant", answer, trained=True)]
    return dialogues.talk(said, text_of(row, "system", empty=True))


def _pair(question: str, answer: str) -> tuple[Callable[[_Object], bool], Callable[..., Row]]:
    return _any_pair((question, answer))


def _any_pair(*pairs: tuple[str, str]) -> tuple[Callable[[_Object], bool], Callable[..., Row]]:
    """Rows with the keys of one of the pairs (question, answer), and how they are read."""

    def fits(row: _Object) -> bool:
        return any(question in row and answer in row for question, answer in pairs)

    def read(row: _Object) -> Row:
        there = (pair for pair in pairs if pair[0] in row and pair[1] in row)
        question, answer = next(there, pairs[0])
        asked = Turn("user", text_of(row, question))
        said = Turn("assistant", text_of(row, answer), trained=True)
        return dialogues.talk([*dialogues.earlier(row), asked, said])

    return fits, read


def _text(row: _Object) -> Row:
    return Text(text_of(row, "text"))


def _seed_tasks(row: _Object) -> Sequence[Row]:
    instruction = text_of(row, "instruction")
    found: list[Row] = []
    for number, instance in enumerate(list_of(row, "instances"), start=1):
        if not isinstance(instance, dict):
            raise WrongRow(f"instance {number} is not an object", f"第 {number} 个实例不是对象")
        place = f"instance {number}: "
        more = text_of(instance, "input", place=place, empty=True)
        found.append(asking(instruction, more, text_of(instance, "output", place=place)))
    return found


def _speaks_texts(row: _Object) -> bool:
    said = row.get("conversations")
    return isinstance(said, list) and bool(said) and isinstance(said[0], str)


def _is_chat(row: _Object) -> bool:
    said = row.get("conversations")
    first = said[0] if isinstance(said, list) and said else None
    return "messages" in row or (isinstance(first, dict) and "role" in first)


def _chat(row: _Object) -> Row:
    return dialogues.messages({"messages": row.get("messages", row.get("conversations"))})


def _has_lists(row: _Object) -> bool:
    return isinstance(row.get("input"), list) and isinstance(row.get("output"), list)


_ANSWERS = _any_pair(
    ("prompt", "response"), ("prompt", "completion"), ("query", "response"), ("input", "target"),
    ("instruction", "response"), ("instruction", "target"),
)  # fmt: skip
#: In the order they are tried: the more special first.
_ALL = (
    Format("preference", "(prompt,) chosen, rejected", _has("chosen", "rejected"), preference),
    Format("messages", "messages: [{role, content}]", _is_chat, _chat),
    Format("lima", "conversations: [text, …]", _speaks_texts, dialogues.lima),
    Format(
        "sharegpt", "conversations: [{from, value}]", _has("conversations"), dialogues.sharegpt
    ),
    Format(
        "seed-tasks", "instruction, instances: [{input, output}]",
        _has("instruction", "instances"), _seed_tasks,
    ),
    Format("lists", "input: [text, …], output: [text, …]", _has_lists, dialogues.lists),
    Format(
        "belle", "instruction: Human:…Assistant:…, output", dialogues.is_belle, dialogues.belle
    ),
    Format("alpaca", "instruction, (input,) output", _has("instruction", "output"), _alpaca),
    Format("context-target", "context, target", *_pair("context", "target")),
    Format("content-summary", "content, summary", *_pair("content", "summary")),
    Format("prompt-response", "prompt, response", *_ANSWERS),
    Format("question-answer", "question, answer", *_pair("question", "answer")),
    Format("text", "text", _has("text"), _text),
)  # fmt: skip
FORMATS: dict[FormatName, Format] = {each.name: each for each in _ALL}


def format_of(row: Any) -> Format | None:
    """The format that a row is written in, by its keys; None where none fits."""
    if not isinstance(row, dict):
        return None
    return next((each for each in _ALL if each.fits(row)), None)


def almost(row: Any) -> Format | None:
    """The format that a row without one was perhaps meant to be: it has some of the keys."""
    keys = set(row) if isinstance(row, dict) else set()
    return FORMATS["alpaca"] if keys & {"instruction", "output"} else None
