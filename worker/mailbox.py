"""Questions on their way from a supervisor to its runner: numbered files in the attempt's folder.

The runner has no way to the database; its answers come back as events. A file appears whole.
"""

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class Question(BaseModel):
    """One question; what earlier attempts answered comes along, to be remembered, not asked."""

    model_config = ConfigDict(frozen=True)

    number: int
    text: str
    #: {arm: {"text": …}} where every arm has answered already.
    answers: dict[str, Any] = {}


def post(folder: Path, question: Question) -> None:
    """Put a question into the attempt's folder."""
    place = _place(folder, question.number)
    place.parent.mkdir(parents=True, exist_ok=True)
    passing = place.with_suffix(".part")
    passing.write_text(question.model_dump_json(), encoding="utf-8")
    os.replace(passing, place)


def take(folder: Path, number: int) -> Question | None:
    """The question of that number, once it is there."""
    try:
        return Question.model_validate_json(_place(folder, number).read_bytes())
    except FileNotFoundError:
        return None


def _place(folder: Path, number: int) -> Path:
    return folder / "questions" / f"{number}.json"
