"""`graft why` and `graft priority`: why a job waits, and moving it."""

import click

from shared import db
from shared import jobs as job_service
from shared.cli.each import do_each
from shared.cli.output import duration, emit, note
from shared.cli.parts import Command
from shared.cli.session import require_database
from shared.language import language, say
from shared.people.actors import local_actor
from shared.tables import Job
from shared.why import why as ask


@click.command(
    cls=Command,
    help=say(
        "Say why a job has not started, and when it will.", "说明任务为何尚未开始、何时开始。"
    ),
)
@click.argument("job")
def why(job: str) -> None:
    require_database()
    with db.reading() as session:
        found = job_service.find(session, job)
        answer = ask(session, found)
    lines = [answer.text(language())]
    if answer.place is not None:
        lines.append(say("place in the queue", "队列位置") + f"  {answer.place}")
    if answer.starts_in is not None:
        lines.append(say("starts in about", "预计等待") + f"  {duration(answer.starts_in)}")
    data = {"id": found.id, "name": found.name, "state": found.state, "reason": answer.reason}
    data |= {"place": answer.place, "starts_in": answer.starts_in, "facts": answer.facts}
    emit(data | {"message": lines[0]}, "\n".join(lines))


@click.command(
    cls=Command,
    help=say(
        "Change the priority of queued jobs (0 to 9, higher goes first).",
        "修改排队中任务的优先级（0 到 9，越大越先）。",
    ),
)
@click.argument("priority", type=click.IntRange(0, 9))
@click.argument("job", nargs=-1, required=True)
def priority(priority: int, job: tuple[str, ...]) -> int:
    require_database()

    def change(asked: str) -> Job:
        changed = job_service.reprioritise(asked, priority, actor=local_actor())
        note(say(f"{changed.name}: priority {priority}", f"{changed.name}：优先级 {priority}"))
        return changed

    changed = do_each(job, change)
    done = [job_service.as_json(each) for each in changed.done]
    emit(done + changed.refused, "\n".join(each.id for each in changed.done))
    return changed.code
