"""Prompt templates: how a conversation becomes the text that a model reads and continues."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import get_args

from shared.errors import InvalidSpec, Language
from shared.formats.rows import Conversation, Turn
from shared.specs.training import TemplateName
from shared.templates.languages import language_of, language_of_question
from shared.templates.wordings import TEMPLATES, Wording

__all__ = ["TEMPLATES", "Piece", "fingerprint", "language_of", "pieces", "render"]


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
    Raises InvalidSpec for a template that does not exist.
    """
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
    words = {language: asdict(wording) for language, wording in _wordings(template).items()}
    text = json.dumps(words, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
