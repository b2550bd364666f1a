"""The type of the fixture that runs the `graft` command."""

from typing import Protocol

from click.testing import Result


class Graft(Protocol):
    """Run `graft WORDS`; the result has exit_code, stdout and stderr."""

    def __call__(self, *words: str) -> Result: ...
