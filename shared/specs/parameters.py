"""How a spec declares a parameter once, and how forms, flags and help read it back."""

import inspect
import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from shared.errors import Language

#: What a text parameter picks from; the form offers the registered ones.
Picks = Literal[
    "base_model", "dataset", "mixture", "adapter", "benchmark", "knowledge", "comparison"
]
Group = Literal["basic", "advanced"]


def parameter(
    default: Any = ...,
    *,
    en: tuple[str, str],
    zh: tuple[str, str],
    unit: str = "",
    group: Group = "basic",
    picks: Picks | None = None,
    **bounds: Any,
) -> Any:
    """A spec field with its (title, help) in both languages, unit, form group and bounds.

    A mutable default is copied by pydantic for each instance.
    """
    extra: dict[str, Any] = {"zh": list(zh), "unit": unit, "group": group, "picks": picks}
    return Field(default, title=en[0], description=en[1], json_schema_extra=extra, **bounds)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter as a form or a flag shows it."""

    name: str
    #: int, float, str or bool; the item's type where `many`.
    type: type
    many: bool
    optional: bool
    required: bool
    default: Any
    choices: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    unit: str
    group: Group
    picks: Picks | None
    _titles: dict[str, str]
    _helps: dict[str, str]

    @property
    def flag(self) -> str:
        """Its command-line flag, e.g. `--learning-rate`."""
        return "--" + self.name.replace("_", "-")

    def title(self, language: Language) -> str:
        return self._titles[language]

    def help(self, language: Language) -> str:
        return self._helps[language]


def parameters(spec: type[BaseModel]) -> list[Parameter]:
    """The parameters of a spec class, its own before inherited ones; nested specs left out."""
    found = {
        name: _parameter(name, field)
        for name, field in spec.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and "zh" in field.json_schema_extra
    }
    order = [name for cls in spec.__mro__ for name in inspect.get_annotations(cls)]
    return sorted(found.values(), key=lambda parameter: order.index(parameter.name))


def _parameter(name: str, field: FieldInfo) -> Parameter:
    extra: Any = field.json_schema_extra
    inner, many, optional, metadata = _unwrap(field.annotation)
    choices = tuple(get_args(inner)) if get_origin(inner) is Literal else ()
    low, high = _bounds([*field.metadata, *metadata])
    default: Any = field.get_default(call_default_factory=True)
    required = default is PydanticUndefined
    return Parameter(
        name=name,
        type=str if choices else inner,
        many=many,
        optional=optional,
        required=required,
        default=None if required else default,
        choices=choices,
        minimum=low,
        maximum=high,
        unit=extra["unit"],
        group=extra["group"],
        picks=extra["picks"],
        _titles={"en": field.title or name, "zh": extra["zh"][0]},
        _helps={"en": field.description or "", "zh": extra["zh"][1]},
    )


def _unwrap(annotation: Any) -> tuple[Any, bool, bool, list[Any]]:
    """The plain type under Annotated, `| None` and list[...]: (type, many, optional, metadata)."""
    many = optional = False
    metadata: list[Any] = []
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            metadata += more
        elif origin in (Union, types.UnionType):
            optional = True
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        elif origin is list:
            many, annotation = True, get_args(annotation)[0]
        else:
            return annotation, many, optional, metadata


def _bounds(metadata: list[Any]) -> tuple[float | None, float | None]:
    """Inclusive limits for a form; exclusive ones are kept as they are, validation decides."""
    low: Any = None
    high: Any = None
    for bound in metadata:
        if isinstance(bound, Ge):
            low = bound.ge
        elif isinstance(bound, Gt):
            low = bound.gt
        elif isinstance(bound, Le):
            high = bound.le
        elif isinstance(bound, Lt):
            high = bound.lt
    return low, high
