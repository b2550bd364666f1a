"""`graft compare`: the stored comparisons, and one of them as a table."""

import json

import click

from shared import comparisons as comparison_service
from shared import db, results
from shared.cli.output import clock, emit, note, table
from shared.cli.parts import Command, OneOf, wants_json
from shared.cli.session import require_database
from shared.comparisons import ComparisonTable, Verdict
from shared.language import language, say

FORMATS = ("text", "json", "csv", "md")
WORSE = 1


@click.command(
    cls=Command,
    help=say(
        "Show a comparison with its intervals; without a name, list them.",
        "查看一个对比及其区间；不给名称则列出全部。",
    ),
)
@click.argument("name", required=False)
@click.option("--baseline", help=say("Another arm to compare to.", "换一个基线。"))
@click.option(
    "--format",
    "form",
    type=OneOf(FORMATS),
    default="text",
    help=say("Default: text.", "输出格式。默认：text。"),
)
@click.option(
    "--lang",
    type=OneOf(("en", "zh")),
    help=say("Language of the table.", "表格语言。"),
)
@click.option(
    "--fail-if-worse",
    is_flag=True,
    help=say(
        "Exit 1 when an arm's whole interval is on the bad side of the baseline.",
        "若某一方的整个区间劣于基线，则以 1 退出。",
    ),
)
def compare(
    name: str | None, baseline: str | None, form: str, lang: str | None, fail_if_worse: bool
) -> int:
    require_database()
    if name is None:
        _list()
        return 0
    with db.reading() as session:
        made = comparison_service.build(session, name, baseline=baseline)
    click.echo(_written(made, "json" if wants_json() else form, lang))
    worse = worse_arms(made) if fail_if_worse else []
    for arm, benchmark in worse:
        note(
            say(
                f"{arm} is worse than {made.baseline} on {benchmark}",
                f"{arm} 在 {benchmark} 上劣于 {made.baseline}",
            )
        )
    return WORSE if worse else 0
