"""What the arms of a comparison cost: time, tokens, and the samples before their items."""

from typing import Any

import streamlit as st

from dashboard.language import Words
from shared import db, results
from shared.comparisons import ComparisonTable


def costs(words: Words, table: ComparisonTable) -> None:
    """A row for each arm and benchmark; nothing where no evaluation says what it took."""
    with db.reading() as session:
        stored = results.comparison(session, table.name)
        found = results.evaluations(session, stored.evaluations)
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
    if rows:
        st.subheader(words("compare.cost"), anchor=False)
        st.dataframe(
            rows, hide_index=True, height="content" if len(rows) <= 16 else 400,
            alt=words("compare.cost"),
        )  # fmt: skip


def _device(engine: dict[str, Any]) -> str:
    return f"{engine.get('device', '–')} {engine.get('dtype', '')}".strip()
