"""How every benchmark prints what it measured: a table for people, one RESULT line for scripts."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def machine() -> str:
    """Processor and usable cores, for the table's title."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.machine()}, {cores} cores, Python {platform.python_version()}"


def show(title: str, rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print rows of equal keys as a table, or as one JSON object a line."""
    if as_json:
        for row in rows:
            print(json.dumps({"benchmark": title, **row}, ensure_ascii=False))
        return
    table = Table(title=f"{title} ({machine()})", title_justify="left")
    for heading in rows[0] if rows else ():
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*(text(value) for value in row.values()))
    Console(width=None if os.isatty(1) else 140).print(table)


def result(**figures: float | int | str) -> None:
    """The last line of a benchmark: `RESULT key=value key=value`."""
    print("RESULT " + " ".join(f"{key}={text(value)}" for key, value in figures.items()))


def text(value: Any) -> str:
    """Four significant digits of a float; anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
