"""The parts every command is made of: `--json` on each, and usage errors in two languages."""

from difflib import get_close_matches
from typing import Any

import click

from shared.language import say

_JSON = "graft.json"


def wants_json() -> bool:
    """Was this command asked for JSON?"""
    return bool(click.get_current_context().meta.get(_JSON, False))


def _remember(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.meta[_JSON] = True


def _json_option() -> click.Option:
    return click.Option(
        ["--json"],
        is_flag=True,
        expose_value=False,
        callback=_remember,
        help=say("Print JSON.", "输出 JSON。"),
    )


class _Formatter(click.HelpFormatter):
    """Help with its headings in the reader's language."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, prefix or say("Usage: ", "用法："))

    def write_heading(self, heading: str) -> None:
        names = {"Options": "选项", "Commands": "命令", "Positional arguments": "参数"}
        super().write_heading(say(heading, names.get(heading, heading)))


class _Context(click.Context):
    formatter_class = _Formatter


class Command(click.Command):
    """A command with `--json`."""

    context_class = _Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_json_option())

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = say("Show this message and end.", "显示本说明并退出。")
        return option


class Group(Command, click.Group):
    """A noun: its verbs have `--json` too."""

    command_class = Command
    group_class = type


class OneOf(click.Choice[str]):
    """One of some words; a wrong one is answered with the nearest."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in self.choices:
            return str(value)
        offered = ", ".join(self.choices)
        problem = say(f'"{value}" is none of {offered}.', f"“{value}”不在可选项中：{offered}。")
        self.fail(problem + did_you_mean(str(value), list(self.choices)), param, ctx)


def did_you_mean(word: str, known: list[str]) -> str:
    """A sentence with the nearest known words; empty when none is near."""
    near = get_close_matches(word, known, n=3, cutoff=0.5) if word else []
    if not near:
        return ""
    listed = ", ".join(near)
    return say(f" Did you mean {listed}?", f"您是否想用：{listed}？")


def usage_sentence(error: click.UsageError) -> str:
    """What is wrong with the words of a command line, and the nearest right ones."""
    context = error.ctx
    if isinstance(error, click.NoSuchOption):
        flags = [name for each in _options(context) for name in each.opts]
        wrong = error.option_name
        problem = say(f"There is no flag {wrong}.", f"没有参数 {wrong}。")
        return problem + did_you_mean(wrong, flags)
    if isinstance(error, click.exceptions.NoSuchCommand):
        group = context.command if context is not None else None
        known = list(group.commands) if isinstance(group, click.Group) else []
        wrong = error.command_name
        problem = say(f'There is no command "{wrong}".', f"没有命令“{wrong}”。")
        return problem + did_you_mean(wrong, known)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        name = error.param.get_error_hint(context) if context else error.param.name
        return say(f"{name} is missing.", f"缺少 {name}。")
    if isinstance(error, click.BadParameter) and error.param is not None and context is not None:
        return say("", "参数 ") + f"{error.param.get_error_hint(context)}: {error.message}"
    return error.format_message()


def _options(context: click.Context | None) -> list[click.Option]:
    if context is None:
        return []
    return [each for each in context.command.params if isinstance(each, click.Option)]
