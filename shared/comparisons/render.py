"""A ComparisonTable as text for a terminal, Markdown, CSV or JSON."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.cells import cell_len

from shared.comparisons import study_words, words
from shared.comparisons.model import Arm, Cell, Column, ComparisonTable, harmless, number
from shared.comparisons.study import Study
from shared.errors import Language, explain
from shared.recovery import Gain
from shared.statistics import Difference, Estimate

_COLUMNS = ("arm", "items", "score", "difference", "verdict", "flips", "p")
_CSV_COLUMNS = (
    "comparison", "baseline", "arm", "method", "benchmark", "metric", "language", "n", "score",
    "score_low", "score_high", "difference", "difference_low", "difference_high", "p", "p_holm",
    "verdict", "fixed", "broken", "detectable",
)  # fmt: skip


def as_text(table: ComparisonTable, language: Language = "en") -> str:
    """A block for each column, aligned for a terminal; Chinese characters count as two."""
    parts = [words.table_title(table, language), *_conflicts(table, language)]
    for column in table.columns:
        rows = _rows(table, column, language)
        if rows:
            title = words.column_title(column, language)
            parts.append(title + "\n" + _aligned([_headings(language), *rows]))
    parts += [
        f"{title}\n{_aligned(rows)}" if rows else title
        for title, rows in study_blocks(table, language)
    ]
    return "\n\n".join([*parts, *_looks(table, language), *_no_ops(table, language)]) + "\n"


def as_markdown(table: ComparisonTable, language: Language = "en") -> str:
    """The same blocks in Markdown, with what the baseline ran on at the end."""
    parts = [f"## {escaped(words.table_title(table, language))}"]
    parts += [f"> {escaped(text)}" for text in _conflicts(table, language)]
    for column in table.columns:
        rows = _rows(table, column, language)
        if rows:
            headings = _headings(language)
            lines = [_line(headings), _line(["---"] * len(headings)), *map(_line, rows)]
            parts += [f"### {escaped(words.column_title(column, language))}", "\n".join(lines)]
    for title, rows in study_blocks(table, language):
        lines = (
            [_line(rows[0]), _line(["---"] * len(rows[0])), *map(_line, rows[1:])] if rows else []
        )
        parts += [f"### {escaped(title)}", "\n".join(lines)] if rows else [escaped(title)]
    ends = (*_looks(table, language), *_no_ops(table, language))
    parts += [f"- {escaped(text)}" for text in ends]
    facts = ", ".join(f"{name}={value}" for name, value in sorted(table.engine.items()))
    return "\n\n".join([*parts, escaped(facts)] if facts else parts) + "\n"


def study_blocks(table: ComparisonTable, language: Language) -> list[tuple[str, list[list[str]]]]:
    """The study as (title, rows with their headings first); a sentence alone has no rows."""
    if table.study is None:
        return []
    blocks: list[tuple[str, list[list[str]]]] = []
    metrics = {column.benchmark: column.metric for column in table.columns}
    for benchmark, found in table.study.gains.items():
        rows = [study_words.gain_row(row, metrics[benchmark], language) for row in found]
        title = f"{study_words.TITLE[language]} · {benchmark}"
        blocks.append((title, [study_words.headings(language), *rows]))
    for benchmark in table.study.forgotten:
        rows = study_words.off_rows(table.study, benchmark, metrics[benchmark])
        blocks.append((benchmark, [study_words.off_headings(language), *rows]))
    sentences = [study_words.absent_text(table.study, language), study_words.LEGEND[language]]
    return [*blocks, *((text, []) for text in sentences if text)]


def as_json(table: ComparisonTable) -> str:
    """Every number, unrounded, under names that never translate; what does not exist is null."""
    return json.dumps(as_dict(table), ensure_ascii=False, indent=1, allow_nan=False)


def as_dict(table: ComparisonTable) -> dict[str, Any]:
    """The table as JSON-ready values."""
    return {
        "name": table.name,
        "job": table.job_id,
        "base_model": table.base_model,
        "baseline": table.baseline,
        "user": table.user,
        "created_at": table.created_at,
        "comparable": table.comparable,
        "conflicts": [asdict(conflict) for conflict in table.conflicts],
        "columns": [_column_dict(column) for column in table.columns],
        "arms": [
            {
                "name": arm.name,
                "adapter": arm.adapter,
                "method": arm.method,
                "baseline": arm.is_baseline,
                "cells": {key: _cell_dict(cell) for key, cell in arm.cells.items()},
            }
            for arm in table.arms
        ],
        "no_ops": [asdict(arm) | {"message": explain(arm.error)} for arm in table.no_ops],
        "duels": [asdict(duel) for duel in table.duels],
        "looks": [asdict(look) for look in table.looks],
        "engine": table.engine,
        "study": None if table.study is None else _study_dict(table.study),
    }


def _study_dict(study: Study) -> dict[str, Any]:
    return {
        "gains": {
            benchmark: [
                {"arm": row.arm, "role": row.role, "broken": row.broken, "items": row.items}
                | _finite(row.gain)
                for row in rows
            ]
            for benchmark, rows in study.gains.items()
        },
        "forgotten": {
            benchmark: [{"arm": each.arm} | _finite(each.difference) for each in found]
            for benchmark, found in study.forgotten.items()
        },
        "absent": study.absent,
    }


def _column_dict(column: Column) -> dict[str, Any]:
    return {
        "key": column.key,
        "benchmark": column.benchmark,
        "shape": column.shape,
        "metric": column.metric.name,
        "language": column.language,
        "higher_is_better": column.metric.higher_is_better,
        "margin": column.metric.margin,
        "primary": column.primary,
    }


def _cell_dict(cell: Cell) -> dict[str, Any]:
    against = None
    if cell.difference is not None:
        judged = {"p_holm": cell.p_adjusted, "verdict": cell.verdict}
        against = _finite(cell.difference) | judged
    return _finite(cell.estimate) | {"difference": against}


def _finite(of: Estimate | Difference | Gain) -> dict[str, Any]:
    return {
        name: number(value) if isinstance(value, float) else value
        for name, value in asdict(of).items()
    }


def as_csv(table: ComparisonTable) -> bytes:
    """A row for each arm and column, unrounded; UTF-8 with the mark that Excel needs."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_CSV_COLUMNS)
    for arm in table.arms:
        for column in table.columns:
            if (cell := arm.cells.get(column.key)) is not None:
                writer.writerow(_csv_row(table, arm, column, cell))
    for no_op in table.no_ops:
        names = [table.name, table.baseline, no_op.name, no_op.method]
        writer.writerow([*map(harmless, names), *[""] * 12, "no_op", "", "", ""])
    return out.getvalue().encode("utf-8-sig")


def _csv_row(table: ComparisonTable, arm: Arm, column: Column, cell: Cell) -> list[Any]:
    names = [table.name, table.baseline, arm.name, arm.method, column.benchmark]
    ends = [number(end) for end in (cell.estimate.low, cell.estimate.high)]
    head = [*map(harmless, names), column.metric.name, column.language, cell.estimate.n]
    if (found := cell.difference) is None:
        return [*head, cell.estimate.value, *ends, *[""] * 9]
    numbers = (found.value, found.low, found.high, found.p, cell.p_adjusted)
    return [
        *head, cell.estimate.value, *ends, *map(number, numbers), cell.verdict, found.fixed,
        found.broken, number(found.detectable),
    ]  # fmt: skip


def _headings(language: Language) -> list[str]:
    return [words.heading(name, language) for name in _COLUMNS]


def _rows(table: ComparisonTable, column: Column, language: Language) -> list[list[str]]:
    return [
        _row(arm, column, language) for arm in table.arms if arm.cells.get(column.key) is not None
    ]


def _row(arm: Arm, column: Column, language: Language) -> list[str]:
    cell, metric = arm.cells[column.key], column.metric
    score = words.score_text(cell.estimate, metric)
    head = [words.arm_title(arm, language), str(cell.estimate.n), score]
    if (found := cell.difference) is None:
        return [*head, *[words.NONE] * 4]
    return [
        *head,
        words.difference_text(found, metric),
        words.verdict_text(cell, metric, language),
        f"{found.fixed}/{found.broken}",
        words.p_text(cell.p_adjusted),
    ]


def _conflicts(table: ComparisonTable, language: Language) -> list[str]:
    return [conflict.sentence(language) for conflict in table.conflicts]


def _looks(table: ComparisonTable, language: Language) -> list[str]:
    return [text for look in table.looks if (text := look.sentence(language))]


def _no_ops(table: ComparisonTable, language: Language) -> list[str]:
    return [f"{arm.name} ({arm.method}): {explain(arm.error, language)}" for arm in table.no_ops]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(cell_len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    for mark in "\\`*_|<>[]":
        text = text.replace(mark, "\\" + mark)
    return text
