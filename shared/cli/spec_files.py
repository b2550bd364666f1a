"""Where a submission's spec begins: a JSON file, lines of JSON, or another job."""

import json
from pathlib import Path
from typing import Any

from shared import db, jobs
from shared.cli.session import require_database
from shared.errors import FileMissing, InvalidSpec, NotJson, both


def read_spec(file: Path) -> dict[str, Any]:
    """A spec file's object. Raises FileMissing, or NotJson with the line."""
    return _object(file, _text(file), 1)


def read_lines(file: Path) -> list[dict[str, Any]]:
    """A spec of each line that is not empty. Raises FileMissing, or NotJson with the line."""
    lines = enumerate(_text(file).splitlines(), 1)
    found = [_object(file, text, line) for line, text in lines if text.strip()]
    if not found:
        raise NotJson(file=file.name, line=1, problem=both("no spec in it", "其中没有规格"))
    return found


def spec_like(text: str, kind: str) -> dict[str, Any]:
    """The spec of the job of that id or name, to be changed and submitted as another.

    Raises UnknownJob, or InvalidSpec when it is a job of another kind.
    """
    require_database()
    with db.reading() as session:
        job = jobs.find(session, text)
    if job.kind != kind:
        problem = both(
            f"{job.name} is a {job.kind} job, not {kind}",
            f"{job.name} 是 {job.kind} 任务，不是 {kind}",
        )
        raise InvalidSpec(field="like", problem=problem)
    return job.spec


def _text(file: Path) -> str:
    if not file.is_file():
        raise FileMissing(file=str(file))
    return file.read_text(encoding="utf-8-sig")


def _object(file: Path, text: str, line: int) -> dict[str, Any]:
    """The object in a text that begins at that line of the file."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as wrong:
        below = wrong.lineno - 1 if isinstance(wrong, json.JSONDecodeError) else 0
        raise NotJson(file=file.name, line=line + below, problem=str(wrong)) from None
    if not isinstance(data, dict):
        raise NotJson(file=file.name, line=line, problem=both("not an object", "不是对象"))
    return data
