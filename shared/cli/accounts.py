"""`graft usage` and `graft limits`: who used what, and who may have what."""

from typing import Any

import click

from shared import db, limits, usage
from shared.cli.output import emit, table
from shared.cli.parts import Command, Group, OneOf
from shared.cli.session import now, require_database
from shared.language import say
from shared.people.actors import local_actor


@click.command(
    "usage",
    cls=Command,
    help=say("GPU-hours by project and user.", "按项目和用户统计 GPU 小时。"),
)
@click.option(
    "--days",
    default=30.0,
    type=click.FloatRange(0, 36500),
    help=say("How far back. Default: 30.", "统计最近多少天。默认：30。"),
)
@click.option("--user", default="", help=say("Only this user.", "只看该用户。"))
def used(days: float, user: str) -> None:
    require_database()
    with db.reading() as session:
        found = usage.account(session, since=now(session) - days * 86400, user=user)
    rows = [
        (
            each.project,
            each.user,
            each.attempts,
            f"{each.gpu_seconds / 3600:.3f}",
            f"{each.running_seconds / 3600:.3f}",
            f"{each.wasted_seconds / 3600:.3f}",
        )
        for each in found
    ]
    headings = say(
        "project user attempts gpu-hours running wasted", "项目 用户 次数 GPU小时 运行中 浪费"
    )
    emit([vars(each) for each in found], table(headings.split(), rows))


@click.group(
    "limits",
    cls=Group,
    invoke_without_command=True,
    help=say("What users and projects may have.", "用户与项目的上限。"),
)
@click.pass_context
def limit(context: click.Context) -> None:
    if context.invoked_subcommand is not None:
        return
    require_database()
    with db.reading() as session:
        found = limits.listing(session)
    headings = say(
        "kind name queued running gpus gpu-hours weight", "类型 名称 排队 运行 卡数 GPU小时 权重"
    )
    rows = [
        (each.kind, each.name, *map(_shown, (each.queued, each.running, each.gpus, each.gpu_hours)),
         f"{each.weight:g}")
        for each in found
    ]  # fmt: skip
    emit([each.model_dump() for each in found], table(headings.split(), rows))


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


@limit.command(
    "set",
    help=say(
        "Set limits; `*` is every user without a row. A negative number lifts a limit.",
        "设置上限；`*` 表示没有单独设置的所有用户。负数表示取消该上限。",
    ),
)
@click.argument("kind", type=OneOf(["user", "project"]))
@click.argument("name")
@click.option("--queued", type=int, help=say("Jobs waiting.", "排队任务数。"))
@click.option("--running", type=int, help=say("Jobs at once.", "同时运行的任务数。"))
@click.option("--gpus", type=int, help=say("Cards at once.", "同时占用的卡数。"))
@click.option("--gpu-hours", type=float, help=say("GPU-hours in 30 days.", "30 天内的 GPU 小时。"))
@click.option(
    "--weight",
    type=click.FloatRange(0.001, 1000),
    help=say("Twice the weight, twice the share.", "权重加倍，份额加倍。"),
)
def set_limits(kind: str, name: str, **values: Any) -> None:
    require_database()
    with db.writing() as session:
        changed = limits.change(session, kind, name, limits.Change(**values), actor=local_actor())
    emit(changed.model_dump(), f"{kind} {name}")
