"""All values of a JSON array or JSON-lines file, for those that need no training format."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.errors import BadRows, EmptyData, NotJson
from shared.formats.values import Broken, json_values
from shared.formats.wrong import Wrong


def read_values(path: Path) -> list[tuple[int, Any]]:
    """Every value of a JSON array or JSON-lines file, with its line (or place, from 1).

    Raises what opening it raises, EmptyData; NotJson where one line is not JSON, BadRows where
    several are not.
    """
    rows = list(json_values(path))
    wrong = Wrong(path)
    for number, value in rows:
        if isinstance(value, Broken):
            wrong.add(number, value)
    if wrong.count:
        raise wrong.error(len(rows))
    if not rows:
        raise EmptyData(file=path.name)
    return rows


def bad_rows(path: Path, rows: int, wrong: Mapping[int, str]) -> BadRows | NotJson:
    """The error that lists wrong rows, {number: what is wrong}, out of so many."""
    found = Wrong(path)
    for number in sorted(wrong):
        found.add(number, wrong[number])
    return found.error(rows)
