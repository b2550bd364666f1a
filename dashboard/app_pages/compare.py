"""Compare: did it help? Verdicts, intervals, paired differences, and the items behind them."""

import streamlit as st

from dashboard import address, moments, parts, queries
from dashboard.comparing import plots
from dashboard.comparing.arms import made_of
from dashboard.comparing.files import exports
from dashboard.comparing.modules import inside
from dashboard.comparing.verdicts import verdicts
from dashboard.costs import costs
from dashboard.frame import framed
from dashboard.language import Words
from dashboard.score_table import score_table
from dashboard.side_by_side import items, table_of
from dashboard.voting import voting
from shared import db, results
from shared.comparisons import ComparisonTable
from shared.config import settings
from shared.metrics import ALL


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
    for look in table.looks:
        if said := look.sentence(words.language):
            st.caption(parts.plain(said))


def detail(words: Words, name: str) -> None:
    """One comparison."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        table = choose_baseline(words, name)
        # Side by side; on a narrow page all files go below together.
        with st.container(horizontal=True, width="content"):
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
    plots.forests(words, table)
    plots.heat(words, table)
    plots.study(words, table)
    plots.recovered(words, table)
    plots.duels(words, table)
    scores(words, table)
    st.subheader(words("compare.items"), anchor=False)
    items(words, table)
    st.subheader(words("votes.title"), anchor=False)
    voting(words, name)
    inside(words, table)
    made_of(words, table)
    costs(words, table)
    st.subheader(words("compare.about"), anchor=False)
    parts.facts(about)
    if table.job_id:
        st.page_link(
            "app_pages/job.py", label=words("adapters.job"), icon=":material/article:",
            query_params={"id": table.job_id},
        )  # fmt: skip


framed("compare", listing=listing, detail=detail)
