"""What the arms of a comparison were made of: training curves, lineage, settings that differ."""

from collections.abc import Sequence

import streamlit as st

from dashboard import charts, parts, queries
from dashboard.comparing import charts as drawn
from dashboard.language import Words
from shared import comparisons, db, jobs
from shared.comparisons import ComparisonTable
from shared.config import settings
from shared.tables import Adapter

#: More lines than this cannot be told apart.
MOST_CURVES = 8


@st.cache_data(max_entries=8, ttl=600, show_spinner=False)
def losses_of(database: str, ids: dict[str, str]) -> dict[str, Sequence[tuple[int, float]]]:
    """The loss by step of each training, by adapter; {adapter: job id} in."""
    with db.reading() as session:
        found = {name: jobs.metrics(session, job) for name, job in ids.items()}
    kept = {
        name: [
            (point.step, float(point.values["loss"]))
            for point in points
            if isinstance(point.values.get("loss"), int | float)
        ]
        for name, points in found.items()
    }
    return {name: charts.thin(points) for name, points in kept.items() if points}


def made_of(words: Words, table: ComparisonTable) -> None:
    """Lineage, curves and settings of every adapter among the arms and above them."""
    adapters = [arm.adapter for arm in table.arms if arm.adapter is not None]
    with db.reading() as session:
        edges = comparisons.ancestry(session, adapters)
        found = comparisons.made_by(session, [node for edge in edges for node in edge])
        bases = {row.name for row in queries.bases(session)}
        arms, settings_rows = comparisons.differing(session, table)
    if edges:
        st.subheader(words("compare.lineage"), anchor=False)
        lineage(words, edges, found, bases)
    curves(words, found)
    if settings_rows:
        st.subheader(words("compare.settings"), anchor=False)
        st.caption(words("compare.settings.lead"))
        st.dataframe(
            [
                {words("compare.setting"): row[0]} | dict(zip(arms, row[1:], strict=True))
                for row in settings_rows
            ],
            hide_index=True,
            height="content" if len(settings_rows) <= 16 else 520,
            alt=words("compare.settings"),
        )


def lineage(
    words: Words, edges: list[tuple[str, str]], found: dict[str, Adapter], bases: set[str]
) -> None:
    """The graph from bases and data to the arms, and a link to each adapter in it."""
    kinds = {
        node: "adapter" if node in found else "base" if node in bases else "dataset"
        for edge in edges
        for node in edge
    }
    notes = {name: words.code("method", row.method) for name, row in found.items()}
    with st.container(border=True):
        st.mermaid_chart(
            charts.lineage(edges, kinds, notes), width="content", alt=words("compare.lineage")
        )
        with st.container(horizontal=True, gap="small"):
            for name in sorted(found):
                st.page_link(
                    "app_pages/adapters.py", label=name, icon=":material/extension:",
                    query_params={"name": name},
                )  # fmt: skip


def curves(words: Words, found: dict[str, Adapter]) -> None:
    """The losses of the trainings behind the arms, overlaid."""
    ids = {name: row.job_id for name, row in found.items() if row.job_id}
    losses = losses_of(settings().database, {name: str(job) for name, job in ids.items()})
    if not losses:
        return
    st.subheader(words("compare.curves"), anchor=False)
    with st.container(border=True):
        shown = dict(list(losses.items())[:MOST_CURVES])
        st.echarts_chart(
            drawn.overlaid(shown, words), height=320, key="compare.curves",
            alt=words("compare.curves"),
        )  # fmt: skip
        if len(losses) > MOST_CURVES:
            left = ", ".join(list(losses)[MOST_CURVES:])
            st.caption(parts.plain(words("compare.curves.left", names=left)))
