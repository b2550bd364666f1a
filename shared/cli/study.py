"""`graft study`: a donor moved in several ways, with its controls, as one submission."""

from pathlib import Path
from typing import Any

import click

from shared import jobs as job_service
from shared.cli.follow import wait_for
from shared.cli.output import emit, note
from shared.cli.parts import Command
from shared.cli.session import require_database
from shared.cli.spec_files import read_spec
from shared.cli.spec_flags import flags, given, require
from shared.config import settings
from shared.language import say
from shared.people.actors import local_actor
from shared.queueing import Request
from shared.specs.parameters import parameters
from shared.specs.study import StudySpec
from shared.studies import study_of, submit_study

_STUDY = parameters(StudySpec)


@click.command(
    cls=Command,
    help=say(
        "Move an adapter to another base in several ways, judged beside controls; then see "
        "`graft compare NAME`.",
        "用多种方法把一个适配器迁移到另一底座，并与对照一起评判；结果见 `graft compare NAME`。",
    ),
)
@click.option(
    "-f",
    "--file",
    "file",
    type=click.Path(path_type=Path),
    help=say("A study in JSON; flags override it.", "JSON 格式的研究；参数可覆盖其中的值。"),
)
@click.option("--wait", is_flag=True, help=say("Stay until it has ended.", "等待结束。"))
@click.option(
    "--priority",
    type=click.IntRange(0, 9),
    default=5,
    help=say("0 to 9; higher goes first. Default: 5.", "0 到 9，越大越先。默认：5。"),
)
@click.option("--key", help=say("The same key never makes a second study.", "幂等键。"))
def study(file: Path | None, wait: bool, priority: int, key: str | None, **values: Any) -> int:
    data = ({} if file is None else read_spec(file)) | given(values, _STUDY)
    require(data, _STUDY)
    asked = study_of(data)
    request = Request(
        actor=local_actor(), project=settings().project, priority=priority, idempotency_key=key
    )
    require_database()
    made = submit_study(asked, request)
    evaluation = made[-1]
    note(
        say(
            f"study {asked.name}: {len(made)} jobs; its verdicts come with {evaluation.id}; "
            f"`graft cancel --sweep {evaluation.sweep}` stops all of it",
            f"研究 {asked.name}：{len(made)} 个任务；结论随 {evaluation.id} 给出；"
            f"`graft cancel --sweep {evaluation.sweep}` 停止全部任务",
        )
    )
    if wait:
        return wait_for(evaluation, wait)
    emit([job_service.as_json(job) for job in made], "\n".join(job.id for job in made))
    return 0


flags(_STUDY)(study)
