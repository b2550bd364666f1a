"""Gains recovered: R, its interval, and the words that controls allow."""

import numpy as np
import pytest

from shared.metrics import METRICS
from shared.recovery import recovered
from shared.statistics import Sample

ITEMS = 400


def right(share: float, seed: int, metric: str = "accuracy", items: int = ITEMS) -> Sample:
    """Items right with a probability; of bits, about so many bits a byte."""
    draw = np.random.default_rng(seed).random(items)
    ratio = METRICS[metric].kind == "ratio"
    values = draw * share * 16 if ratio else (draw < share).astype(float)
    weights = np.full(items, 8.0) if ratio else np.ones(items)
    names = tuple(map(str, range(items)))
    return Sample(METRICS[metric], names, values, weights, np.arange(items))


BASE, NATIVE = right(0.4, 1), right(0.8, 2)
NOISE = {"noise": [right(0.4, 3)], "more": [right(0.42, 4)]}


def test_an_arm_as_good_as_the_native_recovers_all_and_is_supported() -> None:
    found = recovered(BASE, [NATIVE], {"same": [NATIVE]}, NOISE)["same"]
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
    assert found.finding == "supported"
    assert found.change == pytest.approx(NATIVE.score - BASE.score)


def test_half_of_the_gain_is_a_half_with_an_interval_around_it() -> None:
    found = recovered(BASE, [NATIVE], {"half": [right(0.6, 5)]}, NOISE)["half"]
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(0.5, abs=0.15)
    assert found.finding == "supported"


def test_an_arm_that_gains_no_more_than_a_control_has_no_effect() -> None:
    strong = NOISE | {"strong": [right(0.61, 6)]}
    found = recovered(BASE, [NATIVE], {"half": [right(0.6, 5)]}, strong)["half"]
    assert (found.finding, found.nearest) == ("no_effect", "strong")


def test_an_arm_below_the_base_does_harm() -> None:
    found = recovered(BASE, [NATIVE], {"worse": [right(0.25, 7)]}, NOISE)["worse"]
    assert found.finding == "harm"
    assert found.value < 0


def test_without_a_native_gain_or_controls_or_items_nothing_is_verified() -> None:
    arm = {"arm": [right(0.8, 8)]}
    idle = recovered(BASE, [right(0.4, 9)], arm, NOISE)["arm"]
    assert idle.finding == "unverified"
    assert np.isnan(idle.value)
    assert recovered(BASE, [NATIVE], arm, {})["arm"].finding == "unverified"
    few = [right(share, seed, items=50) for share, seed in ((0.1, 1), (0.9, 2), (0.9, 3))]
    short = {"noise": [right(0.1, 4, items=50)]}
    assert recovered(few[0], [few[1]], {"arm": [few[2]]}, short)["arm"].finding == "unverified"


def test_where_lower_is_better_gains_point_down() -> None:
    base, native = right(0.9, 1, "bits_per_byte"), right(0.5, 2, "bits_per_byte")
    noise = {"noise": [right(0.9, 3, "bits_per_byte")]}
    found = recovered(
        base, [native], {"good": [right(0.55, 4, "bits_per_byte")],
                         "bad": [right(1.2, 5, "bits_per_byte")]}, noise,
    )  # fmt: skip
    assert (found["good"].finding, found["bad"].finding) == ("supported", "harm")
    assert found["good"].change < 0 < found["good"].value


def test_seeds_that_disagree_widen_the_interval_and_their_order_changes_nothing() -> None:
    alike = [right(0.6, seed) for seed in (5, 6, 7)]
    apart = [right(share, seed) for share, seed in ((0.45, 5), (0.6, 6), (0.75, 7))]
    native = [right(0.8, seed) for seed in (8, 9, 10)]
    one = recovered(BASE, native, {"arm": alike}, NOISE)["arm"]
    other = recovered(BASE, native, {"arm": apart}, NOISE)["arm"]
    assert other.high - other.low > one.high - one.low
    turned = recovered(BASE, native, {"b": alike, "arm": apart}, dict(reversed(NOISE.items())))
    assert turned["arm"].value == pytest.approx(other.value)
    assert turned["arm"].finding == other.finding
