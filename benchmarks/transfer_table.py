"""Gains recovered, their intervals and verdicts, from the study's lines.

R = (arm - base) / (native - base). Seeds and items are resampled independently (a crossed
bootstrap; every seed is judged on the same items), numerator and denominator together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.metrics import METRICS

Floats = NDArray[np.float64]
DRAWS = 2000
CONTROL = "control: "
#: What an arm has to be above before it may be called SUPPORTED; a study cut short lacks some.
CONTROLS = tuple(
    CONTROL + name
    for name in (
        "base as teacher", "answers shuffled", "sampled answers shuffled",
        "layers shuffled, copied", "layers shuffled", "random, same norm",
        "random maps", "another task's donor", "other natives",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """One arm on one host and task over all seeds."""

    #: (seeds, items): the summed values and their weights.
    tops: Floats
    bottoms: Floats
    rows: Sequence[Mapping[str, Any]]

    def scores(self, seeds: Floats, items: Floats) -> Floats:
        """(draws,): scores under weights (draws, seeds) and (draws, items)."""
        tops = np.einsum("ds,si,di->d", seeds, self.tops, items, optimize=True)
        return tops / np.einsum("ds,si,di->d", seeds, self.bottoms, items, optimize=True)

    @property
    def score(self) -> float:
        return float(self.tops.sum() / self.bottoms.sum())


Cell = dict[str, Arm]


def cells(rows: Sequence[Mapping[str, Any]], column: str = "values") -> dict[tuple[str, str], Cell]:
    """By (host, task) its arms, over the seeds that all of them have."""
    found: dict[tuple[str, str], dict[str, dict[int, Mapping[str, Any]]]] = {}
    for row in rows:
        if row["stage"] == "transfer":
            cell = found.setdefault((row["base"], row["task"]), {})
            cell.setdefault(row["arm"], {})[row["seed"]] = row
    judged = {key: arms for key, arms in found.items() if {"base", "native"} <= arms.keys()}
    return {key: _cell(arms, column) for key, arms in judged.items()}


def _cell(arms: Mapping[str, Mapping[int, Mapping[str, Any]]], column: str) -> Cell:
    """The arms over the seeds that all of them have; without such seeds, those of base and native,
    and of the other arms the ones that have them all."""
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in arms.values())))
    if not seeds:
        seeds = sorted(set(arms["base"]) & set(arms["native"]))
    cell: Cell = {}
    for name, by_seed in arms.items():
        if not set(seeds) <= set(by_seed):
            continue
        rows = [by_seed[seed] for seed in seeds]
        # What could not be made leaves the base as it is.
        values = [row.get(column) or arms["base"][row["seed"]][column] for row in rows]
        stacked = np.array(values, float)
        cell[name] = Arm(stacked[:, 0], stacked[:, 1], rows)
    return cell


def resampled(cell: Cell, seed: int = 0) -> dict[str, Floats]:
    """Each arm's scores over the draws, the same draws for every arm."""
    generator = np.random.default_rng(seed)
    seeds, items = cell["base"].tops.shape
    drawn_seeds = generator.multinomial(seeds, np.ones(seeds) / seeds, DRAWS).astype(float)
    drawn_items = generator.multinomial(items, np.ones(items) / items, DRAWS).astype(float)
    return {name: arm.scores(drawn_seeds, drawn_items) for name, arm in cell.items()}


def recovered(cell: Cell) -> dict[str, tuple[float, Floats]]:
    """By arm its R and R over the draws."""
    drawn = resampled(cell)
    base, native = cell["base"].score, cell["native"].score
    gain = native - base or float("nan")
    return {
        name: ((arm.score - base) / gain, (drawn[name] - drawn["base"]) / _solid(drawn))
        for name, arm in cell.items()
    }


def _solid(drawn: Mapping[str, Floats]) -> Floats:
    """The native gain of each draw; one that is 0 counts as none at all."""
    gain = drawn["native"] - drawn["base"]
    return np.where(gain == 0, np.nan, gain)


def usable(cell: Cell, metric: str) -> bool:
    """Whether the native gain is shown: its interval leaves out 0, on the good side."""
    drawn = resampled(cell)
    sign = 1 if METRICS[metric].higher_is_better else -1
    return bool(np.quantile(sign * (drawn["native"] - drawn["base"]), 0.025) > 0)


def interval(draws: Floats) -> tuple[float, float]:
    """The middle 95 %."""
    kept = draws[np.isfinite(draws)]
    if not len(kept):
        return float("nan"), float("nan")
    low, high = np.quantile(kept, [0.025, 0.975])
    return float(low), float(high)


def verdict(name: str, found: Mapping[str, tuple[float, Floats]], cell: Cell, cross: bool) -> str:
    """SUPPORTED: above every control in 97.5 % of the draws; UNVERIFIED: above those that were run,
    where others were not. HARM: below the base in as many."""
    if all(not row.get("values") for row in cell[name].rows) or all(
        row["why"] for row in cell[name].rows
    ):
        return "NO-OP"
    controls = [other for other in found if other.startswith(CONTROL)] + ["copy"] * cross
    rest = [found[other][1] for other in controls if other != name]
    low, high = interval(found[name][1])
    if high < 0:
        return "HARM"
    if rest and interval(found[name][1] - np.max(np.stack(rest), axis=0))[0] > 0 and low > 0:
        return _above(found)
    return "NO EFFECT" if low <= 0 else "NOT ABOVE CONTROLS"


def _above(arms: Mapping[str, Any]) -> str:
    """What to call an arm above all the controls among `arms`."""
    return "SUPPORTED" if arms.keys() >= set(CONTROLS) else "UNVERIFIED"


def table(rows: Sequence[Mapping[str, Any]], base: str, cross: bool) -> list[dict[str, Any]]:
    """One line an arm and task on one host, then the mean over the tasks with a native gain."""
    lines: list[dict[str, Any]] = []
    pooled: dict[str, list[tuple[float, Floats]]] = {}
    off = cells(rows, "off")
    for (host, task), cell in cells(rows).items():
        if host != base:
            continue
        metric = str(cell["base"].rows[0]["metric"])
        found, counts = recovered(cell), usable(cell, metric)
        for name, (value, draws) in found.items():
            low, high = interval(draws)
            if counts:
                pooled.setdefault(name, []).append((value, draws))
            change = off[host, task][name].score - off[host, task]["base"].score
            lines.append(
                {"task": task, "arm": name, metric_title(): cell[name].score, "metric": metric,
                 "R": value if counts else float("nan"),
                 "95 %": f"[{low:.2f}, {high:.2f}]" if counts else "no native gain",
                 "verdict": verdict(name, found, cell, cross) if _judged(name) else "",
                 "off-task bits/byte": change,
                 "minutes": float(np.mean([row["minutes"] for row in cell[name].rows])),
                 "labels": cell[name].rows[0]["labels"], "seeds": len(cell[name].rows)}
            )  # fmt: skip
    return lines + _pooled(pooled, cross)


def metric_title() -> str:
    """Heading of the task's own score."""
    return "score"


def _judged(name: str) -> bool:
    ours = ("base", "native", "native, few labels")
    return name not in ours and not name.startswith(("ceiling", CONTROL))


def _pooled(found: Mapping[str, list[tuple[float, Floats]]], cross: bool) -> list[dict[str, Any]]:
    """The mean R over tasks, tasks being fixed."""
    means = {
        name: (
            float(np.mean([value for value, _ in each])),
            np.mean(np.stack([draws for _, draws in each]), axis=0),
        )
        for name, each in found.items()
    }
    controls = [name for name in means if name.startswith(CONTROL)] + ["copy"] * cross
    lines = []
    for name, (value, draws) in means.items():
        low, high = interval(draws)
        rest = [means[other][1] for other in controls if other != name]
        above = interval(draws - np.max(np.stack(rest), axis=0))[0] > 0 if rest else False
        word = "HARM" if high < 0 else "NO EFFECT" if low <= 0 else "NOT ABOVE CONTROLS"
        word = _above(means) if above and low > 0 else word
        word = word if np.any(draws) else "NO-OP"
        lines.append(
            {"task": f"mean of {len(found[name])}", "arm": name, metric_title(): float("nan"),
             "metric": "", "R": value, "95 %": f"[{low:.2f}, {high:.2f}]",
             "verdict": word if _judged(name) else "", "off-task bits/byte": float("nan"),
             "minutes": float("nan"), "labels": 0, "seeds": ""}
        )  # fmt: skip
    return lines


def best(rows: Sequence[Mapping[str, Any]], base: str, cross: bool) -> tuple[str, float, float]:
    """The label-free method with the highest mean R on a host: its name, R, and lower limit."""
    free = [
        line
        for line in table(rows, base, cross)
        if str(line["task"]).startswith("mean")
        and _judged(line["arm"])
    ]  # fmt: skip
    if not free:
        return "none", float("nan"), float("nan")
    top = max(free, key=lambda line: line["R"])
    return top["arm"], top["R"], float(str(top["95 %"]).strip("[]").split(",")[0])
