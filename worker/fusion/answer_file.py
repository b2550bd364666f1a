"""The donor's answers on disk, so that a killed attempt asks only what is still unanswered."""

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from worker.keeping import checkpoint_path, kept

NAME = "answers.jsonl"
#: It ended; the length limit cut it; the prompt left no room for an answer and was not asked.
Outcome = Literal["finished", "unfinished", "unasked"]
#: Checkpoints of answers kept; the older one is for a crash of the disk under the newer.
_KEPT = 2


@dataclass(frozen=True)
class Answered:
    """What the donor said to one row of the prompts."""

    row: int
    text: str
    outcome: Outcome
    #: Its share of the time its batch took.
    seconds: float = 0.0


class AnswerFile:
    """Answers by row, appended as they come; the first line says what they are answers to."""

    def __init__(self, path: Path, key: str, earlier: Path | None = None) -> None:
        """`key`: digest of donor, prompts and settings; a file of another key counts for nothing.

        `earlier`: the checkpoint folder of an attempt to continue.
        """
        self.path = path
        self.found: dict[int, Answered] = {}
        source = earlier / NAME if earlier is not None else path
        if source.is_file():
            self._read(source, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            file.write(json.dumps({"key": key}) + "\n")
        self._append(self.found.values())

    def add(self, answers: Iterable[Answered]) -> None:
        """Append answers to the file."""
        new = list(answers)
        self._append(new)
        self.found |= {answer.row: answer for answer in new}

    def checkpoint(self, folder: Path) -> Path:
        """Copy the file into `folder/answers-N`, N answers, synced and renamed into place."""
        with kept(folder, "answers", len(self.found), most=_KEPT) as draft:
            shutil.copyfile(self.path, draft / NAME)
        return checkpoint_path(folder, "answers", len(self.found))

    def _read(self, path: Path, key: str) -> None:
        lines = path.read_text(encoding="utf-8").split("\n")
        if json.loads(lines[0] or "{}").get("key") != key:
            return
        # The last line may have been cut by a kill; it lacks its line feed.
        for line in lines[1:-1]:
            answer = Answered(**json.loads(line))
            self.found[answer.row] = answer

    def _append(self, answers: Iterable[Answered]) -> None:
        text = "".join(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in answers)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
