"""`graft hosts`: the machines of the pool."""

import click
from sqlmodel import col, func, select

from shared import db
from shared.cli.output import duration, emit, table
from shared.cli.parts import Command
from shared.cli.session import AWAY_SECONDS, now, require_database
from shared.language import say
from shared.tables import Host, Job, JobState


@click.command(cls=Command, help=say("List the machines of the pool.", "列出资源池中的主机。"))
def hosts() -> None:
    require_database()
    with db.reading() as session:
        found = list(session.exec(select(Host).order_by(col(Host.name))).all())
        running = select(Job.host, func.count()).where(Job.state == JobState.RUNNING)
        busy = dict(list(session.exec(running.group_by(col(Job.host))).all()))
        at = now(session)
    rows = []
    data = []
    for host in found:
        silent = at - host.heartbeat_at
        state = "away" if silent > AWAY_SECONDS else "up" if host.accepting else "draining"
        jobs = busy.get(host.name, 0)
        names = {"away": "失联", "up": "在线", "draining": "排空中"}
        shown = say(state, names[state])
        rows.append((host.name, host.device, f"{jobs}/{host.slots}", shown, duration(silent)))
        data.append(host.model_dump(mode="json") | {"state": state, "running": jobs})
    headings = say("name device busy state heard", "名称 设备 占用 状态 最近心跳").split()
    emit(data, table(headings, rows))
