"""A comparison as files to keep: CSV, JSON, a chart as PNG, and a report in both languages."""

import io
import shlex
import zipfile
from functools import partial
from typing import Any, cast
from urllib.parse import quote

import altair as alt
import streamlit as st
import vl_convert

from dashboard import charts, parts
from dashboard.comparing import charts as drawn
from dashboard.language import Words
from shared import comparisons
from shared.comparisons import ComparisonTable, summary
from shared.errors import LANGUAGES, Language

#: Fonts with Chinese characters, as the systems name them; the first that is there is taken.
_FONTS = (
    "Noto Sans CJK SC, Noto Sans SC, Source Han Sans SC, PingFang SC, Microsoft YaHei, "
    "WenQuanYi Micro Hei, sans-serif"
)


def picture(table: ComparisonTable, language: Language) -> bytes | None:
    """The verdicts' plots as one PNG on white; None where there is no difference to draw."""
    words = Words(language)
    plots = [
        plot.properties(
            title=f"{column.benchmark} · {column.metric.title[language]}",
            width=420, height=charts.forest_height(table, column) - 70,
        )
        for column in table.columns
        if column.primary and (plot := charts.forest(table, column, words)) is not None
    ]  # fmt: skip
    heat = drawn.heatmap(table, words, "light")
    if heat is not None:
        made, height = heat
        plots.append(
            made.properties(
                title=words("compare.heat"), width=420, height=height - 40
            )
        )  # fmt: skip
    if not plots:
        return None
    return png(
        alt.vconcat(
            *plots, title=f"{table.name} · {words('compare.baseline')} {table.baseline}"
        ).resolve_scale(color="independent", shape="independent")
    )


def png(chart: alt.TopLevelMixin) -> bytes:
    """A chart on white, at twice its size in pixels; drawn here, without browser or request."""
    made = chart.configure(font=_FONTS, background="white", padding=16)
    drawn_chart = made.configure_view(strokeOpacity=0)
    return vl_convert.vegalite_to_png(cast(Any, drawn_chart.to_dict()), scale=2)


def command(table: ComparisonTable, language: Language) -> str:
    """The command that prints this table again."""
    parts_ = ["graft", "compare", table.name, "--baseline", table.baseline, "--format", "md"]
    return shlex.join([*parts_, "--lang", language])


def report(table: ComparisonTable, language: Language, picture_name: str = "") -> str:
    """A comparison for readers without Graft: the verdict, the tables, how to get them again."""
    words = Words(language)
    lines = [
        f"- **{comparisons.escaped(arm.name)}** — {summary.OUTCOMES[word][language]}: "
        f"{comparisons.escaped(sentence)}"
        for arm, word, sentence in summary.lines(table, language)
    ]
    blocks = [f"# {comparisons.escaped(table.name)}", words("compare.report.lead"), *_joined(lines)]
    if picture_name:
        blocks.append(f"![{words('compare.heat')}]({quote(picture_name)})")
    blocks.append(comparisons.as_markdown(table, language).strip())
    blocks += [f"## {words('compare.report.again')}", f"```\n{command(table, language)}\n```"]
    return "\n\n".join(blocks) + "\n"


def _joined(lines: list[str]) -> list[str]:
    return ["\n".join(lines)] if lines else []


def bilingual(table: ComparisonTable, first: Language) -> str:
    """The report in one language and below it in the other."""
    order = sorted(LANGUAGES, key=lambda each: each != first)
    return "\n---\n\n".join(report(table, each) for each in order)


def archive(table: ComparisonTable) -> bytes:
    """Everything in one zip: a report and a picture in each language, CSV and JSON."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for language in LANGUAGES:
            image, name = picture(table, language), f"{table.name}.{language}.png"
            if image is not None:
                file.writestr(f"{table.name}/{name}", image)
            text = report(table, language, name if image is not None else "")
            file.writestr(f"{table.name}/report.{language}.md", text)
        file.writestr(f"{table.name}/{table.name}.csv", comparisons.as_csv(table))
        file.writestr(f"{table.name}/{table.name}.json", comparisons.as_json(table))
    return out.getvalue()


def exports(words: Words, table: ComparisonTable) -> None:
    """A button for each kind of file; nothing is made before it is asked for."""
    drawable = any(cell.difference is not None for arm in table.arms for cell in arm.cells.values())
    kinds: list[tuple[str, str, str, Any]] = [
        ("CSV", "csv", "text/csv", partial(comparisons.as_csv, table)),
        ("JSON", "json", "application/json", partial(comparisons.as_json, table)),
        ("Markdown", "md", "text/markdown", partial(bilingual, table, words.language)),
    ]
    if drawable:
        kinds.append(("PNG", "png", "image/png", partial(picture, table, words.language)))
    kinds.append((words("compare.export.all"), "zip", "application/zip", partial(archive, table)))
    with parts.guard(words):
        for label, ending, mime, make in kinds:
            st.download_button(
                label, make, f"{table.name}.{ending}", mime, icon=":material/download:",
                on_click="ignore", key=f"compare.export.{ending}",
            )  # fmt: skip
