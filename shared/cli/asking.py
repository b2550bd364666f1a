"""What a submission asks of the pool beside its spec, as flags: cards, priority, a grid, a key."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from shared.config import settings
from shared.language import say
from shared.people.actors import local_actor
from shared.queueing import Request

#: What a submission asks of the pool, beside its spec.
ASKED = (
    "wait", "plan", "priority", "max_attempts", "gpus", "vram", "label", "preemptible", "sweep",
    "key", "like",
)  # fmt: skip


def queueing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags of every submission, beside the spec's own."""
    options = [
        click.option(
            "-f",
            "--file",
            "file",
            type=click.Path(path_type=Path),
            help=say(
                "A spec in JSON; flags override it. Without a kind also .jsonl: a spec a line.",
                "JSON 规格文件，参数可覆盖其中的值。不带任务类型时也可为 .jsonl：每行一个规格。",
            ),
        ),
        click.option(
            "--like",
            metavar="JOB",
            help=say(
                "Begin with that job's spec; flags override it.",
                "以该任务的规格为起点；参数可覆盖。",
            ),
        ),
        click.option(
            "--wait", is_flag=True, help=say("Stay until it has ended.", "等待任务结束。")
        ),
        click.option(
            "--plan",
            is_flag=True,
            help=say(
                "Submit nothing; say memory, time, cards that fit and the place in the queue.",
                "不提交，只说明所需显存、时间、可用的卡与队列位置。",
            ),
        ),
        click.option(
            "--priority",
            type=click.IntRange(0, 9),
            default=5,
            help=say("0 to 9; higher goes first. Default: 5.", "0 到 9，越大越先。默认：5。"),
        ),
        click.option(
            "--max-attempts",
            type=click.IntRange(1, 20),
            default=3,
            help=say(
                "Tries without progress before it fails. Default: 3.",
                "无进展的最多尝试次数。默认：3。",
            ),
        ),
        click.option(
            "--gpus",
            type=click.IntRange(1, 64),
            default=1,
            help=say(
                "Cards of one host that a training computes on, a process on each. Default: 1.",
                "训练所用的卡数（同一主机，每卡一个进程）。默认：1。",
            ),
        ),
        click.option(
            "--vram",
            type=click.IntRange(0),
            help=say(
                "MiB on each card; 0 takes whole cards. Default: predicted from spec and base.",
                "每卡显存 MiB；0 表示独占整卡。默认：按规格与底座预测。",
            ),
        ),
        click.option(
            "--label",
            multiple=True,
            help=say("The host must have it; may be repeated.", "主机须带该标签；可重复。"),
        ),
        click.option(
            "--preemptible",
            is_flag=True,
            help=say("Use idle cards only, and give way.", "只用空闲的卡，并随时让出。"),
        ),
        click.option(
            "--sweep",
            multiple=True,
            metavar="FIELD=A,B,...",
            help=say(
                "One job for each value; several make a grid.", "每个值一个任务；多个则组成网格。"
            ),
        ),
        click.option(
            "--key",
            help=say("The same key never makes a second job.", "幂等键：同一键不会重复建任务。"),
        ),
    ]
    for option in options:
        command = option(command)
    return command


def request_of(
    *, key: str | None, vram: int | None, label: tuple[str, ...], **asked: Any
) -> Request:
    """The request that the flags of `queueing` make, as the user of this process."""
    return Request(
        actor=local_actor(),
        project=settings().project,
        vram_mb=vram,
        labels=label,
        idempotency_key=key,
        **asked,
    )


def grid_of(given: tuple[str, ...]) -> dict[str, list[Any]]:
    """`FIELD=A,B` as the field's values: numbers, true and false as such, the rest as text."""
    grid: dict[str, list[Any]] = {}
    for each in given:
        field, _, values = each.partition("=")
        field = field.strip().replace("-", "_")
        grid[field] = [_value(value.strip()) for value in values.split(",") if value.strip()]
    return grid


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
