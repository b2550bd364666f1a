"""Charts of a comparison as pure functions; what a colour says, a sign or a number says too."""

import math
from collections.abc import Sequence
from typing import Any, cast

import altair as alt

from dashboard import charts
from dashboard.language import Words
from dashboard.score_table import SIGNS
from shared.comparisons import ComparisonTable, Duel, Recovered
from shared.comparisons.words import VERDICTS, difference_text, heading, p_text, points

#: Orange for a loss, violet for a gain, nearly the page's ground in the middle, by theme.
DIVERGING = {
    "light": ["#B35806", "#F1A340", "#FEE0B6", "#F4F4F4", "#D8DAEB", "#998EC3", "#542788"],
    "dark": ["#F1A340", "#B35806", "#6E3A0A", "#2A3033", "#3E2F63", "#6E5AA8", "#B2A4E0"],
}
_ROW = 34
Drawn = alt.LayerChart | alt.FacetChart


def diverging(theme: str, end: float) -> alt.Scale:
    """A scale from -end to end."""
    colours = DIVERGING["dark" if theme == "dark" else "light"]
    return alt.Scale(domain=[-end, 0, end], range=colours, clamp=True, interpolate="rgb")


def ink(value: float, end: float, theme: str) -> str:
    """The colour of text on a cell of `diverging(theme, end)`: what can be read better there."""
    stops = DIVERGING["dark" if theme == "dark" else "light"]
    place = (max(-1.0, min(1.0, value / end)) + 1) / 2 * (len(stops) - 1)
    left = min(int(place), len(stops) - 2)
    pair = [[int(stop[at : at + 2], 16) / 255 for at in (1, 3, 5)] for stop in stops[left:][:2]]
    mixed = [one + (place - left) * (other - one) for one, other in zip(*pair, strict=True)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mixed]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # Contrast to white against contrast to black (WCAG 2.2).
    return "#FFFFFF" if 1.05 / (light + 0.05) > (light + 0.05) / 0.05 else "#000000"


def heat_rows(table: ComparisonTable, words: Words) -> list[dict[str, Any]]:
    """A row for each arm and column that has a difference.

    `strength`: the difference in half-widths of its interval, positive where the arm is better;
    beyond 1 the interval leaves out 0. It is what benchmarks of different units share.
    """
    rows = []
    for arm in table.arms:
        for column in table.columns:
            cell = arm.cells.get(column.key)
            if cell is None or cell.difference is None or cell.verdict is None:
                continue
            found, way = cell.difference, 1 if column.metric.higher_is_better else -1
            half = (found.high - found.low) / 2
            usable = math.isfinite(half) and half > 0
            rows.append(
                {
                    "arm": arm.name,
                    "benchmark": f"{column.benchmark} · {heading(column.spoken, words.language)}",
                    "strength": way * found.value / half if usable else 0.0,
                    "text": f"{SIGNS[cell.verdict]} {points(found.value, column.metric)}",
                    "verdict": VERDICTS[cell.verdict][words.language],
                    "difference": difference_text(found, column.metric),
                    "p": p_text(cell.p_adjusted),
                }
            )
    return rows


def heatmap(table: ComparisonTable, words: Words, theme: str) -> tuple[Drawn, int] | None:
    """Benchmark (and language) by arm, and its height in pixels; None where nothing is compared."""
    rows = heat_rows(table, words)
    if not rows:
        return None
    benchmarks = list(dict.fromkeys(row["benchmark"] for row in rows))
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("arm:N", sort=None, title=None, axis=_axis("top", 120)),
        y=alt.Y("benchmark:N", sort=benchmarks, title=None, axis=_axis("left", 190)),
        tooltip=[
            alt.Tooltip("arm:N", title=words("compare.arm")),
            alt.Tooltip("benchmark:N", title=words("compare.benchmark")),
            alt.Tooltip("difference:N", title=words("compare.difference")),
            alt.Tooltip("verdict:N", title=words("compare.verdict")),
            alt.Tooltip("p:N", title="p (Holm)"),
        ],
    )
    made = _cells(base, rows, "strength", 4, theme)
    return made, _ROW * len(benchmarks) + 40


def _axis(orient: str, limit: int) -> alt.Axis:
    return alt.Axis(
        orient=cast(Any, orient),
        labelLimit=limit,
        labelAngle=0,
        ticks=False,
        domain=False,
        labelFlush=False,
    )


def _cells(
    base: alt.Chart, rows: list[dict[str, Any]], field: str, end: float, theme: str
) -> Drawn:
    for row in rows:
        row["ink"] = ink(row[field], end, theme)
    scale = diverging(theme, end)
    squares = base.mark_rect(cornerRadius=3, stroke="#808C8E", strokeOpacity=0.25).encode(
        color=alt.Color(f"{field}:Q", scale=scale, legend=None)
    )
    text = base.mark_text(fontSize=12).encode(
        text="text:N", color=alt.Color("ink:N", scale=None, legend=None)
    )
    return alt.layer(squares, text).resolve_scale(color="independent")


def duel_rows(duels: Sequence[Duel], words: Words) -> list[dict[str, Any]]:
    """Both sides of each duel, a cell each."""
    rows = []
    for duel in (side for each in duels for side in (each, each.turned())):
        share = duel.share
        rows.append(
            {
                "arm": duel.arm,
                "other": duel.other,
                "lead": 0.0 if share is None else share - 0.5,
                "text": "–" if share is None else f"{share:.0%} ({duel.won}:{duel.lost})",
                "told": words(
                    "compare.duel.told", arm=duel.arm, other=duel.other, won=duel.won,
                    lost=duel.lost, same=duel.same,
                ),
                "p": p_text(duel.p),
            }
        )  # fmt: skip
    return rows


def win_matrix(duels: Sequence[Duel], words: Words, theme: str) -> tuple[Drawn, int]:
    """Of the items on which two arms differ, how many the row's arm did better; and its height."""
    rows = duel_rows(duels, words)
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("other:N", sort=arms, title=None, axis=_axis("top", 110)),
        y=alt.Y("arm:N", sort=arms, title=None, axis=_axis("left", 130)),
        tooltip=[
            alt.Tooltip("told:N", title=words("compare.duels")),
            alt.Tooltip("p:N", title="p (Holm)"),
        ],
    )
    made = _cells(base, rows, "lead", 0.5, theme)
    return made, _ROW * len(arms) + 40


def recovered_rows(found: Sequence[Recovered], words: Words) -> list[dict[str, Any]]:
    """A row for each arm and benchmark where the ceiling's own gain is shown."""
    rows = []
    for each in found:
        made = each.recovery
        if not made.reportable or not all(map(math.isfinite, (made.value, made.low, made.high))):
            continue
        rows.append(
            {
                "arm": each.arm, "benchmark": each.benchmark, "value": made.value,
                "low": max(-1.0, made.low), "high": min(2.0, made.high),
                "text": f"{made.value:.2f} [{made.low:.2f}, {made.high:.2f}]",
            }
        )  # fmt: skip
    return rows


def recovered(found: Sequence[Recovered], words: Words) -> tuple[Drawn, int] | None:
    """R by arm and benchmark with intervals, between 0 (the base) and 1 (the ceiling)."""
    rows = recovered_rows(found, words)
    if not rows:
        return None
    places = list(dict.fromkeys(f"{row['arm']} · {row['benchmark']}" for row in rows))
    for row in rows:
        row["place"] = f"{row['arm']} · {row['benchmark']}"
    colours = dict.fromkeys(row["arm"] for row in rows)
    tooltip = [
        alt.Tooltip("place:N", title=words("compare.arm")), alt.Tooltip("text:N", title="R")
    ]  # fmt: skip
    base = alt.Chart(alt.Data(values=rows))
    y = alt.Y("place:N", sort=places, title=None, axis=_axis("left", 220))
    x = alt.X("low:Q", title=words("compare.recovered.axis"), axis=alt.Axis(tickCount=8))
    colour = alt.Color("arm:N", scale=alt.Scale(domain=list(colours)), legend=None)
    ends = alt.Chart(alt.Data(values=[{"end": 0}, {"end": 1}])).mark_rule(
        strokeDash=[4, 3], color=charts.GREY
    )
    rules = base.mark_rule(strokeWidth=2.5).encode(
        x=x, x2="high:Q", y=y, color=colour, tooltip=tooltip
    )
    marks = base.mark_point(size=90, filled=True, opacity=1, shape="diamond").encode(
        x="value:Q", y=y, color=colour, tooltip=tooltip
    )
    return alt.layer(ends.encode(x="end:Q"), rules, marks), 26 * len(places) + 70


def overlaid(curves: dict[str, Sequence[tuple[int, float]]], words: Words) -> dict[str, Any]:
    """Several losses over the steps, for ECharts; lines differ by dashes too."""
    dashes = ("solid", "dashed", "dotted")
    return {
        "animation": False,
        "grid": {"left": 56, "right": 16, "top": 44, "bottom": 40},
        "legend": {"type": "scroll", "top": 4},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "value", "name": words("job.step"), "nameLocation": "middle", "nameGap": 24,
        },
        "yAxis": {"type": "value", "scale": True},
        "series": [
            {
                "type": "line", "name": name, "showSymbol": False,
                "data": [list(point) for point in charts.thin(charts.smooth(points))],
                "lineStyle": {"width": 2, "type": dashes[place % len(dashes)]},
            }
            for place, (name, points) in enumerate(curves.items())
        ],
    }  # fmt: skip
