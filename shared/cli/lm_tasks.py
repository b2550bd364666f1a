"""`graft benchmarks import-lm-eval`: a task of lm-eval as a benchmark of the pool."""

import json
import re
import tempfile
from pathlib import Path

import click

from shared import datasets, db
from shared.cli.output import emit, note
from shared.cli.parts import Command, OneOf
from shared.cli.session import require_database
from shared.errors import LANGUAGES, spoken
from shared.language import language, say
from shared.lm_tasks import load, taken
from shared.people.actors import local_actor


@click.command(
    "import-lm-eval",
    cls=Command,
    help=say(
        "Make a benchmark of an lm-eval task: TASK is a YAML file (with local data it needs no "
        "network), or the name of one of lm-eval's own. Needs the extra lm-eval. The YAML's own "
        "Python functions are run on this machine.",
        "把 lm-eval 任务转为评测集：TASK 为 YAML 文件（数据在本地则无需联网），"
        "或 lm-eval 自带任务的名称。需安装扩展 lm-eval。YAML 中的 Python 函数会在本机运行。",
    ),
)
@click.argument("task")
@click.option(
    "--name", help=say("The benchmark's name. Default: the task's.", "评测集名称，默认为任务名。")
)
@click.option(
    "--limit", type=click.IntRange(1), help=say("Only the first documents.", "只取前若干条。")
)
@click.option(
    "--shots",
    type=click.IntRange(0),
    help=say(
        "Solved examples before each item. Default: the task's.", "每条之前的示例数，默认依任务。"
    ),
)
@click.option(
    "--lang",
    type=OneOf(LANGUAGES),
    help=say("Language of all items. Default: found in each.", "全部条目的语言，默认逐条识别。"),
)
@click.option(
    "--filter",
    help=say(
        "Which of the task's filters. Default: the first.", "使用任务的哪个过滤器，默认第一个。"
    ),
)
def import_lm_eval(
    task: str,
    name: str | None,
    limit: int | None,
    shots: int | None,
    lang: str | None,
    filter: str | None,
) -> None:
    require_database()
    found = taken(load(task, shots=shots, limit=limit), task, lang=lang, filter=filter)
    name = name or re.sub(r"[^A-Za-z0-9._-]+", "-", str(found.facts["task"])).strip("-._")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.jsonl"
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in found.rows)
        path.write_text("".join(lines), encoding="utf-8")
        with db.writing() as session:
            added = datasets.register(
                session, name, path, "benchmark", actor=local_actor(),
                origin={"lm_eval": found.facts},
            )  # fmt: skip
            listed = added.model_dump(mode="json")
    for each in found.notes:
        note(f"{name}: {spoken(each, language())}")
    note(say(f"{name}: {listed['rows']} rows, {listed['format']}",
             f"{name}：{listed['rows']} 行，{listed['format']}"))  # fmt: skip
    for theirs, ours in found.metrics.items():
        note(f"{theirs} -> {ours}")
    emit(listed, name)
