"""`graft study`: one submission, and the words to stop all of it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlmodel import Session

import filled
import pools
from commands import Graft
from shared import db, jobs
from shared.cli import root
from shared.tables import JobState


@pytest.fixture
def graft(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Graft]:
    """The command in a pool that holds a donor, a host and their data."""
    pools.use(monkeypatch, tmp_path / "home", user="ann", lang="en")
    pools.upgrade()
    filled.fill(tmp_path)
    yield lambda *words: CliRunner().invoke(root, list(words), prog_name="graft")
    pools.forget()


ASKED = (
    "study", "--name", "move", "--adapter", "donor", "--host-base", filled.HOST_BASE,
    "--dataset", filled.TRAINING, "--benchmarks", "capitals", "--methods", "refresh",
)  # fmt: skip


def test_the_words_it_prints_stop_the_whole_study(graft: Graft) -> None:
    made = graft(*ASKED)
    assert made.exit_code == 0, made.stderr
    ids = made.stdout.split()
    found = re.search(r"`graft (cancel --sweep \w+)` stops all of it", made.stderr)
    assert found is not None
    assert graft(*found[1].split()).exit_code == 0
    with Session(db.engine()) as session:
        assert {jobs.find(session, each).state for each in ids} == {JobState.CANCELLED}


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        (("--methods", "ties"), 2, "ties moves no adapter"),
        (("--adapter", "nobody"), 4, 'There is no adapter named "nobody"'),
        (("--benchmarks", "nope"), 4, 'There is no benchmark file named "nope"'),
        (("--seeds", "0"), 2, "--seeds"),
    ],
)
def test_a_wrong_study_is_refused_whole(
    graft: Graft, changed: tuple[str, str], code: int, said: str
) -> None:
    with Session(db.engine()) as session:
        before = jobs.total(session)
    refused = graft(*ASKED, *changed)
    assert (refused.exit_code, said in refused.stderr) == (code, True), refused.stderr
    with Session(db.engine()) as session:
        assert jobs.total(session) == before
