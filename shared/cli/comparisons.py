"""`graft compare`: the stored comparisons, and one of them as a table."""

import click

from shared import comparisons as comparison_service
from shared import db, results
from shared.cli.output import clock, emit, note, table
from shared.cli.parts import Command, OneOf, wants_json
from shared.cli.session import require_database
from shared.cli.votes import show_votes
from shared.comparisons import ComparisonTable
from shared.comparisons.gate import worse_arms
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
        "Exit 1 when an arm's whole interval is on the bad side of the baseline, or the arms "
        "cannot be compared.",
        "若某一方的整个区间劣于基线，或各方不可比，则以 1 退出。",
    ),
)
@click.option(
    "--margin",
    type=click.FloatRange(0),
    default=0.0,
    help=say(
        "With --fail-if-worse: how much worse is let pass, in the metric's unit. Default: 0.",
        "与 --fail-if-worse 合用：允许变差多少（以指标为单位）。默认：0。",
    ),
)
@click.option(
    "--votes",
    is_flag=True,
    help=say("Win rates by people's and judges' votes instead.", "改为显示人工与裁判投票的胜率。"),
)
def compare(
    name: str | None,
    baseline: str | None,
    form: str,
    lang: str | None,
    votes: bool,
    fail_if_worse: bool,
    margin: float,
) -> int:
    require_database()
    if name is None:
        _list()
        return 0
    if votes:
        show_votes(name)
        return 0
    with db.reading() as session:
        made = comparison_service.build(session, name, baseline=baseline)
    click.echo(_written(made, "json" if wants_json() else form, lang))
    return _judge(made, margin) if fail_if_worse else 0


def _judge(made: ComparisonTable, margin: float) -> int:
    """The exit code of a gate: 1 where an arm is worse, or where nothing can be said."""
    worse = worse_arms(made, margin)
    for each in worse:
        note(
            say(
                f"{each.arm} is worse than {made.baseline} on {each.benchmark}",
                f"{each.arm} 在 {each.benchmark} 上劣于 {made.baseline}",
            )
            + f" ({each.difference:+.4g})"
        )
    for conflict in made.conflicts:
        note(conflict.sentence(language()))
    return WORSE if worse or not made.comparable else 0


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


def _list() -> None:
    with db.reading() as session:
        found = results.comparisons(session)
    rows = [(each.name, each.baseline, each.user, clock(each.created_at)) for each in found]
    headings = say("name baseline user made", "名称 基线 用户 时间").split()
    emit([each.model_dump(mode="json") for each in found], table(headings, rows))
