"""Intervals and tests against textbook values."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from samples import ACCURACY, BITS, MARGIN, made, row
from shared.intervals import bonett_price, bootstrap, mcnemar_midp, standard_error, wilson
from shared.metrics import METRICS, aggregate, metrics_of, primary_metric
from shared.statistics import (
    Difference,
    compare,
    estimate,
    gain_recovered,
    holm,
    pair,
    sample,
    verdict,
)


def test_without_clusters_a_mean_has_the_textbook_t_interval():
    values = np.random.default_rng(1).normal(2, 3, 57)
    found = estimate(made(MARGIN, values))
    expected = stats.t.interval(0.95, 56, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert (found.n, found.clusters) == (57, 57)


def test_equal_clusters_give_the_t_interval_of_their_means():
    values = np.random.default_rng(2).normal(size=(12, 5))
    groups = np.repeat(np.arange(12), 5)
    expected = stats.t.interval(0.95, 11, values.mean(), stats.sem(values.mean(1)))
    found = estimate(made(MARGIN, values.ravel(), groups=groups))
    assert (found.low, found.high) == pytest.approx(expected)
    assert (found.n, found.clusters) == (60, 12)


def test_a_share_has_wilsons_interval_even_where_every_item_is_right():
    values = np.r_[np.ones(30), np.zeros(20)]
    expected = stats.binomtest(30, 50).proportion_ci(method="wilson")
    found = estimate(made(ACCURACY, values))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    perfect = estimate(made(ACCURACY, np.ones(50)))
    assert perfect.high == 1
    assert 0.9 < perfect.low < 0.95


def test_a_clustered_share_counts_its_effective_items():
    together = made(ACCURACY, np.repeat([1, 0] * 10, 5), groups=np.repeat(np.arange(20), 5))
    effective = 0.25 / standard_error(together.values, together.groups) ** 2
    assert effective == pytest.approx(19)
    found = estimate(together)
    assert (found.low, found.high) == pytest.approx(wilson(0.5, effective))


def test_a_paired_difference_is_the_paired_t_test():
    generator = np.random.default_rng(3)
    base = generator.normal(size=40)
    arm = base + generator.normal(0.3, 0.5, 40)
    found = compare(made(MARGIN, base), made(MARGIN, arm))
    expected = stats.ttest_rel(arm, base)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert found.method == "cluster_t"
    assert found.detectable == pytest.approx(2.8016 * stats.sem(arm - base), rel=1e-4)


def test_flips_without_clusters_are_judged_by_mcnemars_mid_p():
    base = np.r_[np.zeros(12), np.ones(4), np.ones(60), np.zeros(44)]
    arm = np.r_[np.ones(12), np.zeros(4), np.ones(60), np.zeros(44)]
    found = compare(made(ACCURACY, base), made(ACCURACY, arm))
    exact = stats.binomtest(4, 16).pvalue
    assert found.p == pytest.approx(exact - stats.binom.pmf(4, 16, 0.5))
    assert (found.fixed, found.broken, found.method) == (12, 4, "mcnemar")
    assert found.value == pytest.approx(8 / 120)
    assert found.low < found.value < found.high


def test_flips_within_clusters_are_judged_by_the_cluster_t():
    groups = np.repeat(np.arange(30), 4)
    base = np.zeros(120)
    arm = (groups % 3 == 0).astype(float)
    found = compare(made(ACCURACY, base, groups=groups), made(ACCURACY, arm, groups=groups))
    means = arm.reshape(30, 4).mean(1)
    assert found.method == "cluster_t"
    assert found.p == pytest.approx(stats.ttest_rel(means, np.zeros(30)).pvalue)


def test_no_flip_at_all_still_leaves_an_interval_with_a_width():
    same = made(ACCURACY, np.ones(100))
    found = compare(same, same)
    assert (found.value, found.p) == (0, 1)
    assert (found.low, found.high) == pytest.approx(bonett_price(0, 0, 100))
    assert found.low < -0.02
    assert verdict(found, ACCURACY) == "undetermined"


def test_a_ratio_is_of_sums_not_a_mean_of_ratios():
    rows = [row("a", bits=10, bytes=10), row("b", bits=60, bytes=20)]
    assert aggregate(rows, "continuation")["bits_per_byte"] == {
        "all": pytest.approx(70 / 30),
        "en": pytest.approx(70 / 30),
    }
    assert sample(rows, "bits_per_byte").score == pytest.approx(70 / 30)


def test_scores_are_given_for_each_language_and_all_of_them():
    rows = [
        row("a", accuracy=1, accuracy_bytes=1, margin=2),
        row("b", lang="zh", accuracy=0, accuracy_bytes=1, margin=-1),
    ]
    found = aggregate(rows, "choice")
    assert found["accuracy"] == {"all": 0.5, "en": 1.0, "zh": 0.0}
    assert found["margin"]["all"] == 0.5


def test_the_bootstrap_of_a_ratio_agrees_with_its_linear_approximation():
    generator = np.random.default_rng(4)
    size = generator.integers(50, 200, 300).astype(float)
    bits = size * generator.normal(1.2, 0.2, 300)
    found = estimate(made(BITS, bits, size), draws=4000)
    score = bits.sum() / size.sum()
    half = 1.96 * stats.sem((bits - score * size) / size.mean())
    assert found.value == pytest.approx(score)
    assert (found.low, found.high) == pytest.approx((score - half, score + half), abs=0.1 * half)


def test_fewer_bits_are_better_and_the_bootstrap_pairs_items():
    generator = np.random.default_rng(5)
    size = generator.integers(50, 200, 150).astype(float)
    base = size * generator.normal(1.2, 0.4, 150)
    arm = base - size * generator.normal(0.02, 0.02, 150)
    found = compare(made(BITS, base, size), made(BITS, arm, size), draws=2000)
    assert found.value == pytest.approx(-0.02, abs=0.005)
    assert found.high < 0
    assert found.p < 0.002
    assert found.fixed > 100 > found.broken
    assert verdict(found, BITS) == "better"
    back = compare(made(BITS, arm, size), made(BITS, base, size), draws=2000)
    assert verdict(back, BITS) == "worse"
    assert (back.fixed, back.broken) == (found.broken, found.fixed)


def test_the_bootstrap_is_the_same_for_the_same_seed_and_whatever_the_chunks(monkeypatch):
    tops = np.random.default_rng(6).normal(size=(2, 20))
    ones = np.ones((2, 20))
    groups = np.repeat(np.arange(10), 2)
    whole = bootstrap(tops, ones, groups, draws=50, seed=1)
    assert np.array_equal(whole, bootstrap(tops, ones, groups, draws=50, seed=1))
    assert not np.array_equal(whole, bootstrap(tops, ones, groups, draws=50, seed=2))
    monkeypatch.setattr("shared.intervals._CHUNK", 70)
    assert np.array_equal(whole, bootstrap(tops, ones, groups, draws=50, seed=1))


def test_items_are_paired_by_hash_and_strangers_left_out():
    base = sample([row("a", margin=1), row("b", margin=2), row("c", margin=3)], "margin")
    arm = sample([row("c", margin=33), row("x", margin=0), row("a", margin=11)], "margin")
    before, after = pair(base, arm)
    assert before.hashes == after.hashes == ("a", "c")
    assert after.values.tolist() == [11, 33]
    assert compare(base, arm).n == 2


def test_an_item_without_a_cluster_stands_alone():
    rows = [row("a", "p", margin=1), row("b", "p", margin=2), row("c", margin=3)]
    found = sample([*rows, row("d", margin=4)], "margin")
    assert (found.n, found.clusters, found.clustered) == (4, 3, True)


def test_one_cluster_allows_a_score_but_no_interval():
    rows = [row(str(number), "p", margin=number) for number in range(200)]
    found = estimate(sample(rows, "margin"))
    assert found.value == 99.5
    assert np.isnan([found.low, found.high]).all()
    change = compare(sample(rows, "margin"), sample(rows, "margin"))
    assert change.p == 1
    assert verdict(change, MARGIN) == "too_few"


def test_holm_multiplies_the_smallest_by_the_family_and_never_goes_back():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_mid_p_lies_between_the_exact_test_and_its_half():
    for better, worse in [(1, 0), (5, 1), (10, 10), (0, 7), (30, 18)]:
        exact = stats.binomtest(worse, better + worse).pvalue
        assert exact / 2 <= mcnemar_midp(better, worse) + 1e-12 <= exact + 1e-11
    assert mcnemar_midp(0, 0) == 1


def found(**changes: Any) -> Difference:
    values: dict[str, Any] = {
        "value": 0.05, "low": 0.01, "high": 0.09, "p": 0.01, "n": 500, "clusters": 500,
        "fixed": 40, "broken": 15, "detectable": 0.06, "method": "mcnemar",
    }  # fmt: skip
    return Difference(**(values | changes))


def test_verdicts_need_a_hundred_items_and_an_adjusted_p():
    assert verdict(found(), ACCURACY) == "better"
    assert verdict(found(value=-0.05), ACCURACY) == "worse"
    assert verdict(found(), ACCURACY, p_adjusted=0.08) == "undetermined"
    assert verdict(found(n=99), ACCURACY) == "too_few"
    assert verdict(found(n=100), ACCURACY) == "better"


def test_equal_within_the_margin_is_not_the_same_as_undetermined():
    narrow = found(value=0.001, low=-0.01, high=0.012, p=0.8)
    assert verdict(narrow, ACCURACY) == "within_margin"
    assert verdict(narrow, ACCURACY, margin=0.011) == "undetermined"


def test_gain_recovered_is_the_ratio_of_gains_with_its_interval():
    generator = np.random.default_rng(7)
    base = generator.normal(size=400)
    gain = generator.normal(1.0, 0.2, 400)
    native, fused = base + gain, base + 0.5 * gain + generator.normal(0, 0.3, 400)
    recovered = gain_recovered(
        made(MARGIN, base), made(MARGIN, fused), made(MARGIN, native), draws=1000
    )
    assert recovered.value == pytest.approx(0.5, abs=0.05)
    assert recovered.low < recovered.value < recovered.high
    assert recovered.high - recovered.low < 0.1
    assert recovered.reportable


def test_a_gain_that_may_be_none_is_not_reportable():
    generator = np.random.default_rng(8)
    arms = [made(MARGIN, generator.normal(size=100)) for _ in range(3)]
    assert not gain_recovered(*arms, draws=200).reportable


def test_every_shape_has_one_primary_metric_and_titles_in_both_languages():
    named = {"choice": "accuracy", "generate": "rougeL", "instruct": "followed"}
    for shape, name in named.items():
        assert primary_metric(shape).name == name == metrics_of(shape)[0].name
    assert primary_metric("continuation").keys == ("bits", "bytes")
    assert all(metric.title["en"] and metric.title["zh"] for metric in METRICS.values())
    assert sum(metric.primary for metric in METRICS.values()) == 4
    with pytest.raises(KeyError):
        primary_metric("essay")
