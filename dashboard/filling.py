"""Values of a spec as the form's widgets hold them, and whether a widget can hold them at all."""

from collections.abc import Sequence
from typing import Any

from shared.specs.parameters import Parameter


def blank(parameter: Parameter) -> Any:
    """What the widget holds while nobody has touched it."""
    default = parameter.default
    if parameter.many:
        return list(default or []) if _chosen(parameter) else _joined(default or [])
    if parameter.picks:
        return default or None
    if parameter.choices:
        return default or parameter.choices[0]
    if parameter.type is bool:
        return bool(default)
    if parameter.type in (int, float):
        return None if default is None else parameter.type(default)
    return default or ""


def held(parameter: Parameter, value: Any) -> Any:
    """What the widget holds for a spec's value. Raises ValueError where it can hold no such."""
    if value is None or (parameter.picks and value == ""):
        return blank(parameter)
    if parameter.many:
        return _several(parameter, value)
    if parameter.choices:
        return _known(value, parameter.choices)
    if parameter.type is bool or isinstance(value, bool):
        return _of_type(parameter, value)
    if parameter.type in (int, float):
        return _number(parameter, value)
    return _of_type(parameter, value)


def typed(text: str) -> list[str]:
    """The values of a text with commas between them; Chinese commas too."""
    return [part.strip() for part in text.replace("，", ",").split(",") if part.strip()]


def _chosen(parameter: Parameter) -> bool:
    return bool(parameter.choices or parameter.picks)


def _joined(values: Sequence[Any]) -> str:
    return ", ".join(str(value) for value in values)


def _several(parameter: Parameter, value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise ValueError(value)
    if parameter.choices:
        return [_known(each, parameter.choices) for each in value]
    if parameter.picks:
        return [str(each) for each in value]
    # Commas and spaces at an end would not come back as they were.
    if typed(_joined(value)) != [str(each) for each in value]:
        raise ValueError(value)
    return _joined(value)


def _known(value: Any, choices: Sequence[str]) -> str:
    if value not in choices:
        raise ValueError(value)
    return str(value)


def _of_type(parameter: Parameter, value: Any) -> Any:
    if type(value) is not parameter.type:
        raise ValueError(value)
    return value


def _number(parameter: Parameter, value: Any) -> int | float:
    number = parameter.type(value)
    low, high = parameter.minimum, parameter.maximum
    if number != float(value) or (low is not None and number < low):
        raise ValueError(value)
    if high is not None and number > high:
        raise ValueError(value)
    return number
