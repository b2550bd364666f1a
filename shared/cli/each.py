"""A command that is given several things does each of them and says what became of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from shared.cli.failures import sentence, tell
from shared.cli.parts import wants_json
from shared.errors import GraftError

T = TypeVar("T")


@dataclass
class Outcomes(Generic[T]):
    """What became of each."""

    done: list[T] = field(default_factory=list)
    #: What was asked for and why it was refused, for scripts.
    refused: list[dict[str, Any]] = field(default_factory=list)
    #: The first refusal's exit code, 0 where there was none.
    code: int = 0


def do_each(asked: Sequence[str], work: Callable[[str], T]) -> Outcomes[T]:
    """Do the work for each; one that is refused is named on stderr, and the next one follows.

    A refusal of the only one is raised, as every command does.
    """
    found: Outcomes[T] = Outcomes()
    for name in asked:
        try:
            found.done.append(work(name))
        except GraftError as error:
            if len(asked) == 1:
                raise
            told = error.record() | {"message": sentence(error)}
            tell(error.record() | {"asked": name}, f"{name}: {sentence(error)}", wants_json())
            found.refused.append({"id": name, "error": told})
            found.code = found.code or error.exit_code
    return found
