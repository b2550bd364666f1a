"""Compare: did it help? Verdicts, intervals, paired differences, and the items behind them."""

from collections.abc import Sequence

import streamlit as st

from dashboard import address, charts, language, moments, parts, queries
from dashboard.costs import costs
from dashboard.language import Words
from dashboard.score_table import SIGNS, score_table
from dashboard.side_by_side import items, table_of
from dashboard.voting import voting
from shared import comparisons, db, results
from shared.comparisons import Arm, Column, ComparisonTable
from shared.comparisons.words import difference_text
from shared.config import settings
from shared.metrics import ALL
from shared.statistics import Verdict

COLOURS: dict[Verdict, parts.Colour] = {
    "better": "violet",
    "worse": "orange",
    "within_margin": "blue",
    "undetermined": "gray",
    "too_few": "gray",
}


def open_comparison() -> None:
    """Show the comparison whose name was clicked."""
    click = st.session_state.get("compare.open")
    if click is not None:
        address.go(name=str(click["label"]))


def listing(words: Words) -> None:
    """Every stored comparison, newest first."""
    with db.reading() as session:
        found, now = results.comparisons(session), queries.now(session)
        evaluations = {each.name: results.evaluations(session, each.evaluations) for each in found}
    if not found:
        parts.empty(
            words("compare.empty"), page="app_pages/submit.py", action=words("compare.new"),
            query={"kind": "evaluate"},
        )  # fmt: skip
        return
    config = st.column_config
    st.dataframe(
        [
            {
                "name": each.name,
                "base": rows[0].base_model if (rows := evaluations[each.name]) else "",
                "baseline": each.baseline,
                "arms": ", ".join(dict.fromkeys(row.arm for row in rows)),
                "benchmarks": ", ".join(dict.fromkeys(row.benchmark for row in rows)),
                "user": each.user,
                "created": moments.ago(each.created_at, now, words),
            }
            for each in found
        ],
        hide_index=True,
        height="content" if len(found) <= 16 else 600,
        column_config={
            "name": config.ButtonColumn(
                words("compare.name"), type="tertiary", on_click=open_comparison,
                key="compare.open", alignment="left",
            ),
            "base": words("adapters.base"),
            "baseline": words("compare.baseline"),
            "arms": words("compare.arms"),
            "benchmarks": words("compare.benchmarks"),
            "user": words("jobs.user"),
            "created": words("jobs.created"),
        },
        key="compare.table",
        alt=words("compare.title"),
    )  # fmt: skip


def choose_baseline(words: Words, name: str) -> ComparisonTable:
    """The table against the arm that the reader chose; it stands in the address."""
    asked = st.query_params.get("baseline")
    table = table_of(settings().database, name, asked)
    arms = sorted(arm.name for arm in table.arms)
    chosen = st.selectbox(
        words("compare.baseline"),
        arms,
        index=arms.index(table.baseline),
        key=f"compare.baseline.{name}",
        help=words("compare.baseline.help"),
        width=260,
    )
    address.keep("compare", "baseline", [chosen])
    return table if chosen == table.baseline else table_of(settings().database, name, chosen)


def exports(words: Words, table: ComparisonTable) -> None:
    """The table as files."""
    for label, form, mime, make in (
        ("CSV", "csv", "text/csv", lambda: comparisons.as_csv(table)),
        ("Markdown", "md", "text/markdown", lambda: comparisons.as_markdown(table, words.language)),
        ("JSON", "json", "application/json", lambda: comparisons.as_json(table)),
    ):
        st.download_button(
            label, make, f"{table.name}.{form}", mime, icon=":material/download:",
            on_click="ignore", key=f"compare.export.{form}",
        )  # fmt: skip


def verdicts(words: Words, table: ComparisonTable) -> None:
    """A sentence for each arm: what it did on each benchmark, all languages together."""
    primary = [column for column in table.columns if column.primary]
    for arm in table.arms:
        judged = [column for column in primary if _judged(arm, column)]
        if arm.is_baseline or not judged:
            continue
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{parts.plain(arm.name)}**", width="content")
            st.caption(_sentence(words, table, arm, judged), width="content")
            for column in judged:
                cell = arm.cells[column.key]
                if cell.difference is not None and cell.verdict is not None:
                    text = difference_text(cell.difference, column.metric)
                    st.badge(
                        f"{SIGNS[cell.verdict]} {column.benchmark} {text}",
                        color=COLOURS[cell.verdict],
                    )
    for arm in table.no_ops:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{parts.plain(arm.name)}**", width="content")
            st.badge("NO-OP", color="yellow", icon=":material/do_not_disturb_on:")
            st.caption(words("compare.no_op"), width="content")


def _judged(arm: Arm, column: Column) -> bool:
    cell = arm.cells.get(column.key)
    return cell is not None and cell.verdict is not None


def _sentence(words: Words, table: ComparisonTable, arm: Arm, judged: Sequence[Column]) -> str:
    """`better than base on 2 of 3 benchmarks, worse on none`"""
    found = [arm.cells[column.key].verdict for column in judged]
    return words(
        "compare.sentence",
        baseline=table.baseline,
        better=found.count("better"),
        worse=found.count("worse"),
        total=len(judged),
    )


def scores(words: Words, table: ComparisonTable) -> None:
    """The table, all languages together or each apart."""
    st.subheader(words("compare.scores"), anchor=False)
    codes = sorted(
        {column.language for column in table.columns}, key=lambda code: (code != ALL, code)
    )
    chosen = codes
    if len(codes) > 1:
        chosen = st.pills(
            words("compare.languages"), codes, selection_mode="multi", default=[ALL],
            format_func=words.codes("language"), key="compare.languages",
            label_visibility="collapsed", persist_state="session",
        ) or [ALL]  # fmt: skip
    shown = [column for column in table.columns if column.language in chosen]
    st.html(score_table(table, shown, words))
    st.caption(words("compare.legend"))


def forests(words: Words, table: ComparisonTable) -> None:
    """Paired differences to the baseline, a plot for each benchmark."""
    plots = [
        (column, plot)
        for column in table.columns
        if column.primary and (plot := charts.forest(table, column, words)) is not None
    ]
    if not plots:
        return
    st.subheader(words("compare.forest", baseline=table.baseline), anchor=False)
    with st.grid(min_column_width=360):
        for column, plot in plots:
            with st.container(border=True):
                height = charts.forest_height(table, column)
                title = f"{column.benchmark} · {column.metric.title[words.language]}"
                st.caption(title)
                st.altair_chart(plot, height=height, key=f"compare.forest.{column.key}", alt=title)


def study(words: Words, table: ComparisonTable) -> None:
    """What each arm recovered of the native gain, where the evaluation names native arms."""
    for title, rows in comparisons.study_blocks(table, words.language):
        if not rows:
            st.caption(parts.plain(title))
            continue
        st.subheader(title, anchor=False)
        st.dataframe(
            [dict(zip(rows[0], row, strict=True)) for row in rows[1:]],
            hide_index=True,
            height="content",
            alt=title,
        )


def detail(words: Words, name: str) -> None:
    """One comparison."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        table = choose_baseline(words, name)
        exports(words, table)
    about = [
        (words("adapters.base"), table.base_model),
        (words("compare.dtype"), str(table.engine.get("dtype", "–"))),
        (words("compare.template"), str(table.engine.get("template", "–"))),
        (words("jobs.user"), table.user),
        (words("jobs.created"), moments.clock(table.created_at)),
    ]
    for conflict in table.conflicts:
        st.error(parts.plain(conflict.sentence(words.language)), icon=":material/error:")
    verdicts(words, table)
    study(words, table)
    scores(words, table)
    forests(words, table)
    st.subheader(words("compare.items"), anchor=False)
    items(words, table)
    costs(words, table)
    st.subheader(words("votes.title"), anchor=False)
    voting(words, name)
    st.subheader(words("compare.about"), anchor=False)
    parts.facts(about)
    if table.job_id:
        st.page_link(
            "app_pages/job.py", label=words("adapters.job"), icon=":material/article:",
            query_params={"id": table.job_id},
        )  # fmt: skip


def main() -> None:
    """Draw the page."""
    words = language.words()
    name = st.query_params.get("name", "")
    if name:
        parts.header(name)
        parts.back(words("compare.title"))
        with parts.guard(words):
            detail(words, name)
        return
    parts.header(words("compare.title"), lead=words("compare.lead"))
    listing(words)


main()
