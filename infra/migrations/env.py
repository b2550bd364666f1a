"""What Alembic runs: the migrations, on the connection it is given or on the one of GRAFT_*."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection
from sqlmodel.sql.sqltypes import AutoString

from shared import tables
from shared.db import engine


def _render(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Write SQLModel's text type as SQLAlchemy's, so that a migration imports neither."""
    return "sa.String()" if kind == "type" and isinstance(item, AutoString) else False


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=tables.SQLModel.metadata,
        render_as_batch=True,
        render_item=_render,
    )
    with context.begin_transaction():
        context.run_migrations()


if (given := context.config.attributes.get("connection")) is not None:
    _run(given)
else:
    with engine().begin() as own:
        _run(own)
