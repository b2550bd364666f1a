"""What a played story came to: its tables from the database, and what did not hold."""

from dataclasses import replace

from sqlmodel import Session

from infra.local.play import Played
from shared import comparisons
from shared.comparisons import Cell, Column, ComparisonTable
from shared.errors import explain
from shared.language import language, say


def tables(session: Session, played: list[Played]) -> list[ComparisonTable]:
    """The comparisons of the story that were made, as the database has them.

    Of the NO-OP fusions onto their bases only the story's own are kept.
    """
    own = {each.job.name for each in played}
    made = [
        comparisons.build(session, each.job.name)
        for each in played
        if each.job.kind == "evaluate" and each.as_expected
    ]
    return [replace(each, no_ops=[arm for arm in each.no_ops if arm.name in own]) for each in made]


def broken_promises(played: list[Played], made: list[ComparisonTable]) -> list[str]:
    """One sentence for each thing that should have held and did not."""
    wrong = [_unexpected(each) for each in played if not each.as_expected]
    native = next((each.job.name for each in played if each.step.role == "native"), None)
    for table in made:
        if native is not None and any(arm.name == native for arm in table.arms):
            wrong += _not_better(table, native)
    return wrong


def _unexpected(played: Played) -> str:
    job, wanted = played.job, played.step.fails_with
    why = explain(job.error, language())
    if wanted:
        return say(
            f"{job.name} should have failed with {wanted}, but ended as {job.state}. {why}",
            f"{job.name} 应以 {wanted} 失败，实际为 {job.state}。{why}",
        )
    return say(
        f"{job.name} ended as {job.state}: {why} (graft logs {job.id})",
        f"{job.name} 以 {job.state} 结束：{why}（graft logs {job.id}）",
    )


def _not_better(table: ComparisonTable, name: str) -> list[str]:
    arm = table.arm(name)
    return [
        say(
            f"{name} is not shown to be better than {table.baseline} on {column.benchmark}.",
            f"未能显示 {name} 在 {column.benchmark} 上优于 {table.baseline}。",
        )
        for column in table.columns
        if column.primary and not is_better(arm.cells.get(column.key), column)
    ]


def is_better(cell: Cell | None, column: Column) -> bool:
    """Does the whole interval of the difference lie on the good side of 0?"""
    if cell is None or cell.difference is None:
        return False
    found = cell.difference
    return found.low > 0 if column.metric.higher_is_better else found.high < 0
