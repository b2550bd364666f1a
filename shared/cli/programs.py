"""`graft up`, `demo`, `worker`, `dashboard`: programs of the other packages, become by exec."""

import os
import sys
from importlib.util import find_spec
from typing import NoReturn

import click

from shared.cli import restarting
from shared.cli.parts import Command
from shared.errors import NotInstalled
from shared.language import say


def become(module: str, *words: str) -> NoReturn:
    """Replace this process by `python -m module words`, so that signals reach it directly."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *words])


def require(package: str, extra: str, what: str) -> None:
    """Raises NotInstalled when a package of an extra is missing."""
    if find_spec(package) is None:
        raise NotInstalled(what=what, package=package, extra=extra)


@click.command(
    cls=Command,
    help=say(
        "Start broker, worker and dashboard on this machine; stay until Ctrl-C.",
        "在本机启动消息代理、工作进程和控制台，直到按下 Ctrl-C。",
    ),
)
@click.option(
    "--dashboard/--no-dashboard",
    default=True,
    help=say("Start the dashboard too.", "是否同时启动控制台。"),
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=say(
        "The dashboard's port; else the first free one.", "控制台端口；默认取第一个空闲端口。"
    ),
)
def up(dashboard: bool, port: int | None) -> None:
    require("torch", "worker", say("The worker", "工作进程"))
    words = [] if dashboard else ["--no-dashboard"]
    if dashboard:
        require("streamlit", "dashboard", say("The dashboard", "控制台"))
    if port is not None:
        words += ["--port", str(port)]
    become("infra.local.up", *words)


@click.command(
    cls=Command,
    help=say(
        "Run the whole story on two small bases made here: train, fuse, evaluate, compare.",
        "用现场制作的两个小底座演示全过程：训练、融合、评测、对比。",
    ),
)
def demo() -> None:
    require("torch", "worker", say("The worker", "工作进程"))
    become("infra.local.demo")


@click.command(
    cls=Command,
    help=say(
        "Run jobs on this machine until stopped; with `restart`, start the worker that runs here "
        "anew (after an upgrade, say) without touching its jobs.",
        "在本机运行任务，直到停止；加上 `restart` 则让本机正在运行的工作进程重新启动"
        "（例如升级之后），不影响其任务。",
    ),
)
@click.argument("action", required=False, type=click.Choice(["restart"]))
def worker(action: str | None) -> None:
    if action is not None:
        restarting.restart()
        return
    require("torch", "worker", say("The worker", "工作进程"))
    become("worker")


@click.command(cls=Command, help=say("Serve the dashboard.", "启动控制台。"))
def dashboard() -> None:
    require("streamlit", "dashboard", say("The dashboard", "控制台"))
    become("dashboard")
