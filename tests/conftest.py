"""Fixtures every test may ask for."""

from pools import database, sqlite

__all__ = ["database", "sqlite"]
