"""Samples as plain data, and a frozen revision of them as a file that an engine can read."""

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from shared.errors import BadData


class Sample(BaseModel):
    """A solved task: what was asked and what a good answer is."""

    model_config = ConfigDict(frozen=True)

    id: str
    #: The revision that wrote this text; the same id with another one is an edited sample.
    since: int
    lang: str
    instruction: str
    input: str = ""
    output: str

    @property
    def question(self) -> str:
        """What a question is compared with."""
        return f"{self.instruction}\n{self.input}" if self.input else self.instruction

    @property
    def version(self) -> str:
        """Its id with the revision that wrote it: `3f2a9c01@12`."""
        return f"{self.id}@{self.since}"


class Hit(BaseModel):
    """A sample that was found, and its BM25 score (0 where it was drawn at random)."""

    model_config = ConfigDict(frozen=True)

    sample: Sample
    score: float = 0.0


class Found(BaseModel):
    """What a question may be answered with, the most similar sample last."""

    model_config = ConfigDict(frozen=True)

    hits: list[Hit]
    #: Samples passed over because they are the question itself, or nearly.
    leaks: int = 0


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """A sample a line, in the order given."""
    with path.open("w", encoding="utf-8") as file:
        for sample in samples:
            file.write(json.dumps(sample.model_dump(), ensure_ascii=False) + "\n")


def read_samples(path: Path) -> list[Sample]:
    """Read back what `write_samples` wrote. Raises BadData where the file is damaged."""
    try:
        with path.open(encoding="utf-8") as file:
            return [Sample.model_validate_json(line) for line in file if line.strip()]
    except (OSError, ValueError) as wrong:
        raise BadData(file=path.name, problem=str(wrong)) from None
