"""Fixtures every test may ask for, and which tests run after each other on one stream."""

import pytest

from pools import database, sqlite
from servers import postgres_url, redis_url, short_folder
from tiny import tiny_glm, tiny_llama

__all__ = [
    "database", "postgres_url", "redis_url", "short_folder", "sqlite", "tiny_glm", "tiny_llama",
]  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`--dist loadgroup`: a file is one group, and so are all tests that kill processes.

    Two of those side by side are slower than their deadlines allow.
    """
    for item in items:
        chaos = item.get_closest_marker("chaos") is not None
        item.add_marker(pytest.mark.xdist_group("chaos" if chaos else item.path.stem))
