"""`graft adapters`: what was made, where it came from, and taking it away."""

import shutil
from pathlib import Path
from typing import Any, get_args

import click

from shared import db, imports, results
from shared.cli.output import clock, emit, note, size, table
from shared.cli.parts import Group, OneOf
from shared.cli.session import require_database
from shared.errors import FolderTaken
from shared.language import say
from shared.people.actors import local_actor
from shared.specs.training import TemplateName
from shared.storage import store
from shared.tables import Adapter


@click.group(
    cls=Group,
    invoke_without_command=True,
    help=say("List, show and download adapters.", "列出、查看、下载适配器。"),
)
@click.pass_context
def adapters(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        _list("", "")


@adapters.command("ls", help=say("List adapters, newest first.", "列出适配器，新的在前。"))
@click.option("--base", default="", help=say("Only those of this base.", "只列该底座的适配器。"))
@click.option("--text", default="", help=say("Part of the name.", "名称片段。"))
def ls(base: str, text: str) -> None:
    _list(base, text)


def _list(base: str, text: str) -> None:
    require_database()
    with db.reading() as session:
        found = results.adapters(session, base_model=base, text=text)
    rows = [
        (
            each.name,
            each.base_model,
            each.method,
            each.rank or "–",
            size(each.bytes),
            clock(each.created_at),
        )
        for each in found
    ]
    headings = say("name base method rank size made", "名称 底座 方法 秩 大小 时间").split()
    emit([_as_json(each) for each in found], table(headings, rows))


def _as_json(adapter: Adapter) -> dict[str, Any]:
    return adapter.model_dump(mode="json")


@adapters.command("show", help=say("Show one adapter and its lineage.", "查看适配器及其来历。"))
@click.argument("name")
def show(name: str) -> None:
    require_database()
    with db.reading() as session:
        found = results.adapter(session, name)
        edges = results.lineage(session, name)
    facts = [f"  {key} = {value}" for key, value in found.facts.items()]
    lines = [
        f"{found.name}  {found.method}  {say('on', '底座')} {found.base_model}",
        f"{say('rank', '秩')} {found.rank or '–'}  {size(found.bytes)}  {clock(found.created_at)}",
        f"sha256 {found.sha256}",
        *facts,
        *(f"{parent} -> {child}" for parent, child in edges),
    ]
    emit(_as_json(found) | {"lineage": edges}, "\n".join(lines))


@adapters.command(
    "add",
    help=say(
        "Check an adapter made elsewhere (a folder in PEFT's format) and register it.",
        "检查并登记在别处制作的适配器（PEFT 格式的目录）。",
    ),
)
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--base", required=True, help=say("The base it was made for.", "它所属的底座。"))
@click.option(
    "--template",
    type=OneOf(get_args(TemplateName)),
    default="auto",
    help=say("How its prompts were written. Default: auto.", "其提示的模板。默认：auto。"),
)
def add(name: str, folder: Path, base: str, template: str) -> None:
    require_database()
    with db.writing() as session:
        made = imports.add(session, name, folder, base, template, actor=local_actor())
        told = _as_json(made)
    made_for = told["facts"]["made_for"]
    note(say(f"its config names {made_for} as base", f"其配置中的底座为 {made_for}"))
    emit(told, name)


@adapters.command(
    "download",
    help=say("Copy an adapter's folder (PEFT's format).", "复制适配器目录（PEFT 格式）。"),
)
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
def download(name: str, folder: Path) -> None:
    require_database()
    with db.reading() as session:
        found = results.adapter(session, name)
    target = folder.expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FolderTaken(folder=str(folder))
    draft = target.with_name(f".{target.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(store().open_path(found.uri), draft)
    draft.replace(target)
    note(say(f"{name}: {size(found.bytes)} written", f"{name}：已写入 {size(found.bytes)}"))
    emit({"name": name, "folder": str(target)}, str(target))
