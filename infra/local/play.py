"""Playing a story through the queue: submit its jobs, show them live, wait for all of them."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from infra.local.story import Step
from shared import db, jobs
from shared.cli.output import state_word
from shared.errors import NotCancellable, TooSlow
from shared.people.actors import Actor
from shared.tables import Attempt, Job, JobState

LOOK_SECONDS = 0.3


@dataclass(frozen=True)
class Played:
    """A step of the story and the job it became, ended."""

    step: Step
    job: Job

    @property
    def as_expected(self) -> bool:
        """Did it succeed, or fail in the way it had to?"""
        if not self.step.fails_with:
            return self.job.state == JobState.SUCCEEDED
        code = (self.job.error or {}).get("code")
        return self.job.state == JobState.FAILED and code == self.step.fails_with


def play(
    steps: list[Step], *, actor: Actor, limit: float, tend: Callable[[], None] = lambda: None
) -> list[Played]:
    """Submit every step and wait for all; `tend` is called a few times a second.

    Interrupted or too slow (TooSlow), it cancels what has not ended.
    """
    submitted = [jobs.submit(step.spec, actor=actor) for step in steps]
    until = time.monotonic() + limit
    try:
        with Board(submitted) as board:
            while True:
                ended = board.update()
                if len(ended) == len(steps):
                    pairs = zip(steps, submitted, strict=True)
                    return [Played(step, ended[job.id]) for step, job in pairs]
                if time.monotonic() > until:
                    raise TooSlow(limit=round(limit))
                tend()
                time.sleep(LOOK_SECONDS)
    except BaseException:
        _cancel(submitted, actor)
        raise


def _cancel(submitted: list[Job], actor: Actor) -> None:
    for job in submitted:
        try:
            jobs.cancel(job.id, actor=actor)
        except NotCancellable:
            continue


class Board:
    """Live progress of jobs on stderr: a bar each on a terminal, else a line for each change."""

    def __init__(self, submitted: list[Job]) -> None:
        self._names = {job.id: f"{job.kind} {job.name}" for job in submitted}
        self._tasks: dict[str, TaskID] = {}
        self._last: dict[str, str] = {}
        self._started = time.monotonic()
        self._in_place = sys.stderr.isatty()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[doing]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=not self._in_place,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        for job_id, name in self._names.items():
            self._tasks[job_id] = self._progress.add_task(
                name, total=None, start=False, doing=state_word(JobState.QUEUED)
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def update(self) -> dict[str, Job]:
        """Look at every job once; return those that have ended, by id."""
        ended: dict[str, Job] = {}
        with db.reading() as session:
            for job_id in self._names:
                job = jobs.find(session, job_id)
                attempts = jobs.attempts(session, job_id)
                self._show(job, attempts[-1] if attempts else None)
                if JobState(job.state).is_final:
                    ended[job_id] = job
        return ended

    def _show(self, job: Job, attempt: Attempt | None) -> None:
        doing = _doing(job, attempt)
        if self._in_place:
            self._move_bar(job, attempt, doing)
        elif doing != self._last.get(job.id):
            seconds = time.monotonic() - self._started
            click.echo(f"[{seconds:5.0f} s] {self._names[job.id]}: {doing}", err=True)
        self._last[job.id] = doing

    def _move_bar(self, job: Job, attempt: Attempt | None, doing: str) -> None:
        task = self._tasks[job.id]
        if job.state != JobState.QUEUED and self._progress.tasks[task].start_time is None:
            self._progress.start_task(task)
        total = attempt.total if attempt is not None and attempt.total else None
        done = attempt.done if attempt is not None else 0
        if JobState(job.state).is_final:
            done = total = total or 1
        self._progress.update(task, completed=done, total=total, doing=doing)
        if JobState(job.state).is_final:
            self._progress.stop_task(task)


def _doing(job: Job, attempt: Attempt | None) -> str:
    if job.state == JobState.RUNNING and attempt is not None and attempt.phase:
        return attempt.phase
    return state_word(job.state)
