"""What the parameters class of every fusion method has: its words, and whether it transfers."""

from dataclasses import dataclass
from typing import Any, ClassVar

from shared.errors import Language
from shared.specs.base import Spec


@dataclass(frozen=True)
class Words:
    """The same text in both languages."""

    en: str
    zh: str

    def say(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en


class FusionParameters(Spec):
    """The parameters of one method; its name is the default of its field `method`.

    A method is a child of this class (of `Transfer` if it changes the base) anywhere in
    `shared/specs/fusion`, and a line in METHODS of `worker/fusion`.
    """

    #: Its name and one sentence about it, in forms and tables.
    title: ClassVar[Words]
    summary: ClassVar[Words]
    #: Text; each child narrows it to its own name.
    method: Any


class Transfer(FusionParameters):
    """A method that moves one adapter to another base; the others stay on theirs."""
