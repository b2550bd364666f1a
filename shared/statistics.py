"""What scores on the same items can and cannot show: intervals, paired differences, verdicts.

Items are a sample of the questions that could have been asked (Miller 2024, arXiv 2411.00640):
questions about one passage are one draw (a cluster), and two arms are compared on the same items.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from shared.intervals import (
    LEVEL,
    Floats,
    Groups,
    bonett_price,
    bootstrap,
    detectable,
    expanded,
    holm,
    mcnemar_midp,
    standard_error,
    student,
    t_quantile,
    tails,
    wilson,
    z_quantile,
)
from shared.metrics import METRICS, Metric, aggregate, metrics_of, primary_metric

Verdict = Literal["better", "worse", "within_margin", "undetermined", "too_few"]

#: Below this many items there is no verdict: normal approximations and power are both too poor.
FEWEST_ITEMS = 100
DRAWS = 10_000


class ItemValues(Protocol):
    """An item's row, as an evaluation made it or as the database keeps it."""

    @property
    def item_hash(self) -> str: ...
    @property
    def cluster(self) -> str | None: ...
    @property
    def values(self) -> Mapping[str, float]: ...


@dataclass(frozen=True)
class Sample:
    """One arm's items under one metric; row i of each array is the item `hashes[i]`."""

    metric: Metric
    hashes: tuple[str, ...]
    #: A mean metric's values, or a ratio metric's numerators; shape (n,).
    values: Floats
    #: Ones, or a ratio metric's denominators; shape (n,).
    weights: Floats
    #: Which items belong together, as numbers 0..G-1; shape (n,). Without clusters, 0..n-1.
    groups: Groups

    @property
    def n(self) -> int:
        """Items."""
        return len(self.hashes)

    @property
    def clusters(self) -> int:
        """Independent draws: clusters, where items have them, else items."""
        return int(self.groups.max()) + 1 if self.n else 0

    @property
    def clustered(self) -> bool:
        """True where some items share a cluster."""
        return self.clusters < self.n

    @property
    def score(self) -> float:
        """Sum of values over sum of weights; of a mean metric, the mean."""
        return float(self.values.sum() / self.weights.sum()) if self.n else float("nan")

    def take(self, rows: Groups) -> "Sample":
        """The sample of some of its rows, in that order."""
        _, groups = np.unique(self.groups[rows], return_inverse=True)
        return Sample(
            self.metric,
            tuple(self.hashes[row] for row in rows),
            self.values[rows],
            self.weights[rows],
            groups.astype(np.int64),
        )


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A score with its confidence interval; NaN ends where fewer than two draws allow none."""

    value: float
    low: float
    high: float
    n: int
    clusters: int


@dataclass(frozen=True, kw_only=True)
class Difference:
    """An arm minus the baseline on the items both have."""

    value: float
    low: float
    high: float
    #: Two-sided p-value of "no difference"; 1 where nothing can be said.
    p: float
    n: int
    clusters: int
    #: Items where the arm is better (of a 0/1 metric: wrong before, right now), and worse.
    fixed: int
    broken: int
    #: Smallest true difference that these items show with 80 % power.
    detectable: float
    #: How `p` was found: cluster_t, mcnemar or bootstrap.
    method: Literal["cluster_t", "mcnemar", "bootstrap"]


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """How much of a native adapter's gain a fused one has: (fused - base) / (native - base)."""

    value: float
    low: float
    high: float
    fused: Difference
    native: Difference

    @property
    def reportable(self) -> bool:
        """True where the native gain itself is shown: its interval leaves out 0."""
        return bool(self.native.low > 0 or self.native.high < 0)


def sample(items: Iterable[ItemValues], metric: str | Metric) -> Sample:
    """The items of one arm under a metric. Raises KeyError where an item lacks its values."""
    kind = METRICS[metric] if isinstance(metric, str) else metric
    rows = list(items)
    # An item without a cluster is a cluster of its own; the tuple keeps it apart from a name.
    names = [(row.item_hash,) if row.cluster is None else row.cluster for row in rows]
    numbers: dict[object, int] = {}
    groups = [numbers.setdefault(name, len(numbers)) for name in names]
    values = [row.values[kind.keys[0]] for row in rows]
    weights = [row.values[kind.denominator] if kind.kind == "ratio" else 1.0 for row in rows]
    return Sample(
        kind,
        tuple(row.item_hash for row in rows),
        np.array(values, float),
        np.array(weights, float),
        np.array(groups, np.int64),
    )


def pair(*samples: Sample) -> tuple[Sample, ...]:
    """The samples cut to the items all of them have, in the first one's order."""
    places = [{name: row for row, name in enumerate(each.hashes)} for each in samples]
    shared = [name for name in samples[0].hashes if all(name in place for place in places)]
    rows = [np.array([place[name] for name in shared], np.int64) for place in places]
    return tuple(each.take(chosen) for each, chosen in zip(samples, rows, strict=True))


def estimate(of: Sample, *, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """A score with its 95 % interval.

    0/1 values: Wilson's score interval (1927) on the effective number of items; other means:
    mean ± t(G-1)·SE, cluster-robust; ratios: percentile bootstrap over clusters, expanded.
    """
    low = high = float("nan")
    if of.clusters > 1:
        if of.metric.kind == "ratio":
            scores = _drawn(draws, seed, of)[0]
            low, high = np.quantile(scores, tails(of.clusters))
        elif of.metric.binary:
            low, high = wilson(of.score, _effective(of))
        else:
            half = t_quantile(of.clusters) * standard_error(of.values, of.groups)
            low, high = of.score - half, of.score + half
    return Estimate(value=of.score, low=float(low), high=float(high), n=of.n, clusters=of.clusters)


def compare(baseline: Sample, arm: Sample, *, seed: int = 0, draws: int = DRAWS) -> Difference:
    """The arm's score minus the baseline's on the items both have, with a 95 % interval and p.

    Means: d ± t(G-1)·SE(d), SE cluster-robust over the paired differences, p from the same t.
    0/1 values without clusters: Bonett and Price's interval and McNemar's mid-p. Ratios: the
    difference of the ratios, paired percentile bootstrap over clusters.
    """
    before, after = pair(baseline, arm)
    change = after.values - before.values
    better, worse = int((change > 0).sum()), int((change < 0).sum())
    n, method = before.n, "cluster_t"
    low = high = error = float("nan")
    p = 1.0
    if before.clusters > 1:
        error = standard_error(_linear(after) - _linear(before), before.groups)
        if before.metric.kind == "ratio":
            low, high, p = _resampled(before, after, draws, seed)
            method = "bootstrap"
        elif before.metric.binary and not before.clustered:
            low, high = bonett_price(better, worse, n)
            error = (high - low) / (2 * z_quantile())
            p, method = mcnemar_midp(better, worse), "mcnemar"
        else:
            low, high, p = student(float(change.mean()), error, before.clusters)
    if not before.metric.higher_is_better:
        better, worse = worse, better
    return Difference(
        value=after.score - before.score, low=float(low), high=float(high), p=float(p), n=n,
        clusters=before.clusters, fixed=better, broken=worse, method=method,
        detectable=detectable(error),
    )  # fmt: skip


def verdict(
    found: Difference,
    metric: Metric,
    *,
    p_adjusted: float | None = None,
    margin: float | None = None,
) -> Verdict:
    """The word for a difference.

    `better`/`worse`: p (Holm-adjusted, where given) is below 5 %. `within_margin`: the 95 %
    interval lies inside ± margin (stricter than TOST at 5 %, which takes the 90 % one).
    `undetermined`: neither. `too_few`: under 100 items, or a single cluster.
    """
    if found.n < FEWEST_ITEMS or found.clusters < 2:
        return "too_few"
    limit = metric.margin if margin is None else margin
    if (found.p if p_adjusted is None else p_adjusted) < 1 - LEVEL and found.value != 0:
        return "better" if (found.value > 0) == metric.higher_is_better else "worse"
    inside = -limit < found.low and found.high < limit
    return "within_margin" if inside else "undetermined"


def gain_recovered(
    base: Sample, fused: Sample, native: Sample, *, seed: int = 0, draws: int = DRAWS
) -> Recovery:
    """R = (fused - base) / (native - base), numerator and denominator resampled together.

    1: the fused adapter does all that training on this base does; 0: nothing; below 0: harm.
    R means little unless `reportable`: a ratio to a gain that may be 0 has no finite interval.
    """
    floor, middle, top = pair(base, fused, native)
    gains = [compare(floor, arm, seed=seed, draws=draws) for arm in (middle, top)]
    value = gains[0].value / gains[1].value if gains[1].value else float("nan")
    low = high = float("nan")
    if floor.clusters > 1:
        drawn = _drawn(draws, seed, floor, middle, top)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = (drawn[1] - drawn[0]) / (drawn[2] - drawn[0])
        ratios = ratios[~np.isnan(ratios)]
        if len(ratios):
            low, high = np.quantile(ratios, tails(floor.clusters), method="inverted_cdf")
    return Recovery(value=value, low=float(low), high=float(high), fused=gains[0], native=gains[1])


def _resampled(before: Sample, after: Sample, draws: int, seed: int) -> tuple[float, float, float]:
    """Interval and p = 2·(1 + draws beyond 0)/(B + 1) of a difference, as few clusters ask."""
    drawn = _drawn(draws, seed, before, after)
    change = drawn[1] - drawn[0]
    low, high = np.quantile(change, tails(before.clusters))
    beyond = min(int((change <= 0).sum()), int((change >= 0).sum()))
    p = min(1.0, 2 * (1 + beyond) / (draws + 1))
    return float(low), float(high), expanded(p, before.clusters)


def _linear(of: Sample) -> Floats:
    """Values whose mean varies as the score does: x of a mean, (x - R·w) / mean(w) of a ratio."""
    if of.metric.kind == "mean":
        return of.values
    return (of.values - of.score * of.weights) / of.weights.mean()


def _effective(of: Sample) -> float:
    """How many independent 0/1 items would have this standard error; G where nothing varies."""
    error = standard_error(of.values, of.groups)
    spread = of.score * (1 - of.score)
    return spread / error**2 if error > 0 and of.clustered else float(of.clusters)


def _drawn(draws: int, seed: int, *paired: Sample) -> Floats:
    """Resampled scores of samples of the same items; shape (samples, draws)."""
    tops = np.stack([each.values for each in paired])
    bottoms = np.stack([each.weights for each in paired])
    return bootstrap(tops, bottoms, paired[0].groups, draws=draws, seed=seed)


__all__ = [
    "METRICS", "Difference", "Estimate", "Metric", "Recovery", "Sample", "Verdict", "aggregate",
    "compare", "estimate", "gain_recovered", "holm", "metrics_of", "pair", "primary_metric",
    "sample", "verdict",
]  # fmt: skip
