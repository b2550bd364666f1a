"""What the arms of a comparison cost: to make, and to ask: time, tokens, samples."""

from typing import Any

import streamlit as st

from dashboard import moments
from dashboard.language import Words
from shared import comparisons, db, results
from shared.comparisons import ComparisonTable


def costs(words: Words, table: ComparisonTable) -> None:
    """A row for each adapter that was made here, and one for each arm and benchmark."""
    with db.reading() as session:
        stored = results.comparison(session, table.name)
        found = results.evaluations(session, stored.evaluations)
        made = comparisons.makings(session, table)
    rows = [
        {
            words("compare.cost.arm"): each.arm,
            words("compare.benchmark"): each.benchmark,
            words("compare.cost.seconds"): each.engine.get("seconds"),
            words("compare.cost.tokens"): each.engine.get("tokens"),
            words("compare.cost.speed"): each.engine.get("tokens_per_second"),
            words("compare.dtype"): _device(each.engine),
            words("compare.cost.samples"): each.engine.get("samples", ""),
        }
        for each in found
        if "seconds" in each.engine
    ]  # fmt: skip
    if made or rows:
        st.subheader(words("compare.cost"), anchor=False)
    if made:
        st.caption(words("compare.made.lead"))
        st.dataframe(
            [
                {
                    words("compare.cost.arm"): each.arm,
                    words("compare.made.own"): round(each.seconds / 3600, 3),
                    words("compare.made.whole"): round(each.whole / 3600, 3),
                    words("datasets.size"): moments.size(each.bytes),
                }
                for each in made
            ],
            hide_index=True,
            height="content" if len(made) <= 16 else 400,
            alt=words("compare.made.lead"),
        )
    if rows:
        st.dataframe(
            rows, hide_index=True, height="content" if len(rows) <= 16 else 400,
            alt=words("compare.cost"),
        )  # fmt: skip


def _device(engine: dict[str, Any]) -> str:
    return f"{engine.get('device', '–')} {engine.get('dtype', '')}".strip()
