"""The requests people submit: pydantic classes, the only place a parameter is declared."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from shared.errors import InvalidSpec
from shared.specs.chat import ChatSpec
from shared.specs.evaluation import BASE_ARM, Choosing, EvaluationSpec
from shared.specs.fusion import (
    FUSION_METHODS,
    TRANSFERS,
    Copy,
    CrossLora,
    Distil,
    FusionSpec,
    Learning,
    Procrustes,
    ProLora,
    Refresh,
    Ridge,
    Teaching,
    Texts,
    WeightedSum,
)
from shared.specs.judging import JudgeSpec
from shared.specs.problems import in_words
from shared.specs.training import TrainingSpec

AnySpec = TrainingSpec | FusionSpec | EvaluationSpec | ChatSpec | JudgeSpec
JobSpec = Annotated[AnySpec, Field(discriminator="kind")]
SPECS: dict[str, type[AnySpec]] = {
    "train": TrainingSpec,
    "fuse": FusionSpec,
    "evaluate": EvaluationSpec,
    "chat": ChatSpec,
    "judge": JudgeSpec,
}
#: Kinds of jobs that make an adapter.
MAKERS = ("train", "fuse")
_adapter: TypeAdapter[AnySpec] = TypeAdapter(JobSpec)


def parse_spec(data: dict[str, Any]) -> AnySpec:
    """The spec that JSON describes.

    Raises InvalidSpec naming the first wrong field and what is wrong with it.
    """
    try:
        return _adapter.validate_python(data)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        path = [str(part) for part in first["loc"] if part not in (*SPECS, *FUSION_METHODS)]
        raise InvalidSpec(field=".".join(path) or "kind", problem=in_words(first)) from None


__all__ = [
    "BASE_ARM",
    "FUSION_METHODS",
    "MAKERS",
    "SPECS",
    "TRANSFERS",
    "AnySpec",
    "ChatSpec",
    "Choosing",
    "Copy",
    "CrossLora",
    "Distil",
    "EvaluationSpec",
    "FusionSpec",
    "JobSpec",
    "JudgeSpec",
    "Learning",
    "ProLora",
    "Procrustes",
    "Refresh",
    "Ridge",
    "Teaching",
    "Texts",
    "TrainingSpec",
    "WeightedSum",
    "parse_spec",
]  # fmt: skip
