"""Rows into PostgreSQL by COPY: the server reads them in a third of the time of an INSERT."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import JSON, Table
from sqlmodel import Session

from shared.trips import told

#: What stands for itself only behind a backslash, in COPY's text format.
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_SPECIAL = re.compile(r"[\\\t\n\r]")
_NULL = "\\N"
#: Rows written at a time: while the server reads these, the next are made ready.
_PART = 100


def json_text(value: Any) -> str:
    """JSON, in a third of the time of the standard library; models are what they dump."""
    try:
        return to_json(value).decode()
    except ValueError:
        # Half a character, such as a file name that is not UTF-8 leaves: JSON can escape it.
        return json.dumps(value, default=lambda model: model.model_dump(mode="json"))


def copy_rows(
    session: Session, table: Table, rows: Sequence[Mapping[str, Any]], alike: Mapping[str, Any]
) -> None:
    """Add rows of equal keys in the session's transaction; `alike` are columns they share.

    Raises the DBAPIError that an INSERT would raise.
    """
    connection = session.connection()
    cursor: Any = connection.connection.cursor()
    names = [*rows[0], *alike]
    quoted = connection.dialect.identifier_preparer.quote
    into = f"COPY {quoted(table.name)} ({', '.join(map(quoted, names))}) FROM STDIN"
    try:
        with told(connection.dialect), cursor.copy(into) as copying:
            for first in range(0, len(rows), _PART):
                copying.write(_lines(table, rows[first : first + _PART], alike))
    finally:
        cursor.close()


def _lines(table: Table, rows: Sequence[Mapping[str, Any]], alike: Mapping[str, Any]) -> str:
    """The rows in COPY's text format; column by column, since most values need no care."""
    columns = [_texts(table, name, [row[name] for row in rows]) for name in rows[0]]
    same = "".join(f"\t{_texts(table, name, [value])[0]}" for name, value in alike.items())
    return "".join([f"{line}{same}\n" for line in map("\t".join, zip(*columns, strict=True))])


def _texts(table: Table, name: str, values: list[Any]) -> list[str]:
    if isinstance(table.c[name].type, JSON):
        return _json_texts(values)
    kinds = set(map(type, values))
    if kinds == {str} and not _SPECIAL.search("".join(values)):
        return values
    if kinds <= {int, float, bool}:
        return list(map(str, values))
    return [_NULL if value is None else str(value).translate(_ESCAPED) for value in values]


def _json_texts(values: list[Any]) -> list[str]:
    found: list[str] = []
    last, text = None, _NULL
    for value in values:
        if value is not last:  # the same object for many rows is written once
            # JSON has no raw tabs and ends of lines.
            text = json_text(value).replace("\\", "\\\\")
            last = value
        found.append(_NULL if value is None else text)
    return found
