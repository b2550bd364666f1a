"""Charts are functions: what they draw can be read from what they return."""

from pathlib import Path

import filled
from dashboard import charts
from dashboard.language import Words
from shared import comparisons, db


def test_thinning_keeps_the_ends_and_the_extremes() -> None:
    points = [(step, 1.0) for step in range(50_000)]
    points[12_345] = (12_345, 99.0)
    points[40_001] = (40_001, -5.0)
    kept = charts.thin(points)
    assert len(kept) <= charts.MOST_POINTS + 2
    assert {(12_345, 99.0), (40_001, -5.0)} <= set(kept)
    assert kept[-1] == points[-1]
    assert kept == sorted(kept)


def test_the_smoothed_line_starts_at_the_first_value() -> None:
    assert charts.smooth([(1, 4.0), (2, 4.0)]) == [(1, 4.0), (2, 4.0)]


def test_a_forest_plot_shows_each_arms_interval_in_points(pool: Path) -> None:
    with db.reading() as session:
        table = comparisons.build(session, filled.COMPARISON)
    column = table.column("capitals/accuracy/all")
    rows = charts.forest_rows(table, column, Words("zh"))
    assert [row["arm"] for row in rows] == ["native", "fused", "refreshed"]
    found = table.arm("native").cells[column.key].difference
    assert found is not None
    assert rows[0]["low"] == found.low * 100
    assert rows[0]["verdict"] == "更好"
    plot = charts.forest(table, column, Words("zh"))
    assert plot is not None
    assert "越靠右越好" in plot.to_json(ensure_ascii=False)


def test_a_lineage_graph_draws_each_edge_once() -> None:
    edges = [("base", "a"), ("rows", "a"), ("a", "b"), ("a", "b")]
    text = charts.lineage(edges, {"base": "base", "rows": "dataset"})
    assert text.count("-->") == 3
    assert '(["base"])' in text
    assert '[("rows")]' in text
    assert '["b"]' in text
