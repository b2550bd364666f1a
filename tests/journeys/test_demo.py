"""`graft demo`: the whole story from an empty data folder, and again when the bases are there."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import col, select

import pools
from infra.local.stage import all_languages
from processes import mentioning, until
from shared import comparisons, db, jobs
from shared.tables import Job, JobState

pytestmark = [pytest.mark.journey, pytest.mark.timeout(2400)]


@dataclass(frozen=True)
class Run:
    """One run of the demo in a data folder."""

    home: Path
    done: subprocess.CompletedProcess[str]


def _demo(home: Path) -> Run:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GRAFT_")}
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.demo"],
        env=inherited | {"GRAFT_HOME": str(home), "GRAFT_LANG": "en"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(home, done)


@pytest.fixture(scope="module")
def first() -> Iterator[Run]:
    """The demo in a data folder that did not exist."""
    with tempfile.TemporaryDirectory(prefix="graft-") as folder:
        yield _demo(Path(folder) / "home")


@pytest.fixture
def seen(first: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The first run, with its database as this process's."""
    pools.use(monkeypatch, first.home)
    yield first
    pools.forget()


def test_the_demo_ends_well_and_leaves_nothing_running(first: Run) -> None:
    assert first.done.returncode == 0, first.done.stderr
    until(lambda: mentioning(str(first.home)) == [], "nothing of it runs any more")
    assert "http://127.0.0.1:8501/" in first.done.stdout


def test_every_number_it_prints_comes_from_the_database(seen: Run) -> None:
    with db.reading() as session:
        for name in ("compare-donor-demo-1", "compare-host-demo-1"):
            text = comparisons.as_text(all_languages(comparisons.build(session, name)))
            assert text in seen.done.stdout


def test_the_native_adapter_is_better_and_the_copy_is_named_no_op(seen: Run) -> None:
    with db.reading() as session:
        table = comparisons.build(session, "compare-host-demo-1")
        copy = jobs.find(session, "copy-demo-1")
    assert len({column.benchmark for column in table.columns}) == 3
    for column in (column for column in table.columns if column.primary):
        difference = table.arm("native-demo-1").cells[column.key].difference
        assert difference is not None
        assert difference.low > 0 if column.metric.higher_is_better else difference.high < 0
    assert copy.state == JobState.FAILED
    assert (copy.error or {})["code"] == "no-op"
    assert "NO-OP" in seen.done.stdout


def test_a_second_run_reuses_what_is_the_same_and_says_so(seen: Run) -> None:
    again = _demo(seen.home).done
    assert again.returncode == 0, again.stderr
    assert "native-demo-1 is reused" in again.stderr
    with db.reading() as session:
        second = session.exec(select(Job.name).where(col(Job.name).endswith("-demo-2"))).all()
    assert sorted(second) == ["compare-donor-demo-2", "compare-host-demo-2", "copy-demo-2"]
