"""What every error is: a sentence in two languages, and a record that travels."""

import re
from typing import Any, ClassVar, Literal, TypedDict, TypeGuard

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


class Both(TypedDict):
    """A sentence or clause in both languages, as JSON."""

    en: str
    zh: str


def both(en: str, zh: str) -> Both:
    """A clause for an error's parameter or a log line, in both languages."""
    return {"en": en, "zh": zh}


def spoken(text: object, language: Language) -> object:
    """That language's half of a `Both`; anything else as it is."""
    return text[language] if _is_both(text) else text


def _is_both(text: object) -> TypeGuard[Both]:
    return isinstance(text, dict) and text.keys() == {"en", "zh"}


class GraftError(Exception):
    """{detail}"""

    zh: ClassVar[str] = "{detail}"
    #: Exit code of the command line: 1 the job failed, 2 usage, 3 not reachable, 4 refused.
    exit_code: ClassVar[int] = 1

    def __init__(self, **params: Any) -> None:
        self.params = params
        super().__init__(self.message("en"))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.params)

    @classmethod
    def code(cls) -> str:
        """The stable name of this error, e.g. `unknown-base`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def message(self, language: Language = "en") -> str:
        """The sentence for a reader, in their language."""
        template = self.zh if language == "zh" else " ".join((self.__doc__ or "").split())
        said = {name: spoken(value, language) for name, value in self.params.items()}
        return template.format_map(_Params(said))

    def record(self) -> dict[str, Any]:
        """This error as JSON: `{"code": ..., "params": {...}}`."""
        return {"code": self.code(), "params": self.params}


class _Params(dict[str, Any]):
    """Message parameters; a missing one shows as its name instead of hiding the message."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def _rebuild(cls: type[GraftError], params: dict[str, Any]) -> GraftError:
    return cls(**params)


def _tree(cls: type[GraftError]) -> dict[str, type[GraftError]]:
    found = {cls.code(): cls}
    for child in cls.__subclasses__():
        found |= _tree(child)
    return found


def from_record(record: dict[str, Any]) -> GraftError:
    """The error a record describes; an unknown code (a newer worker's) keeps its text."""
    cls = _tree(GraftError).get(str(record.get("code")))
    params = dict(record.get("params") or {})
    if cls is None:
        return GraftError(detail=f"{record.get('code')}: {params}")
    return cls(**params)


def explain(record: dict[str, Any] | None, language: Language = "en") -> str:
    """A stored error record as a sentence; empty when there is none."""
    return from_record(record).message(language) if record else ""


class UserError(GraftError):
    """{detail}"""

    exit_code = 4
