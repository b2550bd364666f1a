"""A study as rows of words in both languages, for a terminal, Markdown and the dashboard."""

import math

from shared.comparisons import words
from shared.comparisons.study import Study, StudyRow
from shared.errors import Language
from shared.metrics import Metric
from shared.recovery import Finding

FINDINGS: dict[Finding, dict[Language, str]] = {
    "supported": {"en": "SUPPORTED", "zh": "有效"},
    "no_effect": {"en": "NO EFFECT", "zh": "无作用"},
    "harm": {"en": "HARM", "zh": "有害"},
    "unverified": {"en": "UNVERIFIED", "zh": "未证实"},
}
ROLES: dict[str, dict[Language, str]] = {
    "arm": {"en": "", "zh": ""},
    "control": {"en": "control", "zh": "对照"},
    "native": {"en": "native", "zh": "原生"},
}
TITLE: dict[Language, str] = {"en": "Gain recovered", "zh": "增益恢复率"}
LEGEND: dict[Language, str] = {
    "en": (
        "R = (arm - base) / (native - base). SUPPORTED: gains, and above every control in 97.5 % "
        "of the resamples; HARM: below the base in as many; UNVERIFIED: no native gain to "
        "recover, under 100 items, or no control."
    ),
    "zh": (
        "R =（该方 - 底座）/（原生 - 底座）。有效：有增益，且在 97.5 % 的重抽样中高于所有对照；"
        "有害：同样比例低于底座；未证实：原生适配器没有可恢复的增益、条数不足 100 或没有对照。"
    ),
}
_HEADINGS: dict[Language, list[str]] = {
    "en": ["arm", "role", "R [95 % CI]", "change", "broken", "nearest control", "verdict"],
    "zh": ["参评方", "角色", "R [95 % 区间]", "变化", "变差", "最接近的对照", "结论"],
}
_FORGOTTEN: dict[Language, list[str]] = {
    "en": ["arm", "off-task change [95 % CI]"],
    "zh": ["参评方", "任务外变化 [95 % 区间]"],
}


def headings(language: Language) -> list[str]:
    """Of `gain_row`."""
    return _HEADINGS[language]


def off_headings(language: Language) -> list[str]:
    """Of `off_rows`."""
    return _FORGOTTEN[language]


def gain_row(row: StudyRow, metric: Metric, language: Language) -> list[str]:
    """One arm: R and its interval, the change in the metric's unit, flips, verdict."""
    judged = row.role == "arm"
    return [
        row.arm,
        ROLES[row.role][language],
        ratio_text(row),
        words.points(row.gain.change, metric),
        f"{row.broken:.0f}/{row.items}",
        row.gain.nearest if judged else words.NONE,
        FINDINGS[row.gain.finding][language] if judged else words.NONE,
    ]


def ratio_text(row: StudyRow) -> str:
    """`0.96 [0.91, 1.02]`"""
    gain = row.gain
    if not math.isfinite(gain.value):
        return words.NONE
    ends = f" [{gain.low:.2f}, {gain.high:.2f}]" if math.isfinite(gain.low) else ""
    return f"{gain.value:.2f}{ends}"


def off_rows(study: Study, benchmark: str, metric: Metric) -> list[list[str]]:
    """What each arm lost or won on a benchmark that is not the donor's."""
    return [
        [each.arm, words.difference_text(each.difference, metric)]
        for each in study.forgotten[benchmark]
    ]


def absent_text(study: Study, language: Language) -> str:
    """Which arms were not made; empty where all were."""
    if not study.absent:
        return ""
    listed = ", ".join(study.absent)
    return f"Not made: {listed}" if language == "en" else f"未能产生：{listed}"
