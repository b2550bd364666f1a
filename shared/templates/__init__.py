"""Prompt templates: how a conversation becomes the text that a model reads and continues."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import get_args

from shared.errors import InvalidSpec, Language
from shared.formats.rows import Conversation, Turn
from shared.specs.training import TemplateName
from shared.templates.jinja import parts_of
from shared.templates.languages import language_of, language_of_question
from shared.templates.wordings import TEMPLATES, Wording

__all__ = [
    "TEMPLATES", "Piece", "check_source", "fingerprint", "is_source", "label", "language_of",
    "pieces", "render",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a rendered conversation, tokenized apart from its neighbours."""

    text: str
    trained: bool = False
    #: Whether the tokenizer's end-of-text token follows, trained where the piece is.
    ends: bool = False


def pieces(template: str, row: Conversation, *, lang: str | None = None) -> list[Piece]:
    """A conversation in its template: prompts and answers in turn, what is trained marked.

    `lang` states the language where the caller knows it, else the first turn is looked at. A
    conversation that ends with a user's turn ends with the prompt that asks for an answer.
    `template` is a name of TEMPLATES or a Jinja source. Raises InvalidSpec for another name and
    for a source that cannot be used.
    """
    if is_source(template):
        return [Piece(text, trained, ends) for text, trained, ends in parts_of(template, row)]
    first = row.turns[0]
    language = lang or language_of_question(first.content, first.input)
    wording = _wordings(template)["zh" if language == "zh" else "en"]
    return list(_laid_out(wording, row))


def render(template: str, instruction: str, input: str = "", *, lang: str | None = None) -> str:
    """The prompt of one question; see `pieces`."""
    question = Conversation((Turn("user", instruction, input),))
    return "".join(piece.text for piece in pieces(template, question, lang=lang))


def fingerprint(template: str) -> str:
    """Digest of a template's words: two adapters with the same one saw the same prompts.

    Raises InvalidSpec for a template that does not exist.
    """
    if is_source(template):
        return hashlib.sha256(template.encode()).hexdigest()[:16]
    words = {language: asdict(wording) for language, wording in _wordings(template).items()}
    text = json.dumps(words, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_source(template: str) -> bool:
    """Whether a template is a Jinja source and not a name."""
    return template not in TEMPLATES and "{" in template


def label(template: str) -> str:
    """A template's name; of a source, that it is the adapter's own."""
    return "custom" if is_source(template) else template


def check_source(template: str) -> None:
    """Raises InvalidSpec for a Jinja source that cannot lay out two turns."""
    turns = (
        Turn("user", "a"), Turn("assistant", "b", trained=True),
        Turn("user", "c"), Turn("assistant", "d", trained=True),
    )  # fmt: skip
    found = parts_of(template, Conversation(turns))
    said = "".join(text for text, _, _ in found)
    if missing := [turn.content for turn in turns if turn.content not in said]:
        problem = f"the Jinja template leaves out turns (of four, {len(missing)})"
        raise InvalidSpec(field="template_text", problem=problem)


def _laid_out(wording: Wording, row: Conversation) -> Iterator[Piece]:
    first = row.turns[0]
    before = wording.opening_input if first.input.strip() else ""
    before = before or wording.opening
    if row.system:
        before = wording.system.format(system=row.system)
    number = wording.first
    for turn in row.turns:
        if turn.role == "assistant":
            yield Piece(before)
            yield Piece(wording.answer + turn.content, trained=turn.trained, ends=True)
            before = wording.between
            continue
        with_input = wording.turn_input and turn.input.strip()
        words = wording.turn_input if with_input else wording.turn
        before += words.format(instruction=turn.content, input=turn.input, number=number)
        number += 1
    if row.turns[-1].role == "user":
        yield Piece(before)


def _wordings(template: str) -> dict[Language, Wording]:
    if template in TEMPLATES:
        return TEMPLATES[template]
    known = ", ".join(get_args(TemplateName))
    raise InvalidSpec(field="template", problem=f'there is no "{template}"; known: {known}')
