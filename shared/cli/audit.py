"""`graft audit verify`: has anybody touched the event log since it was sealed?"""

import click

from shared import audit as chain
from shared import db
from shared.cli.output import emit, note
from shared.cli.parts import Group
from shared.cli.session import require_database
from shared.errors import BadHead
from shared.language import say


@click.group(cls=Group, help=say("Check the event log.", "检查事件日志。"))
def audit() -> None:
    return


@audit.command(
    "verify",
    help=say(
        "Recompute the hash chain over all sealed events and name the first broken link.",
        "重新计算全部已封存事件的哈希链，并指出第一处断裂。",
    ),
)
@click.option(
    "--head",
    "noted",
    default="",
    help=say(
        "POSITION:HASH printed by an earlier run, which must still be there.",
        "先前运行打印的 位置:哈希，须仍然存在。",
    ),
)
def verify(noted: str) -> None:
    require_database()
    with db.reading() as session:
        report = chain.verify(session, head=_parsed(noted))
    if report.broken is not None:
        raise report.broken
    head = f"{report.sealed}:{report.head}"
    if report.unsealed:
        note(
            say(
                f"{report.unsealed} events are not sealed yet (a running worker does it)",
                f"尚有 {report.unsealed} 个事件未封存（由运行中的 worker 完成）",
            )
        )
    emit({"sealed": report.sealed, "unsealed": report.unsealed, "head": head}, head)


def _parsed(noted: str) -> tuple[int, str] | None:
    if not noted:
        return None
    position, _, digest = noted.partition(":")
    if not position.isdecimal() or not digest:
        raise BadHead(head=noted)
    return int(position), digest
