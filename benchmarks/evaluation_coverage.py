"""False positives and interval coverage of our statistics on comparisons whose truth is known.

`python -m benchmarks.evaluation_coverage [--runs 1000] [--items 200] [--quick] [--json]`: for
shares (accuracy), means (ROUGE) and ratios (bits per byte), each with independent items and with
items in clusters of five, `--runs` comparisons of two equal arms (how often p < 5 %) and as many of
two unequal ones (how often the 95 % interval holds the true difference). The arms go through
`shared.statistics` as a page's do. RESULT gives the case furthest from 5 % and from 95 %;
by chance alone a thousand runs stray by 1.4.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from benchmarks.report import result, show
from shared.metrics import METRICS
from shared.statistics import Sample, compare

#: Items of a cluster, and the spread of what an arm's answers in one cluster have in common.
CLUSTER, COMMON = 5, 0.8
#: How much harder or easier an item is for both arms, and each arm's own luck on it.
ITEM, LUCK = 1.0, 0.45
#: Shift of the better arm in unequal comparisons, in units of the latent scale.
SHIFT = 0.25
DRAWS = 2000

#: Latent answers of one arm, shape (n,), and the shift that was added -> values and weights.
Measured = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Kind:
    """One kind of metric: how latent answers become its values, and the true difference."""

    metric: str
    measure: Measured
    #: True score at a shift, given the latent answers' standard deviation.
    truth: Callable[[float, float], float]


def _share(latent: np.ndarray, _: np.ndarray) -> np.ndarray:
    return (latent > -0.3).astype(float)


def _mean(latent: np.ndarray, _: np.ndarray) -> np.ndarray:
    # Skewed, as F-scores are; the mean of exp(x/2) is known.
    return np.exp(latent / 2)


def _bits(latent: np.ndarray, size: np.ndarray) -> np.ndarray:
    return size * (1.2 + 0.2 * latent)


KINDS = (
    Kind("accuracy", _share, lambda shift, spread: float(norm.cdf((0.3 + shift) / spread))),
    Kind("rougeL", _mean, lambda shift, spread: float(np.exp(shift / 2 + spread**2 / 8))),
    Kind("bits_per_byte", _bits, lambda shift, spread: 1.2 + 0.2 * shift),
)


def arms(
    kind: Kind, items: int, clustered: bool, shift: float, generator: np.random.Generator
) -> tuple[Sample, Sample]:
    """Two arms on the same items, the second one better by `shift`."""
    metric = METRICS[kind.metric]
    groups = np.arange(items) // (CLUSTER if clustered else 1)
    shared = generator.normal(size=items) * ITEM
    size = generator.integers(30, 300, items).astype(float)
    made = []
    for extra in (0.0, shift):
        own = generator.normal(size=items) * LUCK
        if clustered:
            own = own + generator.normal(size=groups.max() + 1)[groups] * COMMON
        values = kind.measure(shared + own + extra, size)
        weights = size if metric.kind == "ratio" else np.ones(items)
        names = tuple(str(number) for number in range(items))
        made.append(Sample(metric, names, values, weights, groups.astype(np.int64)))
    return made[0], made[1]


def rates(
    kind: Kind, items: int, clustered: bool, runs: int, seed: int
) -> tuple[float, float, float]:
    """Percent of equal arms called different, percent of intervals that hold the truth, mean
    width of those intervals."""
    generator = np.random.default_rng(seed)
    spread = float(np.sqrt(ITEM**2 + LUCK**2 + (COMMON**2 if clustered else 0)))
    true = kind.truth(SHIFT, spread) - kind.truth(0.0, spread)
    called = held = 0
    widths = []
    for run in range(runs):
        equal = compare(*arms(kind, items, clustered, 0.0, generator), seed=run, draws=DRAWS)
        called += equal.p < 0.05
        found = compare(*arms(kind, items, clustered, SHIFT, generator), seed=run, draws=DRAWS)
        held += found.low <= true <= found.high
        widths.append(found.high - found.low)
    return 100 * called / runs, 100 * held / runs, float(np.mean(widths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="100 runs")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    options = parser.parse_args()
    runs = 100 if options.quick else options.runs
    rows = []
    for kind in KINDS:
        for clustered in (False, True):
            false, coverage, width = rates(kind, options.items, clustered, runs, len(rows))
            rows.append({
                "metric": kind.metric, "clusters of": CLUSTER if clustered else 1, "runs": runs,
                "false positives %": false, "coverage %": coverage, "mean width": width,
            })  # fmt: skip
    show(f"equal and unequal arms on {options.items} items", rows, as_json=options.json)
    result(
        false_positive_pct=max(
            (row["false positives %"] for row in rows), key=lambda x: abs(x - 5)
        ),
        coverage_pct=max((row["coverage %"] for row in rows), key=lambda x: abs(x - 95)),
    )


if __name__ == "__main__":
    main()
