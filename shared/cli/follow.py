"""Staying with a submitted job: its progress on stderr, its result as the exit code."""

import sys
import time

import click

from shared import db
from shared import jobs as job_service
from shared.cli.output import emit, note, state_word
from shared.cli.session import live_hosts
from shared.errors import explain
from shared.language import language, say
from shared.phases import phase_words
from shared.tables import Attempt, Job, JobState
from shared.why import why

LOOK_SECONDS = 0.4


def wait_for(job: Job, wait: bool) -> int:
    """Print a submitted job's id (or JSON) and, with `wait`, follow it; return the exit code."""
    with db.reading() as session:
        answer = why(session, job)
        hosts = live_hosts(session)
    note(f"{job.name}: {answer.text(language())}")
    if not hosts:
        note(
            say(
                "No worker is running, so it waits. Start one with `graft up` or `graft worker`.",
                "目前没有工作进程在运行，任务将等待。请用 `graft up` 或 `graft worker` 启动。",
            )
        )
    if not wait:
        emit(job_service.as_json(job), job.id)
        return 0
    ended = _follow(job)
    emit(job_service.as_json(ended), ended.id)
    return 0 if ended.state == JobState.SUCCEEDED else 1


def _follow(job: Job) -> Job:
    line = _Line()
    try:
        while True:
            with db.reading() as session:
                found = job_service.find(session, job.id)
                attempts = job_service.attempts(session, job.id)
            line.show(found, attempts[-1] if attempts else None)
            if JobState(found.state).is_final:
                line.end()
                if found.error:
                    note(explain(found.error, language()))
                return found
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        line.end()
        note(
            say(
                f"The job goes on; `graft logs -f {job.id}` follows it, "
                f"`graft cancel {job.id}` ends it.",
                f"任务仍在进行；`graft logs -f {job.id}` 跟踪，`graft cancel {job.id}` 取消。",
            )
        )
        raise


class _Line:
    """One line that changes in place on a terminal; elsewhere a new line for each tenth."""

    def __init__(self) -> None:
        self._last = ""
        self._in_place = sys.stderr.isatty()

    def show(self, job: Job, attempt: Attempt | None) -> None:
        state, share = progress_of(job, attempt)
        text = f"{job.name}: {state}" + ("" if share is None else f" {share:4.0%}")
        key = text if self._in_place or share is None else f"{state} {int(share * 10)}"
        if key == self._last:
            return
        self._last = key
        click.echo(f"\r\033[K{text}" if self._in_place else text, err=True, nl=not self._in_place)

    def end(self) -> None:
        if self._in_place:
            click.echo("", err=True)


def progress_of(job: Job, attempt: Attempt | None) -> tuple[str, float | None]:
    """What a job is doing, and how far it is (0 to 1) where that is known."""
    if job.state != JobState.RUNNING or attempt is None:
        return state_word(job.state), None
    share = attempt.done / attempt.total if attempt.total else None
    return phase_words(attempt.phase)[language()] or state_word(job.state), share
