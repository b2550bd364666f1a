"""Error rates of the intervals and tests on simulated evaluations."""

import numpy as np
import pytest

from samples import ACCURACY, BITS, MARGIN, made
from shared.intervals import expanded, tails
from shared.statistics import compare, estimate


def _share_of(runs: int, one) -> float:
    return sum(bool(one()) for _ in range(runs)) / runs


def test_equal_arms_are_told_apart_one_time_in_twenty():
    generator = np.random.default_rng(9)

    def flips() -> bool:
        arms = generator.random(300) < 0.6
        other = np.where(generator.random(300) < 0.2, generator.random(300) < 0.6, arms)
        return compare(made(ACCURACY, arms), made(ACCURACY, other)).p < 0.05

    def ratio() -> bool:
        size = generator.integers(50, 150, 100).astype(float)
        pairs = [made(BITS, size * generator.normal(1.2, 0.3, 100), size) for _ in range(2)]
        return compare(*pairs, draws=300).p < 0.05

    assert 0.03 <= _share_of(800, flips) <= 0.07
    assert 0.03 <= _share_of(400, ratio) <= 0.08


def test_questions_about_one_passage_do_not_count_as_independent():
    generator = np.random.default_rng(10)
    groups = np.repeat(np.arange(40), 5)
    zero, naive = np.zeros(200), []

    def clustered() -> bool:
        shift = np.repeat(generator.normal(0, 1, 40), 5) + generator.normal(0, 1, 200)
        naive.append(compare(made(MARGIN, zero), made(MARGIN, shift)).p < 0.05)
        arms = made(MARGIN, zero, groups=groups), made(MARGIN, shift, groups=groups)
        return compare(*arms).p < 0.05

    assert 0.03 <= _share_of(600, clustered) <= 0.07
    assert sum(naive) / len(naive) > 0.2


def test_intervals_hold_the_truth_nineteen_times_in_twenty():
    generator = np.random.default_rng(11)

    def share() -> bool:
        interval = estimate(made(ACCURACY, generator.random(150) < 0.9))
        return interval.low <= 0.9 <= interval.high

    def difference() -> bool:
        base = generator.random(300) < 0.5
        arm = np.where(generator.random(300) < 0.12, True, base)
        interval = compare(made(ACCURACY, base), made(ACCURACY, arm))
        return interval.low <= 0.06 <= interval.high

    assert 0.93 <= _share_of(800, share) <= 0.97
    assert 0.93 <= _share_of(800, difference) <= 0.975


def test_few_clusters_widen_a_bootstrap_as_much_as_students_t_does():
    assert tails(100_000) == pytest.approx([0.025, 0.975], abs=1e-4)
    low, high = tails(10)
    # z of the tail is t(9) * sqrt(10/9) = 2.384.
    assert (low, high) == pytest.approx((0.00855, 0.99145), abs=1e-4)
    assert expanded(2 * low, 10) == pytest.approx(0.05)
    assert expanded(1.0, 10) == 1.0
