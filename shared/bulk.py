"""Many rows in one round trip to the database, in and out, and several questions in one."""

import json
from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json
from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    FromClause,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal,
    select,
)
from sqlmodel import Session

from shared.copying import copy_rows, json_text
from shared.trips import in_one_trip

#: Rows from which on COPY, which takes two round trips more, is quicker than an INSERT.
_COPIED = 32
#: Stands between texts that are sent as one.
_BETWEEN = "\x1f"


def is_sqlite(session: Session) -> bool:
    """On SQLite statements cost no round trips, and a writing transaction is alone."""
    return session.get_bind().dialect.name == "sqlite"


def recordset(table: Table, rows: Sequence[Mapping[str, Any]], name: str = "given") -> FromClause:
    """Rows of equal keys as a table of PostgreSQL: one JSON parameter that the server unfolds.

    The keys are columns of `table`, whose types they take.
    """
    columns = (column(key, table.c[key].type) for key in rows[0])
    return _unfolded(literal(as_text(rows), Text()), columns, name)


def later_rows(name: str = "given", /, **types: Any) -> FromClause:
    """`recordset` of columns of these types, for a statement that is made once and kept.

    Its parameter `NAME_rows` takes the rows as `as_text` writes them.
    """
    columns = (column(key, kind) for key, kind in types.items())
    return _unfolded(bindparam(f"{name}_rows", type_=Text()), columns, name)


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as one parameter."""
    return json_text(list(rows))


def _unfolded(text: ColumnElement[str], columns: Iterable[Any], name: str) -> FromClause:
    given = func.json_to_recordset(cast(text, JSON))
    return given.table_valued(*columns).render_derived(name=name, with_types=True)


def insert_rows(
    session: Session, table: Table, rows: Sequence[Mapping[str, Any]], /, **alike: Any
) -> None:
    """Insert rows of equal keys; `alike` are columns that all of them share, also SQL expressions.

    An `executemany` would be answered row by row. JSON columns may be pydantic models.
    """
    if not rows:
        return
    if is_sqlite(session):
        statement = insert(table).values(**alike) if alike else insert(table)
        session.connection().execute(statement, [_plain(row) for row in rows])
        return
    computed = any(isinstance(value, ColumnElement) for value in alike.values())
    if len(rows) >= _COPIED and not computed:
        copy_rows(session, table, rows, alike)
        return
    given = recordset(table, rows)
    same = [
        value if isinstance(value, ColumnElement) else literal(value, table.c[name].type)
        for name, value in alike.items()
    ]
    chosen = select(*given.c, *same)
    session.connection().execute(insert(table).from_select([*rows[0], *alike], chosen))


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose JSON columns may be models."""
    return {
        name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for name, value in row.items()
    }


def among(what: Any, *, sqlite: bool) -> ColumnElement[bool]:
    """SQL: `what` is one of the texts that the parameter `texts` holds, see `as_texts`."""
    if sqlite:
        return what.in_(bindparam("texts", expanding=True, type_=Text()))
    # Far cheaper to send than an array, whose elements the driver looks at one by one.
    given = func.string_to_array(bindparam("texts", type_=Text()), _BETWEEN)
    return what == func.any(cast(given, ARRAY(Text())))


def as_texts(values: Sequence[str], *, sqlite: bool) -> Any:
    """Names as one parameter of `among`; none of them may be empty."""
    return list(values) if sqlite else _BETWEEN.join(values)


class Questions:
    """Queries that are asked in one round trip; made once and kept, being slow to make.

    On PostgreSQL the server folds each query's rows into one JSON text.
    """

    def __init__(self, *queries: Any) -> None:
        self._queries = queries
        self._rows: list[Any] = []
        folded = []
        for number, query in enumerate(queries):
            rows = query.subquery(f"q{number}")
            self._rows.append(namedtuple(f"Row{number}", rows.c.keys()))
            whole = func.json_agg(func.json_build_array(*rows.c))
            folded.append(select(cast(whole, Text)).select_from(rows).scalar_subquery())
        self._folded = select(*folded)

    def ask(self, session: Session, **values: Any) -> list[list[Any]]:
        """The rows of each query, with its columns as attributes; `values` of parameters."""
        if is_sqlite(session):
            return self._one_by_one(session, values)
        return self._unfolded(session.connection().execute(self._folded, values).one())

    def ask_after(
        self, session: Session, before: Any, **values: Any
    ) -> tuple[Any, list[list[Any]]]:
        """The row of a SELECT that is sent first, in the same round trip, and what `ask` returns.

        The server begins with these queries when that is done, with a lock taken by it for one.
        """
        if is_sqlite(session):
            return session.connection().execute(before, values).one(), self._one_by_one(
                session, values
            )
        [first], [answers] = in_one_trip(session, (before, self._folded), values)
        return first, self._unfolded(answers)

    def _one_by_one(self, session: Session, values: dict[str, Any]) -> list[list[Any]]:
        connection = session.connection()
        return [list(connection.execute(query, values)) for query in self._queries]

    def _unfolded(self, answers: Sequence[Any]) -> list[list[Any]]:
        return [
            list(map(row._make, _read(text))) if text else []
            for row, text in zip(self._rows, answers, strict=True)
        ]


def _read(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)  # an escaped half of a character, see `json_text`
