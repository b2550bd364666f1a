"""A job's curves as ECharts: the losses large, every other number small beside them."""

from typing import Any

import streamlit as st

from dashboard.language import Words
from dashboard.series import Course, Curve

#: Drawn together in the large chart.
LOSSES = ("loss", "eval_loss")
#: The order of the small ones; others come after.
_FIRST = ("learning_rate", "grad_norm", "tokens_per_s", "gpu_memory_mb")
#: A curve of more points than this gets a smoothed line over the raw one.
_LONG = 30
_SMALL = 200
_COLOURS = ("#0072B2", "#E69F00", "#009E73")
#: Of a raw curve below its smoothed one; seen on light and on dark pages though it is thin.
_FAINT = "#56B4E9"


def losses(words: Words, course: Course) -> None:
    """The large chart; nothing where the job has no loss."""
    curves = dict(course.curves)
    found = {name: curves[name] for name in LOSSES if name in curves}
    if found:
        title = words.code("metric", "loss")
        st.echarts_chart(large(words, found), height=320, key="job.chart.loss", alt=title)


def others(words: Words, course: Course) -> None:
    """Every other number, a small chart each."""
    curves = dict(course.curves)
    names = sorted(
        (name for name in curves if name not in LOSSES),
        key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST),
    )
    with st.grid(min_column_width=260, gap="small"):
        for name in names:
            title = words.code("metric", name)
            spec = small(title, curves[name])
            st.echarts_chart(spec, height=170, key=f"job.chart.{name}", alt=title)


def large(words: Words, losses: dict[str, Curve]) -> dict[str, Any]:
    """The losses over the steps: raw faint, smoothed over it, looks at held-out rows as points."""
    series = []
    for place, (name, curve) in enumerate(losses.items()):
        title, colour = words.code("metric", name), _COLOURS[place]
        if name == "eval_loss":
            series.append(_line(title, curve.line(), colour, symbols=True, dash=True))
            continue
        long = len(curve.values) > _LONG
        series.append(_line(title, curve.line(), _FAINT if long else colour, faint=long))
        if long:
            smoothed = f"{title} · {words('job.smoothed')}"
            series.append(_line(smoothed, curve.line(smooth=True, most=_SMALL), _COLOURS[2]))
    tools = {
        "dataZoom": {
            "yAxisIndex": "none",
            "title": {"zoom": words("job.zoom"), "back": words("job.zoom.back")},
        },
        "restore": {"title": words("job.zoom.all")},
    }
    return _frame(words("job.step"), series) | {
        "legend": {"top": 0, "left": 0, "icon": "roundRect"},
        "toolbox": {"feature": tools, "top": -4, "right": 0, "itemSize": 13},
        "grid": {"left": 8, "right": 16, "top": 36, "bottom": 2},
    }


def small(title: str, curve: Curve) -> dict[str, Any]:
    """One number over the steps, its name above it."""
    return _frame("", [_line(title, curve.line(most=_SMALL), _COLOURS[0])]) | {
        "title": {"text": title, "textStyle": {"fontSize": 12, "fontWeight": 600}},
        "grid": {"left": 8, "right": 12, "top": 30, "bottom": 4},
    }


def _frame(steps: str, series: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "animation": False,
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": {
            "type": "value", "name": steps, "nameLocation": "middle", "nameGap": 24,
            "min": "dataMin", "max": "dataMax", "splitLine": {"show": False},
            "axisLabel": {"hideOverlap": True},
        },
        "yAxis": {"type": "value", "scale": True, "splitNumber": 4},
        "series": series,
    }  # fmt: skip


def _line(
    name: str, points: Any, colour: str, *, faint: bool = False, symbols: bool = False,
    dash: bool = False,
) -> dict[str, Any]:  # fmt: skip
    return {
        "type": "line",
        "name": name,
        "data": [list(point) for point in points],
        "color": colour,
        "showSymbol": symbols or len(points) < 3,
        "symbolSize": 6,
        "lineStyle": {
            "width": 1.2 if faint else 2, "type": "dashed" if dash else "solid",
        },
    }  # fmt: skip
