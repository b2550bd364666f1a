"""Training rows in Alpaca's format, read without a database so that engines can.

A row is `{"instruction": text, "input": text (optional), "output": text}`; a file is one JSON
array of rows, or one row a line.
"""

from pathlib import Path
from typing import Any

from shared.json_rows import bad_rows, read_values

Row = dict[str, str]


def read_rows(path: Path) -> list[Row]:
    """The rows of a training file, with `input` always present.

    Raises FileMissing, NotText, NotJson, EmptyData, or BadRows listing the wrong rows.
    """
    rows = read_values(path)
    wrong = {number: problem for number, row in rows if (problem := _problem(row))}
    if wrong:
        raise bad_rows(path, len(rows), wrong)
    return [
        {
            "instruction": row["instruction"],
            "input": row.get("input") or "",
            "output": row["output"],
        }
        for _, row in rows
    ]


def _problem(row: Any) -> str:
    """What is wrong with a row; empty when nothing is."""
    if not isinstance(row, dict):
        return "not an object"
    for key in ("instruction", "output"):
        if key not in row:
            return f"no {key}"
        if not isinstance(row[key], str):
            return f"{key} is not text"
        if not row[key].strip():
            return f"{key} is empty"
    if not isinstance(row.get("input") or "", str):
        return "input is not text"
    return ""
