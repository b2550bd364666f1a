"""What comes in: submissions, bulk actions, samples. Strict: a number in quotes is no number."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from shared.errors import InvalidSpec
from shared.specs import FUSION_METHODS, SPECS, JobSpec
from shared.specs.problems import in_words
from shared.specs.study import StudySpec

#: Names, ids and beginnings of ids.
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
#: Spaces and control characters, for a class in a pattern. Spelled out: the engines that read one
#: (ours, those of programs that read the API's description) do not agree on what `\s` means.
BLANK = r"\x00-\x20\x7f-\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
Tag = Annotated[str, StringConstraints(pattern=rf"^[^,{BLANK}]{{1,32}}$")]
Said = Annotated[str, StringConstraints(min_length=1)]
Kind = Literal["train", "fuse", "evaluate", "chat", "judge"]
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]


def _whole(value: Any) -> Any:
    """JSON knows one kind of number: 4.0 is a whole one there, also within lists and objects."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    return value


_WHOLE = BeforeValidator(_whole)
Priority = Annotated[int, Field(ge=0, le=9), _WHOLE]


class Asked(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Submission(Asked):
    """What a submission asks of the pool, beside its spec."""

    project: Label = "default"
    #: 0 to 9, higher first.
    priority: Priority = 5
    max_attempts: Annotated[int, Field(ge=1, le=20), _WHOLE] = 3
    #: Cards of each training, all of one host; another job takes one.
    gpus: Annotated[int, Field(ge=1, le=64), _WHOLE] = 1
    #: MiB on each card; 0 takes whole cards, null predicts it from spec and base.
    vram_mb: Annotated[int, Field(ge=0, le=2**31 - 1), _WHOLE] | None = None
    #: Labels the host must have.
    labels: Annotated[list[Label], Field(max_length=32)] = []
    #: Run only on cards nobody else wants, and give way.
    preemptible: bool = False


def _one_spec(adapter: TypeAdapter[Any]) -> BeforeValidator:
    """Check a spec strictly and say what is wrong with it in both languages."""

    def check(value: Any) -> Any:
        try:
            return adapter.validate_python(_whole(value), strict=True)
        except ValidationError as wrong:
            first = wrong.errors(include_url=False)[0]
            path = [str(part) for part in first["loc"] if part not in (*SPECS, *FUSION_METHODS)]
            raise InvalidSpec(field=".".join(path) or "spec", problem=in_words(first)) from None

    return BeforeValidator(check)


class JobSubmission(Submission):
    """One job, or with `sweep` one for each point of a grid."""

    spec: Annotated[JobSpec, _one_spec(TypeAdapter(JobSpec))]
    #: Values by field of the spec, e.g. {"rank": [8, 16]}.
    sweep: Annotated[dict[Label, Annotated[list[JsonValue], Field(min_length=1)]], Field()] = {}


class StudySubmission(Submission):
    """A transfer study: natives, transfers and controls, and one evaluation of them all."""

    spec: Annotated[StudySpec, _one_spec(TypeAdapter(StudySpec))]


class Reprioritisation(Asked):
    """A queued job's new priority."""

    priority: Priority


class Bulk(Asked):
    """The same action on many jobs; each is refused or done by itself."""

    action: Literal["cancel", "retry", "reprioritise"]
    ids: Annotated[list[Label], Field(min_length=1, max_length=200)]
    #: Of reprioritise.
    priority: Priority = 5


class SampleText(Asked):
    """What a sample says."""

    instruction: Annotated[
        str, StringConstraints(pattern=rf"^[^\x00]*[^{BLANK}]", max_length=100_000)
    ]
    output: Annotated[str, StringConstraints(pattern=rf"^[^\x00]*[^{BLANK}]")]
    input: str = ""


class CardText(Asked):
    """What people write about an adapter; what is left out stays as it is."""

    note: Annotated[str, StringConstraints(max_length=4000)] | None = None
    tags: Annotated[list[Tag], Field(max_length=12)] | None = None
    #: Whether this is the version to use; another of its family is then no longer.
    promoted: bool | None = None


class Samples(Asked):
    """Samples to add in one revision."""

    samples: Annotated[list[SampleText], Field(min_length=1)]
    #: They expire after so many days.
    days: Annotated[float, Field(gt=0, le=36_500)] | None = None


class Question(Asked):
    """What a knowledge base is asked."""

    question: str
    k: Annotated[int, Field(ge=1, le=50), _WHOLE] = 4
    revision: Annotated[int, Field(ge=0, le=2**31 - 1), _WHOLE] | None = None
    lang: Literal["en", "zh"] | None = None


_CURSOR = r"([0-9]{1,12}(?:\.[0-9]{1,9})?)-([0-9a-z]{1,32})"
#: Where a page of jobs begins: time and id of the last job of the page before.
Cursor = Annotated[str, StringConstraints(pattern=f"^{_CURSOR}$")]


def parse_cursor(text: str) -> tuple[float, str] | None:
    """The (created_at, id) of a cursor that has the shape of one."""
    found = re.fullmatch(_CURSOR, text)
    return (float(found[1]), found[2]) if found else None
