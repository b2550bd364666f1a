"""Reading a JSON array or JSON-lines file, naming every row that is wrong."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.errors import BadRows, EmptyData, FileMissing, NotJson, NotText

#: How many wrong rows a message lists.
LISTED = 20
#: How many its `each` holds, as [number, what is wrong], for a page to show as a table.
TABLED = 500


def read_values(path: Path) -> list[tuple[int, Any]]:
    """Every value of a JSON array or JSON-lines file, with its line (or place, from 1).

    Raises FileMissing, NotText, EmptyData; NotJson where one line is not JSON, BadRows where
    several are not.
    """
    if not path.is_file():
        raise FileMissing(file=str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise NotText(file=path.name, position=wrong.start) from None
    rows = _array(path, text) if text.lstrip().startswith("[") else _lines(path, text)
    if not rows:
        raise EmptyData(file=path.name)
    return rows


def bad_rows(path: Path, rows: int, wrong: Mapping[int, str]) -> BadRows:
    """The error that lists wrong rows, {number: what is wrong}, out of so many."""
    numbers = sorted(wrong)
    listed = ", ".join(f"{number} ({wrong[number]})" for number in numbers[:LISTED])
    more = f", … (+{len(numbers) - LISTED})" if len(numbers) > LISTED else ""
    return BadRows(
        file=path.name, count=len(numbers), rows=rows, first=numbers[0],
        problem=wrong[numbers[0]], listed=listed + more,
        each=[[number, wrong[number]] for number in numbers[:TABLED]],
    )  # fmt: skip


def _array(path: Path, text: str) -> list[tuple[int, Any]]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as wrong:
        line = wrong.lineno if isinstance(wrong, json.JSONDecodeError) else 1
        raise NotJson(file=path.name, line=line, problem=_reason(wrong)) from None
    return list(enumerate(values, start=1))


def _lines(path: Path, text: str) -> list[tuple[int, Any]]:
    rows: list[tuple[int, Any]] = []
    wrong: dict[int, str] = {}
    # Not splitlines(): a JSON text may hold U+2028 and its like unescaped.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append((number, json.loads(line)))
            except (ValueError, RecursionError) as problem:
                wrong[number] = _reason(problem)
    if len(wrong) == 1:
        [(number, problem)] = wrong.items()
        raise NotJson(file=path.name, line=number, problem=problem)
    if wrong:
        listed = {number: f"not valid JSON: {problem}" for number, problem in wrong.items()}
        raise bad_rows(path, len(rows) + len(wrong), listed)
    return rows


def _reason(wrong: Exception) -> str:
    return wrong.msg if isinstance(wrong, json.JSONDecodeError) else "nested too deeply"
