"""Beyond differences: duels of arms, gains recovered against a ceiling, words, origins."""

import numpy as np
import pytest

import filled
import pools
from shared import comparisons, db
from shared.comparisons import ComparisonTable, summary
from shared.comparisons.duels import duels
from shared.intervals import mcnemar_midp
from shared.metrics import METRICS
from shared.statistics import Sample


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ComparisonTable:
    """The comparison of a filled pool."""
    home = tmp_path_factory.mktemp("arms")
    with pytest.MonkeyPatch.context() as patch:
        pools.use(patch, home, user=filled.USER)
        filled.fill(home)
        with db.reading() as session:
            made = comparisons.build(session, filled.COMPARISON)
            made.engine["origins"] = comparisons.differing(session, made)
            made.engine["recovered"] = comparisons.recoveries(session, made, "native")
        pools.forget()
    return made


def _sample(metric: str, values: list[float], weights: list[float] | None = None) -> Sample:
    n = len(values)
    return Sample(
        METRICS[metric], tuple(f"h{place}" for place in range(n)), np.array(values, float),
        np.array(weights or [1.0] * n, float), np.arange(n),
    )  # fmt: skip


def test_a_duel_counts_only_the_items_on_which_two_arms_differ() -> None:
    one, other = _sample("accuracy", [1, 1, 1, 0, 0]), _sample("accuracy", [0, 0, 1, 1, 0])
    (found,) = duels("quiz", {"one": one, "other": other})
    assert (found.won, found.lost, found.same) == (2, 1, 2)
    assert found.share == pytest.approx(2 / 3)
    assert found.p == mcnemar_midp(2, 1)
    assert (found.turned().won, found.turned().arm) == (1, "other")


def test_fewer_bits_win_a_duel_whatever_the_length_of_the_item() -> None:
    short = _sample("bits_per_byte", [2.0, 20.0], [1.0, 10.0])
    long = _sample("bits_per_byte", [3.0, 30.0], [1.0, 20.0])
    (found,) = duels("text", {"short": short, "long": long})
    assert (found.won, found.lost) == (1, 1)


def test_arms_that_answer_alike_have_no_share() -> None:
    same = _sample("accuracy", [1, 0])
    (found,) = duels("quiz", {"one": same, "other": same})
    assert found.share is None
    assert found.p == 1.0


def test_every_pair_of_arms_duels_on_every_benchmark(table: ComparisonTable) -> None:
    arms = len(filled.SKILL)
    assert len(table.duels) == len(filled.BENCHMARKS) * arms * (arms - 1) // 2
    against_base = next(
        each for each in table.duels if (each.benchmark, each.arm, each.other) ==
        ("capitals", "base", "native")
    )  # fmt: skip
    difference = table.arm("native").cells["capitals/accuracy/all"].difference
    assert difference is not None
    assert (against_base.lost, against_base.won) == (difference.fixed, difference.broken)


def test_the_verdict_is_a_sentence_in_both_languages(table: ComparisonTable) -> None:
    native = table.arm("native")
    assert summary.outcome(table, native) == "helped"
    assert (
        summary.sentence(table, native, "en") == "native is better than base on 3 of 3 benchmarks."
    )
    assert "3 个评测集中的 3 个" in summary.sentence(table, native, "zh")
    assert summary.outcome(table, table.arm("base")) is None
    assert [arm.name for arm, _, _ in summary.lines(table, "en")] == [
        "native",
        "fused",
        "refreshed",
    ]


def test_the_trained_arm_is_the_ceiling_and_the_fused_one_has_part_of_its_gain(
    table: ComparisonTable,
) -> None:
    assert comparisons.ceilings(table) == ["native"]
    found = {(each.arm, each.benchmark): each.recovery for each in table.engine["recovered"]}
    assert set(found) == {
        (arm, name) for arm in ("fused", "refreshed") for name in filled.BENCHMARKS
    }
    cells = [
        table.arm(arm).cells["capitals/accuracy/all"].difference for arm in ("fused", "native")
    ]
    assert cells[0] is not None
    assert cells[1] is not None
    made = found["fused", "capitals"]
    assert made.value == pytest.approx(cells[0].value / cells[1].value)
    assert made.low < made.value < made.high


def test_only_settings_that_differ_are_listed(table: ComparisonTable) -> None:
    arms, rows = table.engine["origins"]
    assert arms == ["native", "fused", "refreshed"]
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["adapters"] == ["–", "native, second", "donor"]
    assert by_name["method"] == ["–", "weighted_sum", "refresh"]
    assert "name" not in by_name
    assert "learning_rate" not in by_name
