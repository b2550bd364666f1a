"""Charts as pure functions: data in, a chart's specification out; colours tell nothing alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt

from dashboard.language import Words
from shared.comparisons import Column, ComparisonTable
from shared.comparisons.words import VERDICTS, difference_text
from shared.statistics import Verdict

#: More points than this are thinned before they travel to the browser.
MOST_POINTS = 1000
#: For what is neither good nor bad, and for lines of reference.
GREY = "#8A9496"
#: Verdicts by colour and shape (Okabe and Ito; purple and orange for gain and loss).
MARKS: dict[Verdict, tuple[str, str]] = {
    "better": ("#9467BD", "triangle-right"),
    "worse": ("#D55E00", "triangle-left"),
    "within_margin": ("#0072B2", "diamond"),
    "undetermined": (GREY, "circle"),
    "too_few": (GREY, "cross"),
}


def thin(points: Sequence[tuple[int, float]], most: int = MOST_POINTS) -> list[tuple[int, float]]:
    """At most about `most` points, keeping the smallest and the largest of each stretch."""
    if len(points) <= most:
        return list(points)
    width = -(-2 * len(points) // most)
    kept: list[tuple[int, float]] = []
    for start in range(0, len(points), width):
        stretch = points[start : start + width]
        ends = {min(stretch, key=lambda each: each[1]), max(stretch, key=lambda each: each[1])}
        kept += sorted(ends)
    if kept[-1] != points[-1]:
        kept.append(points[-1])
    return kept


def smooth(points: Sequence[tuple[int, float]], share: float = 0.9) -> list[tuple[int, float]]:
    """Exponential moving average, corrected for its start (as Adam does)."""
    mean, weight = 0.0, 0.0
    out = []
    for step, value in points:
        mean = share * mean + (1 - share) * value
        weight = share * weight + (1 - share)
        out.append((step, mean / weight))
    return out


def forest(
    table: ComparisonTable, column: Column, words: Words
) -> alt.LayerChart | alt.FacetChart | None:
    """Paired differences to the baseline with their intervals, an arm a line; None without any."""
    rows = forest_rows(table, column, words)
    if not rows:
        return None
    unit = words("compare.points") if column.metric.percent else column.metric.title[words.language]
    way = words("compare.right" if column.metric.higher_is_better else "compare.left")
    arms = [row["arm"] for row in rows]
    y = alt.Y(
        "arm:N", sort=arms, title=None, axis=alt.Axis(labelLimit=160, ticks=False, labelFlush=False)
    )
    tooltip = [
        alt.Tooltip("arm:N", title=words("compare.arm")),
        alt.Tooltip("text:N", title=words("compare.difference")),
        alt.Tooltip("verdict:N", title=words("compare.verdict")),
    ]
    names = list(dict.fromkeys(row["verdict"] for row in rows))
    codes = [next(row["code"] for row in rows if row["verdict"] == name) for name in names]
    colour = alt.Color(
        "verdict:N",
        scale=alt.Scale(domain=names, range=[MARKS[code][0] for code in codes]),
        legend=alt.Legend(title=None, orient="bottom"),
    )
    shape = alt.Shape(
        "verdict:N",
        scale=alt.Scale(domain=names, range=[MARKS[code][1] for code in codes]),
        legend=alt.Legend(title=None, orient="bottom"),
    )
    base = alt.Chart(alt.Data(values=rows))
    x = alt.X("low:Q", title=f"{unit} · {way}")
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(strokeDash=[4, 3], color=GREY)
    rules = base.mark_rule(strokeWidth=2.5).encode(
        x=x, x2="high:Q", y=y, color=colour, tooltip=tooltip
    )
    marks = base.mark_point(size=90, filled=True, opacity=1).encode(
        x="value:Q", y=y, color=colour, shape=shape, tooltip=tooltip
    )
    return alt.layer(zero.encode(x="zero:Q"), rules, marks)


def forest_height(table: ComparisonTable, column: Column) -> int:
    """Pixels of a forest plot: a line for each arm, its axis and its legend."""
    return 34 * sum(1 for arm in table.arms if column.key in arm.cells) + 70


def forest_rows(table: ComparisonTable, column: Column, words: Words) -> list[dict[str, Any]]:
    """The numbers of a forest plot, in percentage points where the metric is a percentage."""
    scale = 100 if column.metric.percent else 1
    rows = []
    for arm in table.arms:
        cell = arm.cells.get(column.key)
        if cell is None or cell.difference is None or cell.verdict is None:
            continue
        found = cell.difference
        rows.append(
            {
                "arm": arm.name,
                "value": found.value * scale,
                "low": found.low * scale,
                "high": found.high * scale,
                "code": cell.verdict,
                "verdict": VERDICTS[cell.verdict][words.language],
                "text": difference_text(found, column.metric),
            }
        )
    # Without an interval (one item, one cluster) there is nothing to draw.
    return [row for row in rows if row["low"] == row["low"] and row["high"] == row["high"]]


def lineage(
    edges: Iterable[tuple[str, str]],
    kinds: Mapping[str, str],
    notes: Mapping[str, str] | None = None,
) -> str:
    """A Mermaid graph of what an adapter came from; `kinds` says base, dataset or adapter.

    `notes` stand below a name; they are texts of Graft's own.
    """
    found = list(dict.fromkeys(edges))
    names = list(dict.fromkeys(name for edge in found for name in edge))
    ids = {name: f"n{place}" for place, name in enumerate(names)}
    shapes = {"base": '(["{}"])', "dataset": '[("{}")]', "adapter": '["{}"]'}
    # Names hold letters, digits, dots, dashes and underscores only (shared/names.py).
    said = {name: f"{name}<br/>{note}" for name, note in (notes or {}).items()}
    lines = [
        f"{ids[name]}{shapes[kinds.get(name, 'adapter')].format(said.get(name, name))}"
        for name in names
    ]
    lines += [f"{ids[parent]} --> {ids[child]}" for parent, child in found]
    return "flowchart LR\n" + "\n".join(f"  {line}" for line in lines)
