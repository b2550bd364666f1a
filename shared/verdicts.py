"""What a judge is asked and what it says, as files that engines read and write."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

VERDICTS = "verdicts.jsonl"


class Asked(BaseModel):
    """Two answers to one question."""

    model_config = ConfigDict(frozen=True)

    benchmark: str
    item_hash: str
    lang: str
    question: str
    #: The arms, and what each wrote.
    first: str
    second: str
    first_text: str
    second_text: str


class Verdict(BaseModel):
    """What a judge said of a pair, asked twice with the answers in both places."""

    model_config = ConfigDict(frozen=True)

    benchmark: str
    item_hash: str
    first: str
    second: str
    #: Log-likelihood of "A" less that of "B", in nats: with `first` as A, then with it as B.
    margins: tuple[float, float]

    @property
    def outcome(self) -> Literal["first", "second", "tie"]:
        """The arm preferred in both orders; a tie where the judge contradicts itself."""
        as_a, as_b = self.margins
        if as_a > 0 > as_b:
            return "first"
        return "second" if as_a < 0 < as_b else "tie"


def write_rows(path: Path, rows: Iterable[BaseModel]) -> None:
    """Rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row.model_dump(mode="json"), ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")


def read_asked(path: Path) -> list[Asked]:
    """The pairs of a file."""
    return [Asked.model_validate_json(line) for line in _lines(path)]


def read_verdicts(folder: Path) -> list[Verdict]:
    """What a judge left in its folder."""
    return [Verdict.model_validate_json(line) for line in _lines(folder / VERDICTS)]


def _lines(path: Path) -> list[str]:
    # Not splitlines(): an answer may hold U+2028 and its like unescaped.
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line]
