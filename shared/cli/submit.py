"""`graft submit train|fuse|evaluate`, or a spec from a JSON file: `graft submit -f spec.json`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from shared import jobs as job_service
from shared.cli.follow import wait_for
from shared.cli.output import emit, note
from shared.cli.parts import Group, OneOf
from shared.cli.session import require_database, whoami
from shared.cli.spec_files import read_lines, read_spec, spec_like
from shared.cli.spec_flags import flags, given, method_flags, refuse_foreign, require
from shared.config import settings
from shared.language import say
from shared.queueing import Request, submit_batch, submit_many
from shared.specs import (
    FUSION_METHODS,
    EvaluationSpec,
    FusionSpec,
    TrainingSpec,
    parse_spec,
    recipes,
)
from shared.specs.parameters import Parameter, parameters
from shared.sweeps import submit_sweep

#: What a submission asks of the pool, beside its spec.
_ASKED = (
    "wait", "priority", "max_attempts", "gpus", "vram", "label", "preemptible", "sweep", "key",
    "like",
)  # fmt: skip


def _queueing(command: Callable[..., Any]) -> Callable[..., Any]:
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
            help=say("Cards, all of one host. Default: 1.", "卡数（同一主机）。默认：1。"),
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


@click.group(
    cls=Group,
    invoke_without_command=True,
    help=say("Submit a job; prints its id.", "提交任务；输出其编号。"),
)
@_queueing
@click.pass_context
def submit(
    context: click.Context, file: Path | None, like: str | None, **queueing: Any
) -> int | None:
    if like is not None or (context.invoked_subcommand is not None and file is not None):
        text = say(
            "Give -f and --like after the kind of job.", "请把 -f 与 --like 放在任务类型之后。"
        )
        raise click.UsageError(text, context)
    if context.invoked_subcommand is not None:
        return None
    if file is None:
        text = say(
            "Say train, fuse or evaluate, or give -f.", "请指定 train、fuse、evaluate，或用 -f。"
        )
        raise click.UsageError(text, context)
    if file.suffix == ".jsonl":
        return _submit_lines(file, **queueing)
    return _submit(read_spec(file), **queueing)


def _submit_lines(file: Path, *, wait: bool, sweep: tuple[str, ...], **asked: Any) -> int:
    """A spec a line, queued together: all of them or none."""
    if wait or sweep:
        text = say(
            "JSON lines go with neither --wait nor --sweep.", "JSON 行不能与 --wait、--sweep 同用。"
        )
        raise click.UsageError(text)
    require_database()
    made = submit_batch([parse_spec(each) for each in read_lines(file)], _request(**asked))
    note(say(f"{len(made)} jobs", f"{len(made)} 个任务"))
    emit(made, "\n".join(made))
    return 0


def _request(*, key: str | None, vram: int | None, label: tuple[str, ...], **asked: Any) -> Request:
    return Request(
        user=whoami(),
        project=settings().project,
        vram_mb=vram,
        labels=label,
        idempotency_key=key,
        **asked,
    )


def _submit(
    data: dict[str, Any],
    *,
    wait: bool,
    sweep: tuple[str, ...],
    **asked: Any,
) -> int:
    request = _request(**asked)
    require_database()
    if not sweep:
        return wait_for(submit_many([parse_spec(data)], request)[0], wait)
    made = submit_sweep(data, _grid(sweep), request)
    note(
        say(f"sweep {made[0].sweep}: {len(made)} jobs", f"网格 {made[0].sweep}：{len(made)} 个任务")
    )
    if wait:
        return max(wait_for(job, wait) for job in made)
    emit([job_service.as_json(job) for job in made], "\n".join(job.id for job in made))
    return 0


def _grid(given: tuple[str, ...]) -> dict[str, list[Any]]:
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


def _start(file: Path | None, like: str | None, kind: str) -> dict[str, Any]:
    """What the flags override."""
    data = {} if like is None else spec_like(like, kind)
    return (data if file is None else data | read_spec(file)) | {"kind": kind}


def _flat_spec(kind: str, own: list[Parameter]) -> Callable[..., int]:
    """The body of `submit train` and `submit evaluate`."""

    def run(file: Path | None, recipe: str | None = None, **values: Any) -> int:
        asked = {name: values.pop(name) for name in _ASKED}
        start = {"kind": kind} | (recipes.recipe(recipe) if recipe else {})
        data = start | _start(file, asked.pop("like"), kind) | given(values, own)
        require(data, own)
        return _submit(data, **asked)

    return run


_TRAIN, _EVALUATE = parameters(TrainingSpec), parameters(EvaluationSpec)
_FUSE = parameters(FusionSpec)
_METHODS = {name: parameters(spec) for name, spec in FUSION_METHODS.items()}

flags(_TRAIN)(
    submit.command("train", help=say("Train an adapter.", "训练一个适配器。"))(
        click.option(
            "--recipe",
            type=OneOf(list(recipes.RECIPES)),
            help=say(
                "Begin with a published recipe's values; flags override them.",
                "以已发表配方的取值为起点；参数可覆盖。",
            ),
        )(_queueing(_flat_spec("train", _TRAIN)))
    )
)
flags(_EVALUATE)(
    submit.command("evaluate", help=say("Score a base and its adapters.", "评测底座及其适配器。"))(
        _queueing(_flat_spec("evaluate", _EVALUATE))
    )
)


@submit.command(
    "fuse",
    help=say(
        "Fuse adapters of one base, or move one to another base.",
        "融合同一底座的适配器，或把一个迁移到另一底座。",
    ),
)
@_queueing
@click.option(
    "--method",
    type=OneOf(list(FUSION_METHODS)),
    help=say("Default: weighted_sum.", "方法。默认：weighted_sum。"),
)
def fuse(
    file: Path | None,
    method: str | None,
    **values: Any,
) -> int:
    asked = {name: values.pop(name) for name in _ASKED}
    data: dict[str, Any] = {"params": {}} | _start(file, asked.pop("like"), "fuse")
    inner = data["params"] if isinstance(data["params"], dict) else {}
    method = method or inner.get("method") or "weighted_sum"
    own = _METHODS.get(method, [])
    of_methods = given(values, [each for methods in _METHODS.values() for each in methods])
    refuse_foreign(of_methods, own, method)
    data |= given(values, _FUSE)
    if inner.get("method", method) != method:
        inner = {}
    data["params"] = inner | of_methods | {"method": method}
    require(data | data["params"], [*_FUSE, *own])
    return _submit(data, **asked)


method_flags(_METHODS)(flags(_FUSE)(fuse))
