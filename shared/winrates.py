"""Votes between pairs of arms as strengths (Bradley and Terry 1952) and a matrix of win rates."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from shared.intervals import Floats, wilson, z_quantile

Outcome = Literal["a", "b", "tie"]
#: Two arms, and which of them was preferred.
Vote = tuple[str, str, Outcome]

_STEPS, _CLOSE = 100, 1e-10


@dataclass(frozen=True, kw_only=True)
class PairRate:
    """How often an arm was preferred to another one, ties as half; Wilson's 95 % interval."""

    value: float
    low: float
    high: float
    wins: int
    losses: int
    ties: int

    @property
    def votes(self) -> int:
        return self.wins + self.losses + self.ties


@dataclass(frozen=True, kw_only=True)
class Strength:
    """An arm on the log-odds scale, with its 95 % interval; the mean of its group is 0.

    Strengths of different groups say nothing about each other: no chain of votes links them.
    """

    arm: str
    value: float
    low: float
    high: float
    votes: int
    group: int


@dataclass(frozen=True, kw_only=True)
class WinRates:
    """What the votes say, strongest arm first."""

    strengths: list[Strength]
    #: (arm, other): the arm's own votes against that other one; both orders are there.
    pairs: dict[tuple[str, str], PairRate]
    #: How often the arm named first won; far from one half, the place on the screen decided.
    first: PairRate
    #: Some arm only won or only lost, so half a vote each way was added to every pair seen.
    smoothed: bool


def win_rates(votes: Iterable[Vote]) -> WinRates:
    """Fit P(i is preferred to j) = 1 / (1 + exp(s_j - s_i)) by maximum likelihood.

    A tie is half a vote for each. Intervals are s ± 1.96 · sqrt of the inverse Fisher information
    (within a group, strengths sum to 0). The maximum is finite only where arms that won can be
    reached from arms that lost (Ford 1957); elsewhere see `smoothed`. Raises ValueError for a
    vote of an arm against itself or an unknown outcome.
    """
    counts: Counter[Vote] = Counter(votes)
    for one, other, outcome in counts:
        if one == other or outcome not in ("a", "b", "tie"):
            raise ValueError(f"not a vote: {one!r}, {other!r}, {outcome!r}")
    arms = sorted({arm for vote in counts for arm in vote[:2]})
    place = {arm: row for row, arm in enumerate(arms)}
    won, tied = np.zeros((len(arms), len(arms))), np.zeros((len(arms), len(arms)))
    for (one, other, outcome), count in counts.items():
        a, b = place[one], place[other]
        if outcome == "tie":
            tied[a, b] += count
            tied[b, a] += count
        else:
            won[(a, b) if outcome == "a" else (b, a)] += count
    return WinRates(
        strengths=_strengths(arms, won, tied),
        pairs={
            (arms[i], arms[j]): _rate(float(won[i, j]), float(won[j, i]), float(tied[i, j]))
            for i, j in zip(*np.nonzero(won + won.T + tied), strict=True)
        },
        first=_rate(*(sum(n for v, n in counts.items() if v[2] == kind) for kind in _KINDS)),
        smoothed=not _linked(won + tied / 2),
    )


_KINDS: tuple[Outcome, ...] = ("a", "b", "tie")


def _rate(wins: float, losses: float, ties: float) -> PairRate:
    n = wins + losses + ties
    value = (wins + ties / 2) / n if n else float("nan")
    low, high = wilson(value, n) if n else (float("nan"), float("nan"))
    return PairRate(
        value=float(value), low=low, high=high, wins=int(wins), losses=int(losses), ties=int(ties)
    )


def _strengths(arms: Sequence[str], won: Floats, tied: Floats) -> list[Strength]:
    if not arms:
        return []
    points = won + tied / 2
    seen = points + points.T
    if not _linked(points):
        points = points + 0.5 * (seen > 0)
    value, error = _fitted(points)
    half, groups = z_quantile() * error, _groups(seen)
    found = [
        Strength(
            arm=arm, value=float(value[i]), low=float(value[i] - half[i]),
            high=float(value[i] + half[i]), votes=int(seen[i].sum()), group=int(groups[i]),
        )
        for i, arm in enumerate(arms)
    ]  # fmt: skip
    return sorted(found, key=lambda each: (each.group, -each.value, each.arm))


def _fitted(points: Floats) -> tuple[Floats, Floats]:
    """Strengths and their standard errors, by Newton's method from points (winner, loser).

    The information has one null direction a group (adding to all of it changes nothing), which
    the pseudo-inverse leaves alone: every step, and so every group's sum, stays 0 there.
    """
    value, games = np.zeros(len(points)), points + points.T
    information = np.zeros_like(points)
    for _ in range(_STEPS):
        share = 1 / (1 + np.exp(value[None, :] - value[:, None]))
        weight = games * share * (1 - share)
        information = np.diag(weight.sum(1)) - weight
        step = np.linalg.pinv(information, hermitian=True) @ (points - games * share).sum(1)
        # Newton overshoots far from the maximum; two units of log-odds a step never do.
        value = value + step * min(1.0, 2 / max(1e-30, float(np.abs(step).max(initial=0))))
        if np.abs(step).max(initial=0) < _CLOSE:
            break
    inverse = np.linalg.pinv(information, hermitian=True)
    return value, np.sqrt(np.clip(np.diag(inverse), 0, None))


def _linked(points: Floats) -> bool:
    """Whether each arm of each group reaches every other one through arms that took points."""
    reach = _closure(points > 0)
    return bool((reach == reach.T).all())


def _groups(seen: Floats) -> np.ndarray:
    """The group of each arm: the first arm that a chain of votes leads to."""
    return _closure(seen > 0).argmax(1)


def _closure(edges: np.ndarray) -> np.ndarray:
    reach = edges | np.eye(len(edges), dtype=bool)
    for middle in range(len(reach)):
        reach = reach | (reach[:, middle, None] & reach[None, middle])
    return reach
