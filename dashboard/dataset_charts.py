"""What a training file holds as pictures: languages, lengths, and rows that say the same."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard.language import Words

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
#: Over the colours, so that parts are told apart without them.
_PATTERN = {
    "color": "rgba(255,255,255,0.45)", "symbol": "rect", "dashArrayX": [1, 0],
    "dashArrayY": [2, 5], "rotation": 0.785,
}  # fmt: skip


def charts(words: Words, rows: int, languages: dict[str, Any], facts: dict[str, Any]) -> None:
    """Languages and duplicates as parts of one bar each, beside the histogram of lengths."""
    again = int(facts.get("duplicates", 0))
    left, right = st.columns([1, 1])
    with left:
        known = sorted(languages.items(), key=lambda each: (-each[1], each[0]))
        parts = [(words.code("datasets.language", name), count) for name, count in known]
        _draw(words("datasets.languages"), bar(words("datasets.languages"), parts), 104)
        same = [(words("datasets.once"), rows - again), (words("datasets.again"), again)]
        _draw(words("datasets.duplicates"), bar(words("datasets.duplicates"), same), 104)
    bins = facts.get("histogram") or []
    if bins:
        with right:
            title = words("datasets.histogram")
            _draw(title, histogram(title, words("datasets.rows"), bins), 216)
    repeats = facts.get("repeats") or []
    if repeats:
        with st.expander(words("datasets.repeats", count=len(repeats), of=again)):
            st.dataframe(
                [
                    {words("datasets.row"): row, words("datasets.earlier"): first}
                    for row, first in repeats
                ],
                hide_index=True,
                height="content" if len(repeats) <= 10 else 300,
                alt=words("datasets.duplicates"),
            )


def _draw(title: str, spec: dict[str, Any], height: int) -> None:
    st.echarts_chart(spec, height=height, alt=title)


def bar(title: str, parts: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """One bar, its parts named with their share in the legend."""
    whole = sum(count for _, count in parts) or 1
    series = [
        {
            "type": "bar", "stack": "all", "barWidth": 18,
            "name": f"{name} {count:,} ({count / whole:.0%})",
            "data": [count],
            "itemStyle": {"color": _COLOURS[place % len(_COLOURS)]}
            | ({"decal": _PATTERN} if place % 2 else {}),
        }
        for place, (name, count) in enumerate(parts)
    ]  # fmt: skip
    return {
        "animation": False,
        "title": _title(title),
        "tooltip": {"trigger": "item", "confine": True},
        "legend": {"type": "scroll", "left": 0, "bottom": 0, "icon": "roundRect"},
        "grid": {"left": 0, "right": 0, "top": 32, "height": 22},
        "xAxis": {"type": "value", "max": whole, "show": False},
        "yAxis": {"type": "category", "data": [title], "show": False},
        "series": series,
    }


def histogram(title: str, rows: str, bins: Sequence[Sequence[int]]) -> dict[str, Any]:
    """How many rows are how long; the bins grow with the length."""
    return {
        "animation": False,
        "title": _title(title),
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}, "confine": True},
        "grid": {"left": 48, "right": 8, "top": 40, "bottom": 24},
        "xAxis": {
            "type": "category",
            "data": [f"{low:,}–{high:,}" if high > low else f"{low:,}" for low, high, _ in bins],
            "axisTick": {"show": False}, "axisLabel": {"hideOverlap": True},
        },
        "yAxis": {"type": "value", "splitNumber": 3, "minInterval": 1},
        "series": [
            {
                "type": "bar", "name": rows, "barCategoryGap": "8%",
                "data": [count for _, _, count in bins], "itemStyle": {"color": _COLOURS[0]},
            }
        ],
    }  # fmt: skip


def _title(text: str) -> dict[str, Any]:
    return {"text": text, "left": 0, "top": 4, "textStyle": {"fontSize": 12, "fontWeight": 600}}
