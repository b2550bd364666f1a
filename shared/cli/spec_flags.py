"""Flags drawn from the specs: one a parameter, with its bounds, unit, default and help."""

from collections.abc import Callable, Iterable
from typing import Any

import click

from shared.cli.parts import OneOf, did_you_mean
from shared.language import language, say
from shared.specs.parameters import Parameter

#: Parsed flags: what was given, by parameter name.
Given = dict[str, Any]


class Number(click.ParamType):
    """A whole or decimal number within a parameter's bounds."""

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter
        self.name = "integer" if parameter.type is int else "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | float:
        try:
            number = self.parameter.type(value)
        except ValueError:
            kind = say(
                *(("a whole number", "整数") if self.name == "integer" else ("a number", "数"))
            )
            self.fail(say(f'"{value}" is not {kind}.', f"“{value}”不是{kind}。"), param, ctx)
        low, high = self.parameter.minimum, self.parameter.maximum
        if (low is not None and number < low) or (high is not None and number > high):
            allowed = bounds(self.parameter)
            text = say(f"{value} is out of bounds: {allowed}.", f"{value} 超出范围：{allowed}。")
            self.fail(text, param, ctx)
        return number


class Listed(click.ParamType):
    """Several values in one word, separated by commas."""

    name = "list"

    def __init__(self, item: click.ParamType) -> None:
        self.item = item

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[Any]:
        if isinstance(value, list):
            return value
        return [self.item.convert(each.strip(), param, ctx) for each in str(value).split(",")]


def flags(declared: Iterable[Parameter]) -> Callable[[click.Command], click.Command]:
    """A decorator that gives a command one flag for each parameter; none given means None."""

    def add(command: click.Command) -> click.Command:
        command.params[:0] = [_option(parameter) for parameter in declared]
        return command

    return add


def _option(parameter: Parameter) -> click.Option:
    return click.Option(
        [parameter.flag, parameter.name],
        type=_type(parameter),
        default=None,
        multiple=parameter.many,
        help=_help(parameter),
    )


def _type(parameter: Parameter) -> click.ParamType:
    if parameter.choices:
        item: click.ParamType = OneOf(parameter.choices)
    elif parameter.type in (int, float):
        item = Number(parameter)
    elif parameter.type is bool:
        item = click.BOOL
    else:
        item = click.STRING
    return Listed(item) if parameter.many else item


def method_flags(methods: dict[str, list[Parameter]]) -> Callable[[click.Command], click.Command]:
    """A decorator for a command whose `--method` decides which of the flags apply.

    A flag that several methods have is offered once; the spec of the method holds its bounds.
    """
    owners: dict[str, list[str]] = {}
    first: dict[str, Parameter] = {}
    for method, declared in methods.items():
        for parameter in declared:
            owners.setdefault(parameter.name, []).append(method)
            first.setdefault(parameter.name, parameter)

    def add(command: click.Command) -> click.Command:
        for name, parameter in first.items():
            option = _option(parameter)
            if len(owners[name]) > 1 and isinstance(option.type, Number):
                option.type = click.INT if parameter.type is int else click.FLOAT
            option.help = f"({', '.join(owners[name])}) {option.help}"
            command.params.append(option)
        return command

    return add


def _help(parameter: Parameter) -> str:
    parts = [parameter.help(language())]
    if parameter.required:
        parts.append(say("Required.", "必填。"))
    elif parameter.default not in ("", []):
        parts.append(say("Default: ", "默认：") + f"{parameter.default}{_unit(parameter)}.")
    if limits := bounds(parameter):
        parts.append(f"[{limits}]")
    return " ".join(parts)


def _unit(parameter: Parameter) -> str:
    return f" {parameter.unit}" if parameter.unit else ""


def bounds(parameter: Parameter) -> str:
    """A parameter's bounds as people read them; empty when it has none."""
    if parameter.minimum is None and parameter.maximum is None:
        return ""
    low = "" if parameter.minimum is None else f"{parameter.minimum:.10g}"
    high = "" if parameter.maximum is None else f"{parameter.maximum:.10g}"
    return f"{low}..{high}" if high else f">= {low}"


def given(values: dict[str, Any], declared: Iterable[Parameter]) -> Given:
    """What was given, by parameter: lists flattened, flags that were not used left out."""
    found: Given = {}
    for parameter in declared:
        value = values.get(parameter.name)
        if parameter.many and value:
            found[parameter.name] = [each for part in value for each in part]
        elif not parameter.many and value is not None:
            found[parameter.name] = value
    return found


def refuse_foreign(found: Given, own: Iterable[Parameter], method: str) -> None:
    """Raises UsageError for a flag of another method."""
    known = [parameter.name for parameter in own]
    for name in found:
        if name not in known:
            flag = "--" + name.replace("_", "-")
            text = say(f"{flag} is no parameter of {method}.", f"{flag} 不是 {method} 的参数。")
            raise click.UsageError(text + did_you_mean(name, known), click.get_current_context())


def require(found: Given, own: Iterable[Parameter]) -> None:
    """Raises UsageError naming every required flag that is missing."""
    missing = [each.flag for each in own if each.required and each.name not in found]
    if missing:
        listed = ", ".join(missing)
        text = say(f"Missing: {listed}.", f"缺少：{listed}。")
        raise click.UsageError(text, click.get_current_context())
