"""`graft up`: the pool and the dashboard of this machine, until Ctrl-C."""

import signal
import sys
import time
from types import FrameType

import click

from infra.local.pool import LocalPool
from shared.config import settings
from shared.errors import GraftError
from shared.language import language, say


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def ends_on_signals() -> None:
    """Make Ctrl-C, a closed terminal and SIGTERM all end this process in the same orderly way."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)


def ignore_signals() -> None:
    """For the few seconds of an orderly end, which a second Ctrl-C must not cut short."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def note(text: str) -> None:
    """One line of progress, on stderr: stdout is for data."""
    click.echo(text, err=True)


@click.command()
@click.option("--dashboard/--no-dashboard", default=True)
@click.option("--port", type=click.IntRange(1, 65535))
def main(dashboard: bool, port: int | None) -> None:
    """Start broker, worker and dashboard; stay until Ctrl-C."""
    ends_on_signals()
    try:
        with LocalPool(dashboard=dashboard, port=port, tell=note) as pool:
            try:
                _stay(pool)
            finally:
                ignore_signals()
                note(say("stopping…", "正在停止……"))
    except KeyboardInterrupt:
        note(say("stopped", "已停止"))
    except GraftError as wrong:
        note(f"graft up: {wrong.message(language())}")
        sys.exit(wrong.exit_code)


def _stay(pool: LocalPool) -> None:
    note(say(f"data folder: {settings().root}", f"数据目录：{settings().root}"))
    if pool.url is not None:
        # The one line of data that a script may wait for.
        click.echo(pool.url)
    note(say("ready; Ctrl-C ends it", "就绪；按 Ctrl-C 结束"))
    while True:
        time.sleep(0.5)
        pool.tend()


if __name__ == "__main__":
    main()
