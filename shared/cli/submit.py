"""`graft submit train|fuse|evaluate|chat`, or a JSON file: `graft submit -f spec.json`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from shared import jobs as job_service
from shared.cli.asking import ASKED, grid_of, queueing, request_of
from shared.cli.follow import wait_for
from shared.cli.output import emit, note
from shared.cli.parts import Group, OneOf
from shared.cli.plans import show_plan
from shared.cli.session import require_database
from shared.cli.spec_files import read_lines, read_spec, spec_like
from shared.cli.spec_flags import flags, given, method_flags, refuse_foreign, require
from shared.language import say
from shared.queueing import submit_batch, submit_many
from shared.specs import (
    FUSION_METHODS,
    ChatSpec,
    EvaluationSpec,
    FusionSpec,
    JudgeSpec,
    TrainingSpec,
    parse_spec,
    recipes,
)
from shared.specs.parameters import Parameter, parameters
from shared.sweeps import points, submit_sweep


@click.group(
    cls=Group,
    invoke_without_command=True,
    help=say("Submit a job; prints its id.", "提交任务；输出其编号。"),
)
@queueing
@click.pass_context
def submit(context: click.Context, file: Path | None, like: str | None, **asked: Any) -> int | None:
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
        return _submit_lines(file, **asked)
    return _submit(read_spec(file), **asked)


def _submit_lines(
    file: Path, *, wait: bool, plan: bool, sweep: tuple[str, ...], **asked: Any
) -> int:
    """A spec a line, queued together: all of them or none."""
    if wait or sweep:
        text = say(
            "JSON lines go with neither --wait nor --sweep.", "JSON 行不能与 --wait、--sweep 同用。"
        )
        raise click.UsageError(text)
    require_database()
    specs = [parse_spec(each) for each in read_lines(file)]
    if plan:
        return show_plan(specs, request_of(**asked))
    made = submit_batch(specs, request_of(**asked))
    note(say(f"{len(made)} jobs", f"{len(made)} 个任务"))
    emit(made, "\n".join(made))
    return 0


def _submit(
    data: dict[str, Any],
    *,
    wait: bool,
    plan: bool,
    sweep: tuple[str, ...],
    **asked: Any,
) -> int:
    request = request_of(**asked)
    require_database()
    if plan:
        return show_plan(points(data, grid_of(sweep)), request)
    if not sweep:
        return wait_for(submit_many([parse_spec(data)], request)[0], wait)
    made = submit_sweep(data, grid_of(sweep), request)
    note(
        say(f"sweep {made[0].sweep}: {len(made)} jobs", f"网格 {made[0].sweep}：{len(made)} 个任务")
    )
    if wait:
        return max(wait_for(job, wait) for job in made)
    emit([job_service.as_json(job) for job in made], "\n".join(job.id for job in made))
    return 0


def _start(file: Path | None, like: str | None, kind: str) -> dict[str, Any]:
    """What the flags override."""
    data = {} if like is None else spec_like(like, kind)
    return (data if file is None else data | read_spec(file)) | {"kind": kind}


def _flat_spec(kind: str, own: list[Parameter]) -> Callable[..., int]:
    """The body of `submit train`, `submit evaluate` and `submit chat`."""

    def run(file: Path | None, recipe: str | None = None, **values: Any) -> int:
        asked = {name: values.pop(name) for name in ASKED}
        start = {"kind": kind} | (recipes.recipe(recipe) if recipe else {})
        data = start | _start(file, asked.pop("like"), kind) | given(values, own)
        require(data, own)
        return _submit(data, **asked)

    return run


_TRAIN, _EVALUATE = parameters(TrainingSpec), parameters(EvaluationSpec)
_FUSE, _CHAT = parameters(FusionSpec), parameters(ChatSpec)
_JUDGE = parameters(JudgeSpec)
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
        )(queueing(_flat_spec("train", _TRAIN)))
    )
)
flags(_EVALUATE)(
    submit.command("evaluate", help=say("Score a base and its adapters.", "评测底座及其适配器。"))(
        queueing(_flat_spec("evaluate", _EVALUATE))
    )
)
flags(_CHAT)(
    submit.command(
        "chat",
        help=say(
            "Start a playground session, to be asked on the dashboard.",
            "开始一个试聊会话，在网页上提问。",
        ),
    )(queueing(_flat_spec("chat", _CHAT)))
)


flags(_JUDGE)(
    submit.command(
        "judge",
        help=say(
            "Let a base model vote between answers of a comparison, each pair in both orders.",
            "让一个底座模型在对比的回答之间投票，每对按两种顺序各评一次。",
        ),
    )(queueing(_flat_spec("judge", _JUDGE)))
)


@submit.command(
    "fuse",
    help=say(
        "Fuse adapters of one base, or move one to another base.",
        "融合同一底座的适配器，或把一个迁移到另一底座。",
    ),
)
@queueing
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
    asked = {name: values.pop(name) for name in ASKED}
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
