"""`graft knowledge`: samples by name, their revisions, proposals, and what a question finds."""

from collections.abc import Sequence
from typing import Any

import click

from shared import datasets, db
from shared import knowledge as knowledge_service
from shared.alpaca import read_rows
from shared.cli.output import clock, emit, note, table
from shared.cli.parts import Group
from shared.cli.session import require_database
from shared.knowledge import Text
from shared.language import say
from shared.people.actors import local_actor
from shared.storage import store
from shared.tables import SampleVersion

_WIDE = 60


@click.group(
    cls=Group,
    invoke_without_command=True,
    help=say("Samples to answer by, instead of fine-tuning.", "用样本增强代替微调的知识库。"),
)
@click.pass_context
def knowledge(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        _bases()


def _bases() -> None:
    require_database()
    with db.reading() as session:
        found = knowledge_service.listing(session)
        counts = {each.name: knowledge_service.sample_count(session, each.name) for each in found}
    rows = [
        (each.name, each.revision, counts[each.name], each.user, clock(each.created_at))
        for each in found
    ]
    headings = say("name revision samples user made", "名称 修订版 样本数 用户 时间").split()
    data = [each.model_dump(mode="json") | {"samples": counts[each.name]} for each in found]
    emit(data, table(headings, rows))


@knowledge.command("ls", help=say("List bases, or one's samples.", "列出知识库，或其样本。"))
@click.argument("name", required=False)
@click.option("--revision", type=int, help=say("As of this revision.", "按该修订版。"))
@click.option("--text", default="", help=say("Only samples that hold this.", "只列含该文字的。"))
@click.option("--limit", type=int, default=50, help=say("Default: 50.", "条数。默认：50。"))
def ls(name: str | None, revision: int | None, text: str, limit: int) -> None:
    if name is None:
        _bases()
        return
    require_database()
    with db.reading() as session:
        found = knowledge_service.samples(session, name, revision=revision, text=text, most=limit)
        total = knowledge_service.sample_count(session, name, revision=revision, text=text)
    rows = [(each.sample_id, each.since, each.lang, *_said(each), each.source) for each in found]
    headings = say("id since lang question answer source", "编号 起始 语言 问题 回答 来源").split()
    emit([each.model_dump(mode="json") for each in found], table(headings, rows))
    if total > len(found):
        note(say(f"{len(found)} of {total}; see --limit", f"共 {total} 条，列出 {len(found)} 条"))


def _said(of: SampleVersion) -> tuple[str, str]:
    question = f"{of.instruction} {of.input}" if of.input else of.instruction
    return _short(question), _short(of.output)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDE else line[: _WIDE - 1] + "…"


@knowledge.command("new", help=say("Make an empty knowledge base.", "新建空的知识库。"))
@click.argument("name")
def new(name: str) -> None:
    require_database()
    with db.writing() as session:
        made = knowledge_service.create(session, name, actor=local_actor())
    emit(made.model_dump(mode="json"), name)


def _texts(command: Any) -> Any:
    """The three texts of a sample as options."""
    for flag, en, zh in (
        ("--output", "The answer.", "回答。"),
        ("--input", "What the instruction works on.", "指令的输入。"),
        ("--instruction", "What is asked.", "指令。"),
    ):
        command = click.option(flag, help=say(en, zh))(command)
    return command


@knowledge.command(
    "add",
    help=say("Add a sample, or all rows of a dataset.", "添加一条样本，或整个数据集。"),
)
@click.argument("name")
@_texts
@click.option("--dataset", help=say("A registered training dataset.", "已登记的训练数据集。"))
@click.option("--days", type=float, help=say("Expires after so long.", "多少天后过期。"))
def add(
    name: str,
    instruction: str | None,
    input: str | None,
    output: str | None,
    dataset: str | None,
    days: float | None,
) -> None:
    require_database()
    with db.writing() as session:
        if dataset is None:
            text = Text(instruction or "", output or "", input or "")
            made = knowledge_service.add(session, name, text, actor=local_actor(), days=days)
            emit(made.model_dump(mode="json"), made.sample_id)
            return
        file = datasets.find(session, dataset, "training")
        rows = [Text(**row) for row in read_rows(store().open_path(file.uri))]
        added = knowledge_service.add_many(
            session, name, rows, actor=local_actor(), source=dataset, days=days
        )
    count = len(added.ids)
    note(
        say(
            f"{name}@{added.revision}: {count} added, {added.known} were there already",
            f"{name}@{added.revision}：新增 {count} 条，{added.known} 条已存在",
        )
    )
    emit({"revision": added.revision, "added": count, "known": added.known}, "")


@knowledge.command("edit", help=say("Give a sample another text.", "修改样本。"))
@click.argument("name")
@click.argument("sample")
@_texts
def edit(
    name: str, sample: str, instruction: str | None, input: str | None, output: str | None
) -> None:
    require_database()
    with db.writing() as session:
        old = knowledge_service.sample(session, name, sample)
        text = Text(
            instruction=old.instruction if instruction is None else instruction,
            output=old.output if output is None else output,
            input=old.input if input is None else input,
        )
        made = knowledge_service.edit(session, name, sample, text, actor=local_actor())
    emit(made.model_dump(mode="json"), f"{made.sample_id}@{made.since}")


@knowledge.command(
    "expire",
    help=say(
        "Take samples out; without ids, those whose time has come.",
        "移除样本；不给编号则移除已到期的。",
    ),
)
@click.argument("name")
@click.argument("samples", nargs=-1)
def expire(name: str, samples: Sequence[str]) -> None:
    require_database()
    with db.writing() as session:
        knowledge_service.find(session, name)
        if samples:
            knowledge_service.expire(session, name, samples, actor=local_actor())
            gone = len(set(samples))
        else:
            gone = knowledge_service.retire_due(session, name)
        revision = knowledge_service.find(session, name).revision
    note(say(f"{gone} taken out", f"移除 {gone} 条"))
    emit({"expired": gone, "revision": revision}, f"{name}@{revision}")


@knowledge.command("propose", help=say("Put a sample forward.", "提议一条样本。"))
@click.argument("name")
@_texts
def propose(name: str, instruction: str | None, input: str | None, output: str | None) -> None:
    require_database()
    text = Text(instruction or "", output or "", input or "")
    with db.writing() as session:
        made = knowledge_service.propose(session, name, text, actor=local_actor())
    emit(made.model_dump(mode="json"), made.id)


@knowledge.command("proposals", help=say("List open proposals.", "列出待审提议。"))
@click.argument("name")
def proposals(name: str) -> None:
    require_database()
    with db.reading() as session:
        found = knowledge_service.proposals(session, name)
    rows = [
        (each.id, _short(f"{each.instruction} {each.input}"), _short(each.output), each.user)
        for each in found
    ]
    headings = say("id question answer user", "编号 问题 回答 用户").split()
    emit([each.model_dump(mode="json") for each in found], table(headings, rows))


@knowledge.command("approve", help=say("Make proposals samples.", "批准提议。"))
@click.argument("name")
@click.argument("proposals", nargs=-1, required=True)
@click.option("--reject", is_flag=True, help=say("Put them aside instead.", "改为驳回。"))
def approve(name: str, proposals: Sequence[str], reject: bool) -> None:
    require_database()
    decide = knowledge_service.reject if reject else knowledge_service.approve
    with db.writing() as session:
        made = [decide(session, name, each, actor=local_actor()) for each in proposals]
    lines = [f"{each.id} {each.state} {each.sample_id or ''}".rstrip() for each in made]
    emit([each.model_dump(mode="json") for each in made], "\n".join(lines))


@knowledge.command("query", help=say("What would a question find?", "一个问题会检索到什么？"))
@click.argument("name")
@click.argument("question")
@click.option(
    "-k", "count", type=int, default=4, help=say("Samples. Default: 4.", "条数。默认：4。")
)
@click.option("--revision", type=int, help=say("As of this revision.", "按该修订版。"))
@click.option(
    "--guarded",
    is_flag=True,
    help=say("Leave near copies of the question out, as evaluations do.", "如评测般排除近似原题。"),
)
def query(name: str, question: str, count: int, revision: int | None, guarded: bool) -> None:
    require_database()
    with db.reading() as session:
        found = knowledge_service.query(
            session, name, question, count, revision=revision, guarded=guarded
        )
    rows = [
        (each.version, f"{hit.score:.2f}", _short(each.question), _short(each.output))
        for hit in reversed(found.hits)
        for each in [hit.sample]
    ]
    headings = say("sample score question answer", "样本 得分 问题 回答").split()
    emit(found.model_dump(mode="json"), table(headings, rows))
    if found.leaks:
        note(say(f"{found.leaks} near copies left out", f"排除近似原题 {found.leaks} 条"))


@knowledge.command("revisions", help=say("Who changed what.", "修订记录。"))
@click.argument("name")
def revisions(name: str) -> None:
    require_database()
    with db.reading() as session:
        found = knowledge_service.revisions(session, name)
    rows = [
        (each.revision, each.action, each.changed, each.samples, each.user, clock(each.created_at))
        for each in found
    ]
    headings = say(
        "revision action changed samples user when", "修订版 操作 改动 样本数 用户 时间"
    ).split()
    emit([each.model_dump(mode="json") for each in found], table(headings, rows))
