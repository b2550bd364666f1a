"""How a command ends when it could not do its work: one sentence, or JSON, and an exit code."""

import json
import os
import sys
import tempfile
import traceback
from types import TracebackType
from typing import Any

import click
from pydantic import ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from shared.cli.parts import did_you_mean, usage_sentence
from shared.config import settings
from shared.errors import GraftError, InvalidSpec, NotReachable, both
from shared.language import language, say
from shared.specs.problems import in_words

#: What a user, a file or a server can cause; anything else is a mistake of ours.
FAILURES = (
    click.ClickException,
    click.Abort,
    click.exceptions.Exit,
    KeyboardInterrupt,
    GraftError,
    OperationalError,
    ValidationError,
    OSError,
)
USAGE = 2
INTERRUPTED = 130


def end_with(error: BaseException, as_json: bool) -> int:
    """Tell the user what went wrong on stderr and return the exit code.

    Raises the error again when it is none that a user can cause.
    """
    if isinstance(error, click.UsageError):
        tell({"code": "usage", "params": {}}, usage_sentence(error), as_json)
        if not as_json and error.ctx is not None:
            path = error.ctx.command_path
            click.echo(say(f"Help: {path} --help", f"帮助：{path} --help"), err=True)
        return USAGE
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        tell({"code": "interrupted", "params": {}}, say("Interrupted.", "已中断。"), as_json)
        return INTERRUPTED
    known = as_graft_error(error)
    if known is None:
        raise error
    tell(known.record(), sentence(known), as_json)
    return known.exit_code


def sentence(error: GraftError) -> str:
    """An error's message, with the nearest known name where a name was wrong."""
    known = str(error.params.get("known", "")).split(", ")
    return error.message(language()) + did_you_mean(str(error.params.get("name", "")), known)


def as_graft_error(error: BaseException) -> GraftError | None:
    """The named failure behind a library's exception; None when there is none."""
    if isinstance(error, GraftError):
        return error
    if isinstance(error, OperationalError):
        where = make_url(settings().database).render_as_string(hide_password=True)
        problem = str(error.orig or error).strip().split("\n")[0]
        return NotReachable(what=both("The database", "数据库"), where=where, problem=problem)
    if isinstance(error, ValidationError) and error.title == "Settings":
        first = error.errors(include_url=False)[0]
        name = "GRAFT_" + "_".join(str(part) for part in first["loc"]).upper()
        return InvalidSpec(field=name, problem=in_words(first))
    if isinstance(error, OSError) and error.filename is not None:
        problem = error.strerror or str(error)
        return NotReachable(what=both("The file", "文件"), where=error.filename, problem=problem)
    return None


def tell(record: dict[str, Any], text: str, as_json: bool) -> None:
    """One error on stderr: stdout holds data only, so a pipe never mistakes it for a result."""
    if as_json:
        click.echo(json.dumps({"error": record | {"message": text}}, ensure_ascii=False), err=True)
    else:
        click.echo(f"graft: {text}", err=True)


def report_unexpected(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """The excepthook: a mistake of ours is one line here and a traceback in a file."""
    descriptor, path = tempfile.mkstemp(prefix="graft-error-", suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        traceback.print_exception(kind, error, trace, file=file)
    text = say(
        f"Graft made a mistake ({kind.__name__}: {error}). The traceback is in {path}; "
        "please report it.",
        f"Graft 内部错误（{kind.__name__}: {error}）。调用栈已写入 {path}，请报告。",
    )
    detail = {"code": "internal", "params": {"detail": str(error), "traceback": path}}
    tell(detail, text, "--json" in sys.argv)
