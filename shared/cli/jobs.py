"""`graft jobs`, `show`, `cancel`, `retry`."""

from collections.abc import Sequence
from typing import Any

import click
from sqlmodel import Session

from shared import db
from shared import jobs as job_service
from shared.cli.each import do_each
from shared.cli.follow import wait_for
from shared.cli.output import clock, coloured, duration, emit, note, state_word, table, took
from shared.cli.parts import Command, Group, OneOf
from shared.cli.session import now, require_database, whoami
from shared.errors import explain
from shared.language import language, say
from shared.people.actors import local_actor
from shared.phases import phase_words
from shared.specs import SPECS
from shared.tables import Job, JobState
from shared.why import why


@click.group(
    cls=Group,
    invoke_without_command=True,
    help=say(
        "List jobs (also: `graft jobs ls` with filters).", "列出任务（筛选见 `graft jobs ls`）。"
    ),
)
@click.pass_context
def jobs(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        _list((), (), "", "", 20)


@jobs.command("ls", help=say("List jobs, newest first.", "列出任务，新的在前。"))
@click.option(
    "--state",
    "states",
    multiple=True,
    type=OneOf(list(JobState)),
    help=say("Only jobs in this state; may be repeated.", "只列该状态的任务；可重复。"),
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=OneOf(list(SPECS)),
    help=say("Only jobs of this kind; may be repeated.", "只列该类任务；可重复。"),
)
@click.option("--user", default="", help=say("Only this user's jobs.", "只列该用户的任务。"))
@click.option("--mine", is_flag=True, help=say("Only your jobs.", "只列自己的任务。"))
@click.option("--sweep", default="", help=say("Only this sweep's.", "只列该网格的任务。"))
@click.option("--text", default="", help=say("Part of a name, or an id.", "名称片段或编号。"))
@click.option(
    "--limit",
    default=50,
    type=click.IntRange(1, 10_000),
    help=say("At most this many. Default: 50.", "最多列出多少个。默认：50。"),
)
def ls(
    states: Sequence[str],
    kinds: Sequence[str],
    user: str,
    mine: bool,
    sweep: str,
    text: str,
    limit: int,
) -> None:
    _list(states, kinds, whoami() if mine else user, text, limit, sweep)


def _list(
    states: Sequence[str], kinds: Sequence[str], user: str, text: str, limit: int, sweep: str = ""
) -> None:
    require_database()
    with db.reading() as session:
        found = job_service.listing(
            session, states=states, kinds=kinds, user=user, text=text, sweep=sweep, limit=limit
        )
        at = now(session)
    rows = [
        (
            job.id,
            job.kind,
            job.name,
            coloured(job.state),
            job.user,
            clock(job.created_at),
            duration(took(job, at)),
        )
        for job in found
    ]
    headings = say(
        "id kind name state user submitted ran", "编号 类型 名称 状态 用户 提交时间 用时"
    )
    emit([job_service.as_json(job) for job in found], table(headings.split(), rows))


@click.command(cls=Command, help=say("Show one job (id, start of it, or name).", "查看一个任务。"))
@click.argument("job")
def show(job: str) -> None:
    require_database()
    with db.reading() as session:
        found = job_service.find(session, job)
        data = _details(session, found)
        at = now(session)
    lines = [
        f"{found.id}  {found.kind}  {found.name}  {coloured(found.state)}",
        say("submitted", "提交") + f"  {clock(found.created_at)}  {found.user}",
        say("ran", "用时") + f"  {duration(took(found, at))}  {found.host or ''}",
    ]
    if found.gpus > 1:
        lines.append(say("cards", "卡数") + f"  {found.gpus}")
    if data["position"] is not None:
        lines.append(say("place in the queue", "队列位置") + f"  {data['position']}")
    if data["waits"] is not None:
        lines.append(data["waits"])
    lines += [
        say("waits for", "等待") + f"  {n['name']} ({state_word(n['state'])})"
        for n in data["needs"]
    ]
    for attempt in data["attempts"]:
        done = f"{attempt['done']}/{attempt['total']} {attempt['unit']}" if attempt["total"] else ""
        ended = attempt["outcome"] or phase_words(attempt["phase"])[language()]
        number = say(f"attempt {attempt['epoch']}", f"第 {attempt['epoch']} 次")
        lines.append(f"{number}  {attempt['host']}  {attempt['device']}  {ended}  {done}")
    lines += [f"  {name} = {value}" for name, value in _flat(found.spec)]
    if found.error:
        lines.append(explain(found.error, language()))
    emit(data, "\n".join(lines))


def _details(session: Session, job: Job) -> dict[str, Any]:
    answer = why(session, job)
    return job_service.as_json(job) | {
        "position": answer.place,
        "waits": None if job.state != JobState.QUEUED else answer.text(language()),
        "needs": [
            {"id": each.id, "name": each.name, "state": each.state}
            for each in job_service.needs(session, job.id)
        ],
        "attempts": [
            each.model_dump(mode="json") for each in job_service.attempts(session, job.id)
        ],
        "message": explain(job.error, language()),
    }


def _flat(spec: dict[str, Any]) -> list[tuple[str, Any]]:
    """A spec's values without the empty ones, a nested part's after the others."""
    inner = [item for value in spec.values() if isinstance(value, dict) for item in _flat(value)]
    own = [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else value)
        for name, value in spec.items()
        if not isinstance(value, dict) and value not in ("", [], None)
    ]
    return own + inner


@click.command(
    cls=Command,
    help=say("Cancel jobs, or a whole sweep.", "取消任务，或整组网格任务。"),
)
@click.argument("job", nargs=-1)
@click.option("--sweep", default="", help=say("All jobs of this sweep.", "该网格的所有任务。"))
def cancel(job: tuple[str, ...], sweep: str) -> int:
    asked = _chosen(job, sweep, (JobState.QUEUED, JobState.RUNNING))
    ended = do_each(asked, _cancel)
    emit(ended.done + ended.refused, "\n".join(each["id"] for each in ended.done))
    return ended.code


def _cancel(asked: str) -> dict[str, Any]:
    with db.reading() as session:
        job = job_service.find(session, asked)
    state = job_service.cancel(job.id, actor=local_actor())
    if state is JobState.RUNNING:
        note(say(f"{job.name}: asked to stop", f"{job.name}：已请求停止"))
    else:
        note(say(f"{job.name}: cancelled", f"{job.name}：已取消"))
    return {"id": job.id, "name": job.name, "state": state.value}


def _chosen(names: tuple[str, ...], sweep: str, states: Sequence[str]) -> list[str]:
    """The jobs that were named, and the ids of a sweep's that are in one of the states."""
    if not names and not sweep:
        text = say("Name a job, or give --sweep.", "请指定任务，或使用 --sweep。")
        raise click.UsageError(text, click.get_current_context())
    require_database()
    if not sweep:
        return list(names)
    with db.reading() as session:
        found = job_service.listing(session, states=states, sweep=sweep, limit=10_000)
    return [*names, *(each.id for each in found)]


@click.command(
    cls=Command,
    help=say("Submit failed or cancelled jobs again.", "重新提交失败或已取消的任务。"),
)
@click.argument("job", nargs=-1)
@click.option("--sweep", default="", help=say("All such jobs of this sweep.", "该网格的此类任务。"))
@click.option("--wait", is_flag=True, help=say("Stay until they have ended.", "等待其结束。"))
def retry(job: tuple[str, ...], sweep: str, wait: bool) -> int:
    old = _chosen(job, sweep, (JobState.FAILED, JobState.CANCELLED))
    made = do_each(old, lambda each: job_service.retry(each, actor=local_actor()))
    return max([wait_for(each, wait) for each in made.done], default=0) or made.code
