"""Fixtures every test may ask for."""

from pools import database, sqlite
from servers import postgres_url, redis_url, short_folder
from tiny import tiny_glm, tiny_llama

__all__ = [
    "database", "postgres_url", "redis_url", "short_folder", "sqlite", "tiny_glm", "tiny_llama",
]  # fmt: skip
