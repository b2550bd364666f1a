"""A comparison as one HTML table, every value escaped: arms by benchmark and language."""

from collections.abc import Sequence
from html import escape
from itertools import groupby

from dashboard.language import Words
from shared.comparisons import Arm, Cell, Column, ComparisonTable
from shared.comparisons.words import (
    VERDICTS,
    difference_text,
    heading,
    interval,
    p_text,
    points,
    score,
)
from shared.errors import explain
from shared.statistics import Verdict

#: A sign of its own for each verdict, so that colour is never the only difference.
SIGNS: dict[Verdict, str] = {
    "better": "▲",
    "worse": "▼",
    "within_margin": "＝",
    "undetermined": "○",
    "too_few": "·",
}
# Translucent colours and the page's own ink read well on light and on dark.
_STYLE = """
<style>
.scores {overflow-x: auto;}
.scores table {border-collapse: collapse; width: 100%; font-size: .86rem; line-height: 1.35;}
.scores th, .scores td {border: 1px solid rgba(128,140,142,.28); padding: .38rem .6rem;
  text-align: left; vertical-align: top; white-space: nowrap;}
.scores thead th {font-weight: 600; background: rgba(128,140,142,.10);}
.scores thead small, .scores td small {font-weight: 400; opacity: .78;}
.scores tbody th {font-weight: 600;}
.scores td b {font-weight: 600; font-size: .95rem;}
.scores td.why {white-space: normal;}
.scores .v {display: inline-block; border-radius: 4px; padding: 0 .4rem; margin-top: .15rem;}
.scores .better {background: rgba(148,103,189,.26);}
.scores .worse {background: rgba(213,94,0,.24);}
.scores .within_margin {background: rgba(0,114,178,.18);}
.scores .undetermined, .scores .too_few {background: rgba(128,140,142,.16);}
.scores .noop {background: rgba(230,159,0,.26);}
</style>
"""


def score_table(table: ComparisonTable, columns: Sequence[Column], words: Words) -> str:
    """The table with these columns; HTML whose every value is escaped."""
    body = "".join(_row(arm, columns, words) for arm in table.arms)
    body += "".join(
        f'<tr><th scope="row">{escape(arm.name)}<br><small>'
        f"{escape(words.code('method', arm.method))}</small></th>"
        f'<td class="why" colspan="{len(columns)}"><span class="v noop">NO-OP</span> '
        f"{escape(explain(arm.error, words.language))}</td></tr>"
        for arm in table.no_ops
    )
    return (
        f'{_STYLE}<div class="scores"><table><thead>{_head(columns, words)}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _head(columns: Sequence[Column], words: Words) -> str:
    top = ""
    for _, group in groupby(columns, key=lambda column: column.benchmark):
        same = list(group)
        metric = same[0].metric
        way = heading("higher" if metric.higher_is_better else "lower", words.language)
        top += (
            f'<th scope="colgroup" colspan="{len(same)}">{escape(same[0].benchmark)}<br>'
            f"<small>{escape(metric.title[words.language])} · {escape(way)}</small></th>"
        )
    below = "".join(
        f'<th scope="col">{escape(heading(column.spoken, words.language))}</th>'
        for column in columns
    )
    corner = f'<th scope="col" rowspan="2">{escape(words("compare.arm"))}</th>'
    return f"<tr>{corner}{top}</tr><tr>{below}</tr>"


def _row(arm: Arm, columns: Sequence[Column], words: Words) -> str:
    note = words("compare.baseline") if arm.is_baseline else words.code("method", arm.method)
    cells = "".join(_cell(arm.cells.get(column.key), column, words) for column in columns)
    name = f"{escape(arm.name)}<br><small>{escape(note)}</small>"
    return f'<tr><th scope="row">{name}</th>{cells}</tr>'


def _cell(cell: Cell | None, column: Column, words: Words) -> str:
    if cell is None:
        return "<td>–</td>"
    metric, estimate = column.metric, cell.estimate
    ends = interval(estimate, metric, signed=False)
    text = (
        f"<b>{escape(score(estimate.value, metric))}</b> <small>{escape(ends)} "
        f"n={estimate.n:,}</small>"
    )
    if cell.difference is None or cell.verdict is None:
        return f"<td>{text}</td>"
    found = cell.difference
    word = f"{SIGNS[cell.verdict]} {VERDICTS[cell.verdict][words.language]}"
    flips = words("compare.flips", fixed=found.fixed, broken=found.broken)
    seen = points(found.detectable, metric, signed=False)
    tail = f"p {p_text(cell.p_adjusted)} · {flips}<br>{words('compare.detectable', size=seen)}"
    return (
        f"<td>{text}<br>{escape(difference_text(found, metric))}<br>"
        f'<span class="v {cell.verdict}">{escape(word)}</span><br>'
        f"<small>{tail}</small></td>"
    )
