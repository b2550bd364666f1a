"""A data folder with a path short enough for a socket."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import pools
from processes import processes

__all__ = ["processes"]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process's data folder, empty; gone after the test."""
    with tempfile.TemporaryDirectory(prefix="graft-", ignore_cleanup_errors=True) as name:
        pools.use(monkeypatch, Path(name))
        yield Path(name)
        pools.forget()
