"""`graft models`: the registered base models."""

import click
from sqlmodel import select

from shared import base_models, db
from shared.cli.output import emit, table
from shared.cli.parts import Group
from shared.cli.programs import become, require
from shared.cli.session import require_database
from shared.language import say
from shared.people.actors import local_actor
from shared.tables import ModelRef


@click.group(
    cls=Group,
    invoke_without_command=True,
    help=say("List and add base models.", "列出、登记底座模型。"),
)
@click.pass_context
def models(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        _list()


@models.command("ls", help=say("List base models.", "列出底座模型。"))
def ls() -> None:
    _list()


def _list() -> None:
    require_database()
    with db.reading() as session:
        found = list(session.exec(select(ModelRef).order_by(ModelRef.name)).all())
    rows = [
        (
            each.name,
            each.family,
            f"{each.parameters / 1e6:.1f}M",
            each.hidden_size,
            each.layers,
            each.vocabulary,
            each.location,
        )
        for each in found
    ]
    headings = say(
        "name family parameters width layers vocabulary location",
        "名称 家族 参数量 宽度 层数 词表 位置",
    )
    emit([each.model_dump(mode="json") for each in found], table(headings.split(), rows))


@models.command(
    "add",
    help=say(
        "Add a folder with config.json, safetensors weights and a tokenizer.",
        "登记一个含 config.json、safetensors 权重和分词器的目录。",
    ),
)
@click.argument("name")
@click.argument("folder")
def add(name: str, folder: str) -> None:
    require_database()
    with db.writing() as session:
        added = base_models.register(session, name, folder, actor=local_actor())
    emit(added.model_dump(mode="json"), name)


@models.command(
    "convert",
    help=say(
        "Write a checkpoint with pickled weights, or ChatGLM-6B, ChatGLM2 or 3, to OUT as "
        "safetensors with a tokenizer; no code of the checkpoint is run.",
        "把含 pickle 权重的检查点，或 ChatGLM-6B、ChatGLM2、ChatGLM3，"
        "以 safetensors 与分词器写到 OUT；不运行检查点自带的代码。",
    ),
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.argument("out", type=click.Path())
def convert(folder: str, out: str) -> None:
    require("torch", "worker", say("Converting a model", "转换模型"))
    become("worker.conversion", folder, out)
