"""The database's own clock as a SQL expression, so that no decision depends on a host's clock."""

from typing import Any

from sqlalchemy import Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement


class db_now(FunctionElement[float]):
    """Seconds since 1970 (UTC) by the database's clock, as a double."""

    inherit_cache = True
    type = Float(53)


@compiles(db_now, "sqlite")
def _sqlite(element: db_now, compiler: Any, **kw: Any) -> str:
    # unixepoch('subsec') is NULL before SQLite 3.42: a lease made of it would never expire.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(db_now, "postgresql")
def _postgresql(element: db_now, compiler: Any, **kw: Any) -> str:
    # now() is the start of the transaction; a claim may have waited for a lock since.
    return "extract(epoch from clock_timestamp())::double precision"
