"""`graft datasets` and `graft benchmarks`: registered files of training rows and test items."""

from pathlib import Path
from typing import Literal

import click
from sqlmodel import col, select

from shared import datasets as dataset_service
from shared import db
from shared.cli.lm_tasks import import_lm_eval
from shared.cli.output import emit, note, size, table
from shared.cli.parts import Group, OneOf
from shared.cli.session import require_database
from shared.formats import FORMATS
from shared.language import say
from shared.people.actors import local_actor
from shared.starter.builtin import BUILTIN, add_builtin
from shared.tables import Dataset

Kind = Literal["training", "benchmark"]
_KINDS: tuple[Kind, ...] = ("training", "benchmark")


def _add(name: str, file: Path, kind: Kind, format: str = "", skip: bool = False) -> None:
    require_database()
    with db.writing() as session:
        added = dataset_service.register(
            session, name, file, kind, actor=local_actor(), format=format, skip=skip
        )
    note(
        say(
            f"{name}: {added.rows} rows, {added.format}", f"{name}：{added.rows} 行，{added.format}"
        )
    )
    for en, zh, fact in (
        ("left out because they are wrong", "因有误略去", "skipped"),
        ("say the same as an earlier one", "与之前的行重复", "duplicates"),
    ):
        if count := added.facts.get(fact):
            note(say(f"{name}: {count} rows {en}", f"{name}：{count} 行{zh}"))
    emit(added.model_dump(mode="json"), name)


def _list(kind: str | None) -> None:
    require_database()
    query = select(Dataset).order_by(col(Dataset.kind), col(Dataset.name))
    if kind is not None:
        query = query.where(Dataset.kind == kind)
    with db.reading() as session:
        found = list(session.exec(query).all())
    rows = [
        (
            each.name,
            each.kind,
            each.format,
            each.rows,
            " ".join(f"{language}:{count}" for language, count in each.languages.items()),
            size(each.bytes),
        )
        for each in found
    ]
    headings = say("name kind format rows languages size", "名称 类型 格式 行数 语言 大小").split()
    emit([each.model_dump(mode="json") for each in found], table(headings, rows))


@click.group(
    cls=Group, invoke_without_command=True, help=say("List and add data.", "列出、登记数据集。")
)
@click.pass_context
def datasets(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        _list(None)


@datasets.command("ls", help=say("List datasets and benchmarks.", "列出数据集与评测集。"))
@click.option("--kind", type=OneOf(_KINDS), help=say("Only this kind.", "只列该类。"))
def ls(kind: str | None) -> None:
    _list(kind)


@datasets.command(
    "add",
    help=say(
        "Check a file and add it: training rows (JSON, JSON lines, CSV, Parquet, text, .gz), or "
        "benchmark items.",
        "检查并登记文件：训练数据（JSON、JSON Lines、CSV、Parquet、文本、.gz），或评测条目。",
    ),
)
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=OneOf(_KINDS),
    default="training",
    help=say("Default: training.", "类型。默认：training。"),
)
@click.option(
    "--format",
    type=OneOf(tuple(FORMATS)),
    default=None,
    help=say("How rows are written. Default: found by their keys.", "数据格式。默认：按键名识别。"),
)
@click.option(
    "--skip-bad",
    is_flag=True,
    help=say("Leave out rows that are wrong.", "略去有误的行。"),
)
def add(name: str, file: Path, kind: Kind, format: str | None, skip_bad: bool) -> None:
    _add(name, file, kind, format or "", skip_bad)


@click.group(
    cls=Group,
    invoke_without_command=True,
    help=say("List and add benchmarks.", "列出、登记评测集。"),
)
@click.pass_context
def benchmarks(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        _list("benchmark")


@benchmarks.command("ls", help=say("List benchmarks.", "列出评测集。"))
def ls_benchmarks() -> None:
    _list("benchmark")


@benchmarks.command("add", help=say("Check a benchmark file and add it.", "检查并登记评测文件。"))
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
def add_benchmark(name: str, file: Path) -> None:
    _add(name, file, "benchmark")


@benchmarks.command(
    "builtin",
    help=say(
        "Add the benchmarks Graft writes itself: understanding, summarisation, continuation, "
        "instructions, answers' language. Without names, all.",
        "登记 Graft 自带的评测集：理解、总结、续写、指令、回答语言。不给名称则全部登记。",
    ),
)
@click.argument("names", nargs=-1)
def add_builtins(names: tuple[str, ...]) -> None:
    require_database()
    with db.writing() as session:
        added = add_builtin(session, names or BUILTIN, actor=local_actor())
    for each in added:
        note(say(f"{each.name}: {each.rows} rows", f"{each.name}：{each.rows} 行"))
    emit([each.model_dump(mode="json") for each in added], "\n".join(each.name for each in added))


benchmarks.add_command(import_lm_eval)
