"""How much of a native adapter's gain an arm has, judged against controls: R and a verdict.

R = (arm - base) / (native - base). Seeds and items are resampled independently (a crossed
bootstrap: every seed is judged on the same items), numerator and denominator together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from shared.intervals import Floats, tails
from shared.statistics import FEWEST_ITEMS, Sample, pair

#: `supported`: the arm gains and is above every control in 97.5 % of the draws; `harm`: it is below
#: the base in as many; `no_effect`: neither; `unverified`: too few items, no control, or no gain of
#: the native adapter to recover.
Finding = Literal["supported", "no_effect", "harm", "unverified"]
DRAWS = 2000

#: One arm's samples of the same items, one a seed.
Seeds = Sequence[Sample]


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What one arm recovered of the native gain on one benchmark."""

    #: R with its 95 % interval; NaN where the native gain is not shown.
    value: float
    low: float
    high: float
    #: The arm's score minus the base's, in the metric's unit, mean over seeds.
    change: float
    finding: Finding
    #: The control that came nearest, or was not beaten; empty without controls.
    nearest: str


def recovered(
    base: Sample, native: Seeds, arms: Mapping[str, Seeds], controls: Mapping[str, Seeds]
) -> dict[str, Gain]:
    """By name the gain of every arm and control; a control is judged against the others."""
    everyone = {**arms, **controls}
    drawn = _Drawn([base], native, everyone)
    floor, top = drawn.floor, drawn.top
    sign = 1.0 if base.metric.higher_is_better else -1.0
    ends = tails(max(2, drawn.clusters))
    shown = np.quantile(sign * (top[1:] - floor[1:]), ends[0]) > 0 and drawn.enough
    found: dict[str, Gain] = {}
    for name, own in drawn.arms.items():
        rest = {other: drawn.arms[other] for other in controls if other != name}
        found[name] = _gain(own, floor, top, rest, sign, bool(shown), ends)
    return found


def _gain(
    own: Floats,
    floor: Floats,
    top: Floats,
    rest: Mapping[str, Floats],
    sign: float,
    shown: bool,
    tail: list[float],
) -> Gain:
    """Arrays hold the point first, then the draws; `tail`: both quantiles of an interval."""
    change = sign * (own - floor)
    low, high = np.quantile(change[1:], tail)
    nearest = max(rest, key=lambda name: float(sign * rest[name][0]), default="")
    finding: Finding = "no_effect"
    if not shown or not rest:
        finding = "unverified"
    elif high < 0:
        finding = "harm"
    elif low > 0:
        best = np.max(np.stack([sign * values[1:] for values in rest.values()]), axis=0)
        if np.quantile(sign * own[1:] - best, tail[0]) > 0:
            finding = "supported"
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (own - floor) / (top - floor)
    kept = ratio[1:][np.isfinite(ratio[1:])]
    ends = np.quantile(kept, tail) if shown and len(kept) else (np.nan, np.nan)
    return Gain(
        value=float(ratio[0]) if shown else float("nan"), low=float(ends[0]), high=float(ends[1]),
        change=float(own[0] - floor[0]), finding=finding, nearest=nearest,
    )  # fmt: skip


class _Drawn:
    """Scores of base, native and arms: the point, then the same resamples of each."""

    def __init__(self, base: Seeds, native: Seeds, arms: Mapping[str, Seeds]) -> None:
        flat = pair(*base, *native, *(each for seeds in arms.values() for each in seeds))
        groups = flat[0].groups
        self.clusters = flat[0].clusters
        self.enough = flat[0].n >= FEWEST_ITEMS and self.clusters > 1
        count, seeds = max(1, flat[0].clusters), max(map(len, (native, *arms.values())))
        generator = np.random.default_rng(0)
        items = generator.multinomial(count, np.ones(count) / count, DRAWS)
        draws = generator.multinomial(seeds, np.ones(seeds) / seeds, DRAWS)
        self._items = np.vstack([np.ones((1, count)), items]).astype(float)
        self._seeds = np.vstack([np.ones((1, seeds)), draws]).astype(float)
        rest = iter(flat)
        self.floor = self._scores([next(rest) for _ in base], groups)
        self.top = self._scores([next(rest) for _ in native], groups)
        self.arms = {
            name: self._scores([next(rest) for _ in of], groups) for name, of in arms.items()
        }

    def _scores(self, of: Seeds, groups: np.ndarray) -> Floats:
        """(1 + draws,); an arm of fewer seeds stands for the missing ones again."""
        width = self._items.shape[1]
        rows = [of[place % len(of)] for place in range(self._seeds.shape[1])]
        tops = np.stack([np.bincount(groups, each.values, width) for each in rows])
        bottoms = np.stack([np.bincount(groups, each.weights, width) for each in rows])
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.einsum("ds,si,di->d", self._seeds, tops, self._items, optimize=True) / (
                np.einsum("ds,si,di->d", self._seeds, bottoms, self._items, optimize=True)
            )
