"""The drawn blocks of the comparison page: where it helped, who beats whom, what was recovered."""

import streamlit as st

from dashboard import address, charts, parts
from dashboard.comparing import charts as drawn
from dashboard.language import Words
from dashboard.side_by_side import table_of
from shared import comparisons, db
from shared.comparisons import ComparisonTable, Recovered
from shared.config import settings


def theme() -> str:
    """`light` or `dark`, as this visitor sees the page."""
    return st.context.theme.type or "light"


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
    with st.grid(min_column_width=330):
        for column, plot in plots:
            with st.container(border=True):
                height = charts.forest_height(table, column)
                title = f"{column.benchmark} · {column.metric.title[words.language]}"
                st.caption(title)
                st.altair_chart(plot, height=height, key=f"compare.forest.{column.key}", alt=title)


def heat(words: Words, table: ComparisonTable) -> None:
    """Benchmark by arm."""
    made = drawn.heatmap(table, words, theme())
    if made is None:
        return
    plot, height = made
    st.subheader(words("compare.heat"), anchor=False)
    with st.container(border=True):
        st.altair_chart(plot, height=height, key="compare.heat", alt=words("compare.heat"))
        st.caption(words("compare.heat.legend"))


def duels(words: Words, table: ComparisonTable) -> None:
    """The win matrix of one benchmark."""
    names = list(dict.fromkeys(duel.benchmark for duel in table.duels))
    if not names:
        return
    st.subheader(words("compare.duels"), anchor=False)
    with st.container(border=True):
        chosen = names[0]
        if len(names) > 1:
            chosen = st.segmented_control(
                words("compare.benchmark"), names, required=True, label_visibility="collapsed",
                key=address.seed_one("compare", "duel", names),
            ) or names[0]  # fmt: skip
            # The first one needs no word in the address.
            address.keep("compare", "duel", [chosen] if chosen != names[0] else [])
        found = [duel for duel in table.duels if duel.benchmark == chosen]
        plot, height = drawn.win_matrix(found, words, theme())
        title = f"{words('compare.duels')} · {chosen}"
        st.altair_chart(plot, height=height, key=f"compare.duels.{chosen}", alt=title)
        st.caption(words("compare.duels.legend"))


@st.cache_data(max_entries=16, ttl=600, show_spinner=False)
def recoveries_of(database: str, name: str, ceiling: str) -> list[Recovered]:
    """Gains recovered; resampling takes a moment."""
    table = table_of(database, name, None)
    with db.reading() as session:
        return comparisons.recoveries(session, table, ceiling)


def recovered(words: Words, table: ComparisonTable) -> None:
    """R against a ceiling that the reader chooses among the arms trained on this base."""
    offered = comparisons.ceilings(table)
    if not offered or len(table.arms) < 3:
        return
    st.subheader(words("compare.recovered"), anchor=False)
    with st.container(border=True):
        ceiling = st.selectbox(
            words("compare.ceiling"), offered, help=words("compare.ceiling.help"), width=260,
            key=address.seed_one("compare", "ceiling", offered),
        ) or offered[0]  # fmt: skip
        address.keep("compare", "ceiling", [ceiling] if ceiling != offered[0] else [])
        found = recoveries_of(settings().database, table.name, ceiling)
        made = drawn.recovered(found, words)
        if made is not None:
            plot, height = made
            title = words("compare.recovered")
            st.altair_chart(plot, height=height, key=f"compare.recovered.{ceiling}", alt=title)
        unshown = dict.fromkeys(each.benchmark for each in found if not each.recovery.reportable)
        if unshown:
            text = words("compare.recovered.none", ceiling=ceiling, benchmarks=", ".join(unshown))
            st.caption(parts.plain(text))
        if made is not None:
            st.caption(words("compare.recovered.legend"))


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
