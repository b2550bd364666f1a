"""Did it help? One word and one sentence for each arm, in both languages."""

from collections.abc import Sequence
from typing import Literal

from shared.comparisons.model import Arm, Column, ComparisonTable
from shared.comparisons.words import difference_text, points
from shared.errors import Language

#: helped, hurt: on some benchmark, and the opposite on none; mixed: both; equal: every interval is
#: inside its margin; unclear: nothing was shown; too_few: there are too few items to say anything.
Outcome = Literal["helped", "hurt", "mixed", "equal", "unclear", "too_few"]
OUTCOMES: dict[Outcome, dict[Language, str]] = {
    "helped": {"en": "Helped", "zh": "有帮助"},
    "hurt": {"en": "Hurt", "zh": "有损害"},
    "mixed": {"en": "Mixed", "zh": "有得有失"},
    "equal": {"en": "No difference", "zh": "没有差别"},
    "unclear": {"en": "Unclear", "zh": "尚不清楚"},
    "too_few": {"en": "Too few items", "zh": "条数太少"},
}
_HEADS: dict[Outcome, dict[Language, str]] = {
    "helped": {"en": "{arm} is better than {baseline}", "zh": "{arm} 优于 {baseline}"},
    "hurt": {"en": "{arm} is worse than {baseline}", "zh": "{arm} 劣于 {baseline}"},
    "mixed": {
        "en": "{arm} is better than {baseline} on some benchmarks and worse on others",
        "zh": "{arm} 与 {baseline} 相比，有的评测集更好，有的更差",
    },
    "equal": {
        "en": "{arm} does as well as {baseline}, within the margin",
        "zh": "{arm} 与 {baseline} 在容许范围内相当",
    },
    "unclear": {
        "en": "neither a difference between {arm} and {baseline} nor its absence could be shown",
        "zh": "既不能证明 {arm} 与 {baseline} 有差别，也不能证明没有",
    },
    "too_few": {
        "en": "there are too few items to judge {arm} against {baseline}",
        "zh": "条数太少，无法判断 {arm} 与 {baseline} 孰优孰劣",
    },
}


def judged(table: ComparisonTable, arm: Arm) -> list[Column]:
    """The benchmarks, all languages together, on which an arm has a verdict."""
    return [
        column
        for column in table.columns
        if column.primary
        and (cell := arm.cells.get(column.key)) is not None
        and cell.verdict is not None
    ]


def outcome(table: ComparisonTable, arm: Arm) -> Outcome | None:
    """The word for an arm; None for the baseline, and where nothing may be compared."""
    found = {arm.cells[column.key].verdict for column in judged(table, arm)}
    if not found or arm.is_baseline:
        return None
    better, worse = "better" in found, "worse" in found
    if better or worse:
        return "mixed" if better and worse else "helped" if better else "hurt"
    if found == {"too_few"}:
        return "too_few"
    return "equal" if found == {"within_margin"} else "unclear"


def sentence(table: ComparisonTable, arm: Arm, language: Language) -> str:
    """`fused is better than base on 2 of 3 benchmarks.` Empty where there is no outcome."""
    word = outcome(table, arm)
    if word is None:
        return ""
    head = _HEADS[word][language].format(arm=arm.name, baseline=table.baseline)
    found = [arm.cells[column.key].verdict for column in judged(table, arm)]
    if word in ("helped", "hurt"):
        count = found.count("better" if word == "helped" else "worse")
        if language == "zh":
            return f"{head}（{len(found)} 个评测集中的 {count} 个）。"
        return f"{head} on {count} of {len(found)} benchmark{'s' if len(found) > 1 else ''}."
    return head[0].upper() + head[1:] + ("。" if language == "zh" else ".")


def details(table: ComparisonTable, arm: Arm, column: Column, language: Language) -> str:
    """`+6.0 pp [+3.2, +8.5] · 69 fixed, 26 broken · n 600 · could show 3.9 pp`"""
    found = arm.cells[column.key].difference
    if found is None:
        return ""
    seen = points(found.detectable, column.metric, signed=False)
    if language == "zh":
        flips, power = f"变好 {found.fixed}，变差 {found.broken}", f"可检出 {seen}"
    else:
        flips, power = f"{found.fixed} fixed, {found.broken} broken", f"could show {seen}"
    return " · ".join([difference_text(found, column.metric), flips, f"n {found.n:,}", power])


def lines(table: ComparisonTable, language: Language) -> Sequence[tuple[Arm, Outcome, str]]:
    """(arm, word, sentence) of every arm that has an outcome, in the table's order."""
    return [
        (arm, word, sentence(table, arm, language))
        for arm in table.arms
        if (word := outcome(table, arm)) is not None
    ]
