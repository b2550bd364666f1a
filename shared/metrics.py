"""METRICS: what Graft measures on an item, which way is better, and how items become a score."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from shared.errors import Language

Shape = Literal["choice", "generate", "continuation", "instruct"]
#: All languages of a benchmark together.
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number an evaluation reports.

    A `mean` metric's score is the mean of the items' values. A `ratio` metric's score is the sum
    of the items' `numerator` over the sum of their `denominator`: long items weigh more, as they
    must (the mean of ratios would let one short line outweigh a page).
    """

    name: str
    title: dict[Language, str]
    shape: Shape
    higher_is_better: bool
    kind: Literal["mean", "ratio"] = "mean"
    numerator: str = ""
    denominator: str = ""
    #: Each item's value is 0 or 1, so the score is a share and items can be fixed or broken.
    binary: bool = False
    #: Shown as a percentage.
    percent: bool = False
    #: Differences smaller than this are taken as none; in the metric's own unit.
    margin: float = 0.0
    #: The one metric of its shape whose verdict counts; the others explain it.
    primary: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The item values it is computed from."""
        return (self.numerator, self.denominator) if self.kind == "ratio" else (self.name,)


def _share(name: str, en: str, zh: str, shape: Shape, **other: bool | float) -> Metric:
    binary, higher = bool(other.get("binary", True)), bool(other.get("higher_is_better", True))
    return Metric(
        name=name, title={"en": en, "zh": zh}, shape=shape, higher_is_better=higher,
        binary=binary, percent=True, margin=0.02, primary=bool(other.get("primary", False)),
    )  # fmt: skip


_ALL_METRICS = (
    _share("accuracy", "Accuracy", "准确率", "choice", primary=True),
    _share("accuracy_bytes", "Accuracy (by likelihood a byte)", "按字节归一准确率", "choice"),
    Metric(
        name="margin", title={"en": "Margin (nats)", "zh": "间隔（nat）"}, shape="choice",
        higher_is_better=True, margin=0.05,
    ),
    _share("rouge1", "ROUGE-1", "ROUGE-1", "generate", binary=False),
    _share("rouge2", "ROUGE-2", "ROUGE-2", "generate", binary=False),
    _share("rougeL", "ROUGE-L", "ROUGE-L", "generate", binary=False, primary=True),
    _share("chrf", "chrF", "chrF", "generate", binary=False),
    _share("f1", "Token F1", "词元 F1", "generate", binary=False),
    _share("exact_match", "Exact match", "完全匹配", "generate"),
    _share("unfinished", "Cut at the limit", "因上限中断", "generate", higher_is_better=False),
    _share("in_language", "In the asked language", "语言一致", "generate"),
    _share("distinct2", "Distinct bigrams", "二元组多样性", "generate", binary=False),
    _share("repetition", "Repeated 4-grams", "四元组重复率", "generate", binary=False,
           higher_is_better=False),
    _share("followed", "Instructions followed", "指令全部遵循", "instruct", primary=True),
    _share("checks", "Checks passed", "通过的检查", "instruct", binary=False),
    Metric(
        name="bits_per_byte", title={"en": "Bits per byte", "zh": "每字节比特数"},
        shape="continuation", higher_is_better=False, kind="ratio",
        numerator="bits", denominator="bytes", margin=0.01, primary=True,
    ),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL_METRICS}


def metrics_of(shape: Shape | str) -> list[Metric]:
    """The metrics of a shape, the primary one first. Empty for a shape Graft does not know."""
    found = [metric for metric in METRICS.values() if metric.shape == shape]
    return sorted(found, key=lambda metric: not metric.primary)


def primary_metric(shape: Shape | str) -> Metric:
    """The metric a verdict on that shape is given by. Raises KeyError for an unknown shape."""
    for metric in metrics_of(shape):
        if metric.primary:
            return metric
    raise KeyError(shape)


class Scored(Protocol):
    """An item with its language and values."""

    @property
    def lang(self) -> str: ...
    @property
    def values(self) -> Mapping[str, float]: ...


def aggregate(items: Iterable[Scored], shape: Shape) -> dict[str, dict[str, float]]:
    """Scores of one arm on one benchmark: {metric: {language or "all": value}}.

    A metric that came later than the items, so that none has its value, is left out.
    """
    groups: dict[str, list[Mapping[str, float]]] = {ALL: []}
    for item in items:
        groups[ALL].append(item.values)
        groups.setdefault(item.lang, []).append(item.values)
    return {
        metric.name: {group: score(metric, values) for group, values in groups.items() if values}
        for metric in metrics_of(shape)
        if any(metric.keys[0] in values for values in groups[ALL])
    }


def score(metric: Metric, values: Iterable[Mapping[str, float]]) -> float:
    """A metric over items: the mean of their values, or the ratio of two sums."""
    rows = list(values)
    top = sum(row[metric.keys[0]] for row in rows)
    bottom = sum(row[metric.denominator] for row in rows) if metric.kind == "ratio" else len(rows)
    return top / bottom
