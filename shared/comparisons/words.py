"""The words of a printed comparison, in both languages, and how its numbers are written."""

import math

from shared.comparisons.model import Arm, Cell, Column, ComparisonTable
from shared.errors import Language
from shared.metrics import Metric
from shared.statistics import Difference, Estimate, Verdict

VERDICTS: dict[Verdict, dict[Language, str]] = {
    "better": {"en": "better", "zh": "更好"},
    "worse": {"en": "worse", "zh": "更差"},
    "within_margin": {"en": "within margin", "zh": "界内相当"},
    "undetermined": {"en": "undetermined", "zh": "无法判定"},
    "too_few": {"en": "too few items", "zh": "条数太少"},
}

HEADINGS: dict[str, dict[Language, str]] = {
    "arm": {"en": "arm", "zh": "参评方"},
    "items": {"en": "items", "zh": "条数"},
    "score": {"en": "score [95 % CI]", "zh": "得分 [95 % 区间]"},
    "difference": {"en": "difference [95 % CI]", "zh": "差值 [95 % 区间]"},
    "verdict": {"en": "verdict", "zh": "结论"},
    "flips": {"en": "fixed/broken", "zh": "变好/变差"},
    "p": {"en": "p (Holm)", "zh": "p (Holm)"},
    "baseline": {"en": "baseline", "zh": "基线"},
    "higher": {"en": "higher is better", "zh": "越高越好"},
    "lower": {"en": "lower is better", "zh": "越低越好"},
    "all": {"en": "all languages", "zh": "全部语言"},
    "en": {"en": "English", "zh": "英文"},
    "zh": {"en": "Chinese", "zh": "中文"},
}

#: Where a number does not exist.
NONE = "–"


def heading(word: str, language: Language) -> str:
    """A fixed word of the table; the word itself where it has no translation."""
    return HEADINGS.get(word, {}).get(language, word)


def verdict_text(cell: Cell, metric: Metric, language: Language) -> str:
    """The verdict; one that says nothing says what it could have seen."""
    if cell.verdict is None or cell.difference is None:
        return NONE
    word = VERDICTS[cell.verdict][language]
    seen = cell.difference.detectable
    if cell.verdict in ("undetermined", "too_few") and math.isfinite(seen):
        shows = "could show" if language == "en" else "可检出"
        return f"{word} ({shows} ≥ {points(seen, metric, signed=False)})"
    return word


def score(value: float, metric: Metric) -> str:
    """A score in the metric's unit: percent, or plain with three digits."""
    if not math.isfinite(value):
        return NONE
    return f"{value * 100:.1f} %" if metric.percent else f"{value:.3f}"


def points(value: float, metric: Metric, *, signed: bool = True) -> str:
    """A difference in the metric's unit: percentage points, or plain."""
    if not math.isfinite(value):
        return NONE
    return _number(value, metric, signed=signed) + (" pp" if metric.percent else "")


def _number(value: float, metric: Metric, *, signed: bool) -> str:
    scaled, digits = (value * 100, 1) if metric.percent else (value, 3)
    # Without adding zero, a rounded -0.04 would read -0.0.
    return f"{round(scaled, digits) + 0.0:{'+' if signed else ''}.{digits}f}"


def interval(of: Estimate | Difference, metric: Metric, *, signed: bool) -> str:
    """Both ends of an interval, without the unit; empty where there is none."""
    if not (math.isfinite(of.low) and math.isfinite(of.high)):
        return ""
    ends = (_number(end, metric, signed=signed) for end in (of.low, of.high))
    return f"[{', '.join(ends)}]"


def score_text(of: Estimate, metric: Metric) -> str:
    """`41.2 % [36.0, 46.5]`"""
    return f"{score(of.value, metric)} {interval(of, metric, signed=False)}".strip()


def difference_text(of: Difference, metric: Metric) -> str:
    """`+6.0 pp [+3.2, +8.5]`"""
    return f"{points(of.value, metric)} {interval(of, metric, signed=True)}".strip()


def p_text(p: float | None) -> str:
    """A p-value to three digits, never `0.000`."""
    if p is None:
        return NONE
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def column_title(column: Column, language: Language) -> str:
    """`sst2_en · Accuracy · English (higher is better)`"""
    way = heading("higher" if column.metric.higher_is_better else "lower", language)
    spoken = heading(column.spoken, language)
    return f"{column.benchmark} · {column.metric.title[language]} · {spoken} ({way})"


def arm_title(arm: Arm, language: Language) -> str:
    """The arm's name, marked where it is the baseline."""
    return f"{arm.name} ({heading('baseline', language)})" if arm.is_baseline else arm.name


def table_title(table: ComparisonTable, language: Language) -> str:
    """`Comparison NAME: base BASE, baseline ARM`"""
    if language == "zh":
        return f"对比 {table.name}：底座 {table.base_model}，基线 {table.baseline}"
    return f"Comparison {table.name}: base {table.base_model}, baseline {table.baseline}"
