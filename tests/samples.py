"""Samples made of plain numbers, for tests of the statistics."""

import numpy as np

from shared.evaluations import ItemRow
from shared.metrics import METRICS, Metric
from shared.statistics import Sample

MARGIN, ACCURACY, BITS = METRICS["margin"], METRICS["accuracy"], METRICS["bits_per_byte"]


def made(metric: Metric, values, weights=None, groups=None) -> Sample:
    values = np.asarray(values, float)
    count = len(values)
    return Sample(
        metric,
        tuple(str(number) for number in range(count)),
        values,
        np.ones(count) if weights is None else np.asarray(weights, float),
        np.arange(count) if groups is None else np.asarray(groups),
    )


def row(name: str, cluster: str | None = None, lang: str = "en", **values: float) -> ItemRow:
    return ItemRow(item_id=name, item_hash=name, lang=lang, cluster=cluster, values=values)
