"""What commands print: data on stdout (tables or JSON), everything said beside it on stderr."""

import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from rich.cells import cell_len

from shared.cli.parts import wants_json
from shared.language import say
from shared.tables import Job

STATE_COLOURS = {
    "queued": "blue",
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
}
STATES_ZH = {
    "queued": "排队中",
    "running": "运行中",
    "succeeded": "成功",
    "failed": "失败",
    "cancelled": "已取消",
}


def note(text: str) -> None:
    """One line for the person at the terminal, not for the script that reads stdout."""
    click.echo(text, err=True)


def emit(data: Any, text: str) -> None:
    """Print the data as JSON where that was asked for, else the text."""
    if wants_json():
        click.echo(json.dumps(data, ensure_ascii=False, indent=1))
    elif text:
        click.echo(text)


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns as wide as their widest cell; Chinese characters count as two."""
    cells = [[str(cell) for cell in row] for row in [headings, *rows]]
    widths = [max(cell_len(row[place]) for row in cells) for place in range(len(headings))]
    lines = [
        "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        )
        for row in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def state_word(state: str) -> str:
    """A job's state in the reader's language."""
    return say(state, STATES_ZH.get(state, state))


def coloured(state: str) -> str:
    """A state's word in its colour, where the terminal shows colours and NO_COLOR is not set."""
    return style(state_word(state), STATE_COLOURS.get(state, "white"))


def style(text: str, colour: str) -> str:
    """Coloured text for stdout, plain where it is not a terminal or NO_COLOR is set."""
    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text
    return click.style(text, fg=colour)


def clock(at: float | None) -> str:
    """A time of the database, in this machine's zone, to the second."""
    if not at:
        return "-"
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float | None) -> str:
    """A length of time as people say it: 7s, 3m 05s, 2h 10m."""
    if seconds is None:
        return "-"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"


def size(count: float) -> str:
    """Bytes as people say them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def took(job: Job, now: float) -> float | None:
    """Seconds a job ran, or has run so far."""
    if job.started_at is None:
        return None
    return (job.finished_at or now) - job.started_at
