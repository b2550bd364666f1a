"""Intervals and p-values of plain arrays; `statistics` applies them to evaluations."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Groups = NDArray[np.int64]

LEVEL = 0.95
POWER = 0.80
#: Numbers a bootstrap holds at once.
_CHUNK = 1 << 22


def standard_error(values: Floats, groups: Groups) -> float:
    """Cluster-robust standard error of a mean (Liang and Zeger 1986), `values` of shape (n,).

    SE² = G/(G-1) · Σ_g (Σ_{i in g} (x_i - mean))² / n²; with one item a cluster this is s²/n.
    """
    sums = np.bincount(groups, weights=values - values.mean())
    count = len(sums)
    if count < 2:
        return float("nan")
    return float(np.sqrt(count / (count - 1) * (sums**2).sum()) / len(values))


def student(mean: float, error: float, clusters: int) -> tuple[float, float, float]:
    """t interval and p of a mean; without any spread, the mean itself is certain."""
    half = t_quantile(clusters) * error
    if error == 0:
        return mean, mean, 1.0 if mean == 0 else 0.0
    p = 2 * special.stdtr(clusters - 1, -abs(mean) / error)
    return mean - half, mean + half, float(p)


def wilson(share: float, n: float) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share seen on `n` (effective) items."""
    z2 = z_quantile() ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def bonett_price(better: int, worse: int, n: int) -> tuple[float, float]:
    """Interval of a paired difference of shares (Bonett and Price 2012): Wald after one more
    item of each kind of flip, so that few or no flips still leave a width."""
    up, down = (better + 1) / (n + 2), (worse + 1) / (n + 2)
    half = z_quantile() * np.sqrt((up + down - (up - down) ** 2) / (n + 2))
    return max(-1.0, float(up - down - half)), min(1.0, float(up - down + half))


def mcnemar_midp(better: int, worse: int) -> float:
    """McNemar's exact two-sided p with half the weight of the seen split.

    P(X ≤ min) + P(X < min), X ~ Binomial(better + worse, 1/2) (Fagerland, Lydersen, Laake 2013).
    """
    flips, fewer = better + worse, min(better, worse)
    if flips == 0:
        return 1.0
    at_most, fewer_still = special.bdtr([fewer, fewer - 1], flips, 0.5)
    return min(1.0, float(at_most + (fewer_still if fewer else 0.0)))


def bootstrap(tops: Floats, bottoms: Floats, groups: Groups, *, draws: int, seed: int) -> Floats:
    """Ratios of sums when clusters are drawn again with replacement (Efron 1979).

    `tops` and `bottoms` have shape (samples, n): the same clusters are drawn for every sample, so
    differences between samples stay paired. Returns shape (samples, draws).
    """
    count = int(groups.max()) + 1
    sums = [[np.bincount(groups, weights=row) for row in rows] for rows in (tops, bottoms)]
    generator = np.random.default_rng(seed)
    out = np.empty((len(tops), draws))
    step = max(1, _CHUNK // count)
    for start in range(0, draws, step):
        chosen = generator.integers(0, count, size=(min(step, draws - start), count))
        for place, (top, bottom) in enumerate(zip(*sums, strict=True)):
            out[place, start : start + step] = top[chosen].sum(1) / bottom[chosen].sum(1)
    return out


def tails(clusters: int) -> list[float]:
    """The two quantiles of a bootstrap that leave the confidence level between them.

    Drawn scores vary less than scores do, by sqrt((G-1)/G), and their spread is itself a guess;
    so the tails are taken further out, as far as t(G-1) is beyond the normal distribution
    (expanded percentiles, Hesterberg 2015). Of 40 clusters: 2.1 % instead of 2.5 %.
    """
    below = float(special.ndtr(-np.sqrt(clusters / (clusters - 1)) * t_quantile(clusters)))
    return [below, 1 - below]


def expanded(p: float, clusters: int) -> float:
    """A two-sided p read off bootstrap draws, corrected as `tails` corrects an interval."""
    beyond = special.ndtri(p / 2) * np.sqrt((clusters - 1) / clusters)
    return min(1.0, 2 * float(special.stdtr(clusters - 1, beyond)))


def detectable(error: float) -> float:
    """Smallest true difference shown with 80 % power at 5 %: (z(.975) + z(.80)) · SE."""
    return (z_quantile() + float(special.ndtri(POWER))) * error


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that hold the chance of any false claim in the family (Holm 1979).

    The i-th smallest of m is multiplied by m - i + 1, made monotone, and cut at 1.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def t_quantile(clusters: int) -> float:
    """How many standard errors an interval of G clusters reaches: t(G-1) at 97.5 %."""
    return float(special.stdtrit(clusters - 1, 0.5 + LEVEL / 2))


def z_quantile() -> float:
    """The same for many: 1.96 of the normal distribution."""
    return float(special.ndtri(0.5 + LEVEL / 2))
