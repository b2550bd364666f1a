"""Who sweeps: one worker a database, whatever data folders the workers have."""

from pathlib import Path

import pytest

from pools import upgrade, use
from shared import db
from shared.config import settings
from worker import sweeper


@pytest.mark.usefixtures("database")
def test_one_worker_leads_at_a_time_and_the_next_once_it_ends() -> None:
    with sweeper._leadership() as first:
        assert first
        assert sweeper.leader(db.engine()) == settings().host_name
        with sweeper._leadership() as second:
            assert not second
    with sweeper._leadership() as again:
        assert again


def test_workers_of_one_sqlite_file_share_its_leader_whatever_their_data_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = f"sqlite:///{tmp_path}/pool.db"
    use(monkeypatch, tmp_path / "one", database_url=file, host_name="one")
    upgrade()
    with sweeper._leadership() as one:
        assert one
        use(monkeypatch, tmp_path / "two", database_url=file, host_name="two")
        with sweeper._leadership() as two:
            assert not two
        assert sweeper.leader(db.engine()) == "one"
    with sweeper._leadership() as two:
        assert two
        assert sweeper.leader(db.engine()) == "two"
