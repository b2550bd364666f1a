"""`graft logs`: a job's log, followed until the job has ended."""

import json
import time

import click

from shared import db
from shared import jobs as job_service
from shared.cli.output import clock
from shared.cli.parts import Command, wants_json
from shared.cli.session import require_database
from shared.language import language, say
from shared.tables import JobState, LogLine

LOOK_SECONDS = 0.4
PAGE = 1000


@click.command(cls=Command, help=say("Print a job's log.", "输出任务日志。"))
@click.argument("job")
@click.option(
    "-f",
    "--follow",
    is_flag=True,
    help=say("Go on until the job has ended.", "持续输出直到任务结束。"),
)
def logs(job: str, follow: bool) -> None:
    require_database()
    with db.reading() as session:
        job_id = job_service.find(session, job).id
    last = 0
    while True:
        with db.reading() as session:
            # The state is read before the lines: after a final one no line can be missed.
            ended = JobState(job_service.find(session, job_id).state).is_final
            lines = job_service.log_lines(session, job_id, after=last, limit=PAGE)
        for line in lines:
            click.echo(_text(line))
            last = line.id or last
        if len(lines) == PAGE:
            continue
        if ended or not follow:
            return
        time.sleep(LOOK_SECONDS)


def _text(line: LogLine) -> str:
    if wants_json():
        return json.dumps(line.model_dump(mode="json"), ensure_ascii=False)
    level = "" if line.level in ("info", "audit") else f"{line.level}: "
    return f"{clock(line.at)}  {level}{line.said(language())}"
