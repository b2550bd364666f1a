"""Many rows in one round trip to the database, in and out, and several questions in one."""

from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json
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
    literal_column,
    select,
)
from sqlmodel import Session

from shared.copying import copy_rows

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


def later_rows(name: str = "given", **types: Any) -> FromClause:
    """`recordset` of columns of these types, for a statement that is made once and kept.

    Its parameter `NAME_rows` takes the rows as `as_text` writes them.
    """
    columns = (column(key, kind) for key, kind in types.items())
    return _unfolded(bindparam(f"{name}_rows", type_=Text()), columns, name)


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as one parameter."""
    return to_json(list(rows)).decode()


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


def one_of(session: Session, what: Any, values: Sequence[str]) -> ColumnElement[bool]:
    """SQL: `what` is one of these texts, however many, as one parameter."""
    if is_sqlite(session):
        return what.in_(values)
    if any(not value or _BETWEEN in value for value in values):
        return what == func.any(literal(list(values), ARRAY(Text())))
    # Far cheaper to send than an array, whose elements the driver looks at one by one.
    texts = func.string_to_array(literal(_BETWEEN.join(values), Text()), _BETWEEN)
    return what == func.any(cast(texts, ARRAY(Text())))


def ask(session: Session, *queries: Any) -> list[list[Any]]:
    """The rows of several queries, each with its columns as attributes, in one round trip.

    On PostgreSQL the server folds each query's rows into one JSON value.
    """
    connection = session.connection()
    if is_sqlite(session):
        return [list(connection.execute(query)) for query in queries]
    folded = []
    for number, query in enumerate(queries):
        rows = query.subquery(f"q{number}")
        whole = func.coalesce(
            func.json_agg(literal_column(f"q{number}"), type_=JSON), cast(literal("[]"), JSON)
        )
        folded.append(select(cast(whole, JSON)).select_from(rows).scalar_subquery())
    answers = connection.execute(select(*folded)).one()
    return [[SimpleNamespace(**row) for row in rows] for rows in answers]
