"""A data folder with a path short enough for a socket."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import pools
from benchmarks.chaos.servers import free_port
from processes import processes

__all__ = ["processes"]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process's data folder, empty; gone after the test."""
    with tempfile.TemporaryDirectory(prefix="graft-", ignore_cleanup_errors=True) as name:
        # A port of its own: another process of the tests may run a pool too.
        pools.use(monkeypatch, Path(name), dashboard_port=str(free_port()))
        yield Path(name)
        pools.forget()
