"""Who beats whom, among the items on which two arms differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from shared.intervals import mcnemar_midp, standard_error, student
from shared.statistics import Sample, holm, pair


@dataclass(frozen=True, kw_only=True)
class Duel:
    """Two arms on one benchmark: how many items each did better, and whether that is chance."""

    benchmark: str
    arm: str
    other: str
    won: int
    lost: int
    #: Items on which both did the same; they decide nothing.
    same: int
    #: Two-sided p of "both win as often", Holm-adjusted over the pairs of the benchmark.
    p: float

    @property
    def share(self) -> float | None:
        """Of the items that differ, how many the arm won; None where none differs."""
        return self.won / (self.won + self.lost) if self.won + self.lost else None

    def turned(self) -> "Duel":
        """The same duel told from the other side."""
        return Duel(
            benchmark=self.benchmark, arm=self.other, other=self.arm, won=self.lost,
            lost=self.won, same=self.same, p=self.p,
        )  # fmt: skip


def duels(benchmark: str, samples: Mapping[str, Sample]) -> list[Duel]:
    """Every pair of arms of one benchmark, each pair once.

    p: McNemar's mid-p on won and lost; where items share clusters, a cluster-robust t test of the
    mean sign. `samples` hold the items under one metric.
    """
    found = [_duel(benchmark, one, other, samples) for one, other in combinations(samples, 2)]
    adjusted = holm([each.p for each in found])
    return [
        Duel(
            benchmark=each.benchmark, arm=each.arm, other=each.other, won=each.won,
            lost=each.lost, same=each.same, p=p,
        )
        for each, p in zip(found, adjusted, strict=True)
    ]  # fmt: skip


def _duel(benchmark: str, one: str, other: str, samples: Mapping[str, Sample]) -> Duel:
    here, there = pair(samples[one], samples[other])
    sign = 1 if here.metric.higher_is_better else -1
    # Ratio metrics are compared item by item as their own ratios.
    signs = sign * np.sign(here.values / here.weights - there.values / there.weights)
    won, lost = int((signs > 0).sum()), int((signs < 0).sum())
    p = mcnemar_midp(won, lost)
    if here.clustered and here.clusters > 1:
        p = student(float(signs.mean()), standard_error(signs, here.groups), here.clusters)[2]
    return Duel(
        benchmark=benchmark, arm=one, other=other, won=won, lost=lost,
        same=here.n - won - lost, p=p,
    )  # fmt: skip
