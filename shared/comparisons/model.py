"""ComparisonTable: a comparison as plain data, before anything is drawn or printed."""

import math
from dataclasses import dataclass, field
from typing import Any

from shared.comparisons.duels import Duel
from shared.comparisons.looks import Look
from shared.comparisons.study import Study
from shared.errors import Language
from shared.metrics import ALL, Metric
from shared.statistics import Difference, Estimate, Verdict


@dataclass(frozen=True, kw_only=True)
class Column:
    """One benchmark read by its primary metric, in one language or in all of them."""

    benchmark: str
    shape: str
    metric: Metric
    language: str
    #: The languages of the benchmark's items, e.g. ("en", "zh").
    languages: tuple[str, ...]

    @property
    def primary(self) -> bool:
        """All languages together: these cells decide, the others break them down."""
        return self.language == ALL

    @property
    def key(self) -> str:
        return f"{self.benchmark}/{self.metric.name}/{self.language}"

    @property
    def spoken(self) -> str:
        """The language of its items: the only one there is, or `all`."""
        return self.languages[0] if self.primary and len(self.languages) == 1 else self.language


@dataclass(frozen=True, kw_only=True)
class Cell:
    """An arm's score in a column and, where it may be compared, its difference to the baseline."""

    estimate: Estimate
    difference: Difference | None = None
    #: Holm-adjusted over the table's primary cells, or over its cells by language.
    p_adjusted: float | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, kw_only=True)
class Arm:
    """The base or an adapter, with a cell for each column it was scored in."""

    name: str
    adapter: str | None
    #: base, train, or the fusion method that made the adapter.
    method: str
    is_baseline: bool
    #: By `Column.key`.
    cells: dict[str, Cell]
    #: By benchmark.
    evaluations: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class NoOpArm:
    """A fusion onto this base that would have changed nothing, so there was nothing to score."""

    name: str
    method: str
    job_id: str
    #: The job's error record, see `shared.errors.explain`.
    error: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Why an arm cannot be compared to the baseline on a benchmark."""

    benchmark: str
    arm: str
    #: "content" (the benchmark files differ), "items" (the scored items do), or an engine fact.
    fact: str
    here: str
    baseline: str

    def sentence(self, language: Language) -> str:
        """The reason, for a reader."""
        fact = self.fact
        if language == "zh":
            fact = {"content": "评测文件内容", "items": "评测条目"}.get(fact, fact)
            return (
                f"不可比：{self.benchmark} 上 {self.arm} 的{fact}（{self.here}）与基线"
                f"（{self.baseline}）不同。请在一次评测中重新评各方。"
            )
        fact = {"content": "benchmark file", "items": "scored items"}.get(fact, fact)
        return (
            f"Not comparable: on {self.benchmark} the {fact} of {self.arm} ({self.here}) is not "
            f"the baseline's ({self.baseline}). Score all arms again in one evaluation."
        )


@dataclass(frozen=True, kw_only=True)
class ComparisonTable:
    """Arms (baseline first) by columns.

    Where `comparable` is false, `conflicts` says why, and the cells it names have no difference.
    """

    name: str
    job_id: str | None
    base_model: str
    baseline: str
    user: str
    created_at: float
    conflicts: list[Conflict]
    columns: list[Column]
    arms: list[Arm]
    no_ops: list[NoOpArm]
    #: Gains recovered, where the evaluation named native arms.
    study: Study | None = None
    #: Every pair of arms on every benchmark; empty where the arms cannot be compared.
    duels: list[Duel] = field(default_factory=list)
    #: How often each benchmark's test half had been looked at.
    looks: list[Look] = field(default_factory=list)
    #: What the baseline's evaluations ran on: dtype, template, versions.
    engine: dict[str, Any] = field(default_factory=dict)

    @property
    def comparable(self) -> bool:
        return not self.conflicts

    def arm(self, name: str) -> Arm:
        """The arm of that name. Raises KeyError."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    def column(self, key: str) -> Column:
        """The column of that key. Raises KeyError."""
        for column in self.columns:
            if column.key == key:
                return column
        raise KeyError(key)


def number(value: float | None) -> float | None:
    """A number that JSON can hold: what could not be computed (NaN, infinite) is None."""
    return value if value is not None and math.isfinite(value) else None


#: Spreadsheets run a cell that starts with one of these as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
