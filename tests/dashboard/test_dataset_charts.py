"""The pictures of a training file hold its numbers."""

from itertools import pairwise

from dashboard.dataset_charts import bar, histogram
from shared.formats.survey import histogram as bins_of


def test_each_part_of_a_bar_says_its_share() -> None:
    spec = bar("Languages", [("English", 75), ("Chinese", 25)])
    assert [each["name"] for each in spec["series"]] == ["English 75 (75%)", "Chinese 25 (25%)"]
    assert spec["xAxis"]["max"] == 100


def test_a_histogram_holds_every_row_once_and_its_bins_grow() -> None:
    lengths = sorted([0, *range(1, 400), 5000])
    bins = bins_of(lengths)
    assert sum(count for _, _, count in bins) == len(lengths)
    assert (bins[0][0], bins[-1][1]) == (0, 5000)
    assert all(end + 1 == low for (_, end, _), (low, _, _) in pairwise(bins))
    widths = [high - low for low, high, _ in bins]
    assert widths[-1] > widths[len(widths) // 2]
    spec = histogram("Characters a row", "Rows", bins)
    assert spec["series"][0]["data"] == [count for _, _, count in bins]
    assert spec["xAxis"]["data"][-1].endswith("–5,000")


def test_rows_of_one_length_are_one_bin() -> None:
    assert bins_of([7] * 5) == [[7, 7, 5]]
    assert bins_of([]) == []
