"""`graft compare`: the stored comparisons, and one of them as a table."""

import click

from shared import comparisons as comparison_service
from shared import db, results
from shared.cli.output import clock, emit, note, table
from shared.cli.parts import Command, OneOf, wants_json
from shared.cli.session import require_database
from shared.comparisons import ComparisonTable
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


def _written(made: ComparisonTable, form: str, lang: str | None) -> str | bytes:
    """The table in one of FORMATS."""
    reader = "zh" if lang == "zh" else "en" if lang == "en" else language()
    if form == "json":
        return comparison_service.as_json(made)
    if form == "csv":
        return comparison_service.as_csv(made)
    if form == "md":
        return comparison_service.as_markdown(made, reader)
    return comparison_service.as_text(made, reader)


def worse_arms(made: ComparisonTable) -> list[tuple[str, str]]:
    """(arm, benchmark) where an arm was shown to be worse than the baseline."""
    primary = {column.key: column for column in made.columns if column.primary}
    return [
        (arm.name, primary[key].benchmark)
        for arm in made.arms
        for key, cell in arm.cells.items()
        if key in primary and cell.verdict == "worse"
    ]


def _list() -> None:
    with db.reading() as session:
        found = results.comparisons(session)
    rows = [(each.name, each.baseline, each.user, clock(each.created_at)) for each in found]
    headings = say("name baseline user made", "名称 基线 用户 时间").split()
    emit([each.model_dump(mode="json") for each in found], table(headings, rows))
