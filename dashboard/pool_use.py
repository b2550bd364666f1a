"""GPU-hours of the last days as stacked bars, by user or by project."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import streamlit as st

from dashboard import moments, parts
from dashboard.language import Words
from shared import db, pool_state
from shared.config import settings
from shared.use_by_day import DayUse, by_day, last_days

Hours = defaultdict[date, float]
RANGES = (7, 30, 90)
KINDS = ("user", "project")
#: Okabe and Ito's colours; whoever used less than these is one of "others".
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_OTHERS = "#8A9496"
#: Patterns over the colours, so that no bar is told by its colour alone.
_PATTERNS = (
    None,
    {"symbol": "rect", "dashArrayX": [1, 0], "dashArrayY": [2, 5], "rotation": 0.785},
    {"symbol": "circle", "dashArrayX": [[8, 8], [0, 8, 8, 0]], "dashArrayY": [6, 0],
     "symbolSize": 0.7},
    {"symbol": "rect", "dashArrayX": [1, 0], "dashArrayY": [2, 5], "rotation": -0.785},
    {"symbol": "rect", "dashArrayX": [1, 0], "dashArrayY": [2, 5]},
    {"symbol": "rect", "dashArrayX": [1, 0], "dashArrayY": [2, 5], "rotation": 1.571},
)  # fmt: skip


@st.fragment(run_every=60)
def use(words: Words) -> None:
    """The chart with its range and what it tells apart; nothing before somebody used something."""
    with parts.guard(words):
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ):
            st.subheader(words("hosts.use"), anchor=False, width="content")
            with st.container(horizontal=True, width="content"):
                kind = st.segmented_control(
                    words("hosts.use.kind"),
                    KINDS,
                    default=KINDS[0],
                    required=True,
                    format_func=words.codes("hosts.use.by"),
                    key="hosts.use.kind",
                    persist_state="session",
                    label_visibility="collapsed",
                )
                days = st.segmented_control(
                    words("hosts.use.range"), RANGES, default=RANGES[1], required=True,
                    format_func=lambda days: words("time.days", count=days),
                    key="hosts.use.days", persist_state="session", label_visibility="collapsed",
                )  # fmt: skip
        today, found = read(settings().database, days, int(moments.offset()))
        if not found:
            parts.empty(words("hosts.use.empty", days=days))
            return
        total = sum(each.gpu_hours for each in found)
        st.caption(words("hosts.use.total", hours=f"{total:,.1f}", days=days))
        spec = stacked(words, last_days(today, days), found, kind)
        st.echarts_chart(spec, height=300, key="hosts.use", alt=words("hosts.use"))


@st.cache_data(ttl=60, show_spinner=False)
def read(database: str, days: int, offset: int) -> tuple[date, list[DayUse]]:
    """Today by the reader's clock, and who used what; read once a minute for all viewers."""
    with db.reading() as session:
        now = pool_state.clock(session)
        return datetime.fromtimestamp(now + offset, UTC).date(), by_day(
            session, days=days, offset=offset
        )


def stacked(
    words: Words, days: Sequence[date], found: Sequence[DayUse], kind: str
) -> dict[str, Any]:
    """A bar a day, a part of it for each user (or project), the largest lowest."""
    hours: dict[str, Hours] = defaultdict(lambda: defaultdict(float))
    for each in found:
        hours[each.user if kind == "user" else each.project][each.day] += each.gpu_hours
    order = sorted(hours, key=lambda name: (-sum(hours[name].values()), name))
    series = [
        _bars(name, days, hours[name], colour, pattern)
        for name, colour, pattern in zip(order, COLOURS, _PATTERNS, strict=False)
    ]
    if rest := order[len(COLOURS) :]:
        both = {day: sum(hours[name][day] for name in rest) for day in days}
        title = words("hosts.use.others", count=len(rest))
        series.append(_bars(title, days, both, _OTHERS, None))
    return {
        "animation": False,
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}, "confine": True},
        "legend": {"type": "scroll", "top": 0, "left": 0, "icon": "roundRect"},
        "grid": {"left": 48, "right": 12, "top": 40, "bottom": 28},
        "xAxis": {
            "type": "category", "data": [f"{day:%m-%d}" for day in days],
            "axisTick": {"show": False}, "axisLabel": {"hideOverlap": True},
        },
        "yAxis": {
            "type": "value", "name": words("hosts.use.axis"), "splitNumber": 4,
            "nameTextStyle": {"align": "left"}, "nameGap": 8,
        },
        "series": series,
    }  # fmt: skip


def _bars(
    name: str, days: Sequence[date], hours: Mapping[date, float], colour: str, pattern: Any
) -> dict[str, Any]:
    style = {"color": colour, "borderColor": "transparent"}
    if pattern is not None:
        style["decal"] = {"color": "rgba(255,255,255,0.45)"} | pattern
    return {
        "type": "bar",
        "name": name,
        "stack": "use",
        "barMaxWidth": 36,
        "data": [round(hours[day], 2) for day in days],
        "itemStyle": style,
    }
