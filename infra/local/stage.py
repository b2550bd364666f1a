"""Playing a story in a pool: the running one of this data folder, or one started for it."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import click
from sqlmodel import Session, col, select

from infra.local.home import running_pool
from infra.local.outcome import broken_promises, tables
from infra.local.play import Played, play
from infra.local.pool import LocalPool
from infra.local.reuse import made_before
from infra.local.story import Cast, Step, story
from infra.local.up import ignore_signals, note
from shared import comparisons, db
from shared.comparisons import ComparisonTable
from shared.config import settings
from shared.language import language, say
from shared.people.actors import local_actor
from shared.tables import Job


@contextmanager
def a_pool() -> Iterator[LocalPool | None]:
    """A pool for a while; None when `graft up` runs one in this data folder already."""
    if running_pool(settings().root) is not None:
        note(say("using the pool that is running", "使用正在运行的资源池"))
        yield None
        return
    with LocalPool(dashboard=False, environment=two_at_a_time(), tell=note) as pool:
        try:
            yield pool
        finally:
            ignore_signals()
            note(say("stopping the pool…", "正在停止资源池……"))


def two_at_a_time() -> dict[str, str]:
    """Settings of a worker that shares the cores among two jobs: small models leave some idle."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if cores < 2:
        return {}
    return {"GRAFT_CPU_SLOTS": "2", "OMP_NUM_THREADS": str(cores // 2)}


def next_run(session: Session, word: str) -> str:
    """`demo-1`, or one more than the highest number that jobs of earlier runs ended with."""
    names = session.exec(select(Job.name).where(col(Job.name).contains(f"-{word}-"))).all()
    numbers = [int(found[1]) for name in names if (found := re.search(rf"-{word}-(\d+)$", name))]
    return f"{word}-{max(numbers, default=0) + 1}"


def perform(cast: Cast, word: str, pool: LocalPool | None, limit: float) -> list[Played]:
    """Play the story under fresh names, with the trainings of an identical earlier run."""
    with db.reading() as session:
        run = next_run(session, word)
        known = _known(session, cast, run)
    for role, name in known.items():
        note(say(f"{role}: {name} is reused (same spec, data and base)",
                 f"{role}：复用 {name}（规格、数据与底座相同）"))  # fmt: skip
    tend = pool.tend if pool is not None else _nothing
    return play(story(cast, run, known), actor=local_actor(), limit=limit, tend=tend)


def _nothing() -> None:
    """A pool that is not ours looks after itself."""


def _known(session: Session, cast: Cast, run: str) -> dict[str, str]:
    """Earlier adapters by role; a transfer's spec names its donor, so donors come first."""
    known = made_before(session, _of_kind(story(cast, run), "train"))
    known |= made_before(session, _roles(story(cast, run, known), "fused"))
    return known | made_before(session, _roles(story(cast, run, known), "transfer"))


def _of_kind(steps: list[Step], kind: str) -> list[Step]:
    return [step for step in steps if step.spec.kind == kind]


def _roles(steps: list[Step], *roles: str) -> list[Step]:
    return [step for step in steps if step.role in roles]


def all_languages(table: ComparisonTable) -> ComparisonTable:
    """The table without its breakdown by language."""
    return replace(table, columns=[column for column in table.columns if column.primary])


def report(played: list[Played], *, native_must_win: bool) -> int:
    """Print the tables from the database and what did not hold; return the exit code.

    On the demo's own world the native adapter must beat its base; on real data whatever comes out
    is the result.
    """
    with db.reading() as session:
        made = tables(session, played)
    for table in made:
        click.echo()
        click.echo(comparisons.as_text(all_languages(table), language()))
        click.echo(say(f"Each language by itself: graft compare {table.name}",
                       f"按语言细看：graft compare {table.name}"))  # fmt: skip
    wrong = broken_promises(played, made if native_must_win else [])
    for sentence in wrong:
        note(say(f"NOT AS EXPECTED: {sentence}", f"与预期不符：{sentence}"))
    address = f"http://{settings().dashboard_address}:{settings().dashboard_port}/"
    click.echo()
    click.echo(say(f"Dashboard: run `graft up`, then open {address}",
                   f"控制台：运行 `graft up`，然后打开 {address}"))  # fmt: skip
    return 1 if wrong else 0
