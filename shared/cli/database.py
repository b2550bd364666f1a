"""`graft db`: the database's tables."""

import click

from shared import schema
from shared.cli.output import emit, note
from shared.cli.parts import Group
from shared.language import say


@click.group("db", cls=Group, help=say("Look after the database.", "维护数据库。"))
def database() -> None:
    return


@database.command(
    "upgrade", help=say("Bring the tables to this Graft's revision.", "把数据表升级到本版本。")
)
def upgrade() -> None:
    before = schema.upgrade()
    after = schema.current()
    note(say(f"revision {before} -> {after}", f"版本 {before} -> {after}"))
    emit({"before": before, "after": after}, after)
