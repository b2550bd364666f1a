"""Every kind of fault, one upon another: nothing lost, nothing published twice, no slot stuck."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import pool_chaos
from benchmarks.chaos.pool import WAITS
from benchmarks.chaos.servers import postgres_programs
from pools import forget
from servers import missing

#: The run goes on until there were so many of each, be the machine quick or slow.
FAULTS, JOBS = 60, 60


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The run makes this process a client of its pool; afterwards it is none any more."""
    for name in [*WAITS, "GRAFT_DATABASE_URL", "GRAFT_STORE_URL", "GRAFT_BROKER_URL",
                 "GRAFT_HOST_NAME", "GRAFT_HOME"]:  # fmt: skip
        # Set and taken away, so that the fixture's end puts back what was there before.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    yield monkeypatch
    forget()


@pytest.mark.chaos
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("settled")
def test_sixty_faults_lose_double_and_leak_nothing() -> None:
    if shutil.which("setpriv") is None or postgres_programs() is None:
        missing("PostgreSQL or setpriv")
    # PostgreSQL runs as another user, who could not enter pytest's folders.
    with tempfile.TemporaryDirectory(prefix="graft-", ignore_cleanup_errors=True) as name:
        nemesis, found = pool_chaos.run(0, "postgres", 7, Path(name), faults=FAULTS, promised=JOBS)
    assert found.wrong == []
    assert (found.lost, found.twice, found.leaked, found.chain) == (0, 0, 0, "whole")
    assert found.jobs >= JOBS
    assert sum(nemesis.done.values()) >= FAULTS
    assert found.attempts["lost"] + found.attempts["retry"] > 10, "no fault interrupted a job"
