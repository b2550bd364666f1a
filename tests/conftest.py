"""Fixtures every test may ask for, and how slow tests are spread over two processes."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

import garbage
from pools import database, sqlite
from servers import postgres_url, redis_url, short_folder
from streams import Streams, longest_first
from tiny import tiny_glm, tiny_llama

__all__ = [
    "database", "postgres_url", "redis_url", "short_folder", "sqlite", "tiny_glm", "tiny_llama",
]  # fmt: skip


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """`-n 2 --dist loadfile`: see streams.py."""
    return Streams(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Each of the processes sorts, and all come to the same order.
    if hasattr(config, "workerinput"):
        longest_first(items)


def pytest_collection_finish() -> None:
    """Everything is imported, and no test has begun."""
    garbage.begin()
