"""Datasets and benchmarks: upload, check row by row, look inside, register."""

import re
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

import streamlit as st

from dashboard import address, dataset_charts, moments, parts, queries, row_view
from dashboard.frame import framed
from dashboard.language import Words
from shared import datasets, db
from shared.benchmarks import read_benchmark
from shared.errors import BadRows, GraftError
from shared.formats import rows
from shared.starter.builtin import BUILTIN, add_builtin
from shared.storage import store
from shared.tables import Dataset
from shared.templates import TEMPLATES

KINDS = ("training", "benchmark")
PREVIEW = 50
#: Rows shown in a template.
LAID_OUT = 3
ENDINGS = ["json", "jsonl", "ndjson", "csv", "tsv", "parquet", "txt", "gz"]


def rows_of(path: Path, kind: str, format: str, limit: int = PREVIEW) -> list[dict[str, Any]]:
    """The first rows of a file as flat texts. Raises what reading it raises."""
    if kind == "training":
        return [row_view.cells(row) for _, row in islice(rows(path, format, skip=True), limit)]
    found = read_benchmark(path).items[:limit]
    return [
        {
            key: "\n".join(map(str, value)) if isinstance(value, list) else value
            for key, value in item.model_dump(exclude_none=True).items()
        }
        for item in found
    ]


def languages(counted: dict[str, Any]) -> str:
    """`en 100 · zh 20`"""
    return " · ".join(f"{name} {count:,}" for name, count in sorted(counted.items()))


def wrong_rows(words: Words, problem: BadRows) -> None:
    """The rows that cannot be used, a line each: where, and what is wrong there."""
    st.dataframe(
        [
            {words("datasets.row"): row, words("datasets.problem"): why[words.language]}
            for row, why in problem.params["each"]
        ],
        hide_index=True,
        height="auto",
        alt=words("datasets.problem"),
    )


def upload(words: Words) -> None:
    """The upload form, and under it what the chosen file holds."""
    parts.upload_words(words)
    with st.container(border=True):
        left, right = st.columns([1, 2])
        kind = left.segmented_control(
            words("datasets.kind"),
            KINDS,
            default="training",
            required=True,
            format_func=words.codes("dataset"),
            key="datasets.kind",
            persist_state="session",
        )
        left.caption(words(f"datasets.shape.{kind or 'training'}"))
        file = right.file_uploader(words("datasets.file"), type=ENDINGS, key="datasets.file")
        if file is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(file.name).name
            path.write_bytes(file.getbuffer())
            check(words, path, kind or "training")


def check(words: Words, path: Path, kind: str) -> None:
    """Say what is wrong with a file, or preview it and offer to register it."""
    known, skip = cast(Literal["training", "benchmark"], kind), False
    try:
        try:
            with st.spinner(words("datasets.checking"), show_time=True):
                facts = datasets.describe(path, known)
        except BadRows as problem:
            parts.failure(problem, words)
            wrong_rows(words, problem)
            skip = kind == "training" and st.checkbox(words("datasets.skip"), key="datasets.skip")
            if not skip:
                return
            facts = datasets.describe(path, known, skip=True)
        preview = rows_of(path, kind, facts["format"])
    except GraftError as problem:
        parts.failure(problem, words)
        return
    st.success(
        words(
            "datasets.fine", rows=f"{facts['rows']:,}", format=facts["format"],
            languages=languages(facts["languages"]),
        ),
        icon=":material/check:",
    )  # fmt: skip
    if kind == "training":
        dataset_charts.charts(words, facts["rows"], facts["languages"], facts["facts"])
    st.dataframe(preview, height=240, alt=words("datasets.preview"))
    if kind == "training":
        with st.expander(words("datasets.template")):
            in_template(words, path, facts["format"])
    suggested = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip(".-_")[:64]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(
            words("datasets.name"), value=suggested, key=f"datasets.name.{path.name}", width=320
        )
        if st.button(words("datasets.register"), type="primary", icon=":material/add:"):
            register(words, name, path, kind, skip=skip)


def register(words: Words, name: str, path: Path, kind: str, *, skip: bool) -> None:
    """Put the file into the store under its name, without its wrong rows where that is asked."""
    try:
        with db.writing() as session:
            added = datasets.register(
                session, name, path, cast(Literal["training", "benchmark"], kind),
                actor=parts.actor(), skip=skip,
            )  # fmt: skip
    except GraftError as problem:
        parts.failure(problem, words)
        return
    st.success(words("datasets.registered", name=added.name), icon=":material/check:")


def offer_builtin(words: Words, known: set[str]) -> None:
    """A button for the benchmarks Graft writes itself, while some are missing."""
    missing = [name for name in BUILTIN if name not in known]
    if not missing:
        return
    label = words("datasets.builtin", count=len(missing))
    if st.button(label, icon=":material/library_add:", help=", ".join(missing)):
        try:
            with db.writing() as session:
                add_builtin(session, missing, actor=parts.actor())
        except GraftError as problem:
            parts.failure(problem, words)
            return
        st.rerun()


def open_file() -> None:
    """Show the file whose name was clicked."""
    click = st.session_state.get("datasets.open")
    if click is not None:
        address.go(name=str(click["label"]))


def listing(words: Words) -> None:
    """Every registered file; a click opens its rows."""
    with db.reading() as session:
        found, now = queries.files(session), queries.now(session)
    offer_builtin(words, {each.name for each in found})
    if not found:
        parts.empty(words("datasets.empty"))
        return
    config = st.column_config
    st.dataframe(
        [
            {
                "name": each.name,
                "kind": [words.code("dataset", each.kind)],
                "format": words.code("format", each.format),
                "rows": each.rows,
                "languages": languages(each.languages),
                "size": moments.size(each.bytes),
                "user": each.user,
                "created": moments.ago(each.created_at, now, words),
            }
            for each in found
        ],
        hide_index=True,
        height="content",
        column_config={
            "name": config.ButtonColumn(
                words("datasets.name"), type="tertiary", on_click=open_file, key="datasets.open",
                alignment="left",
            ),
            "kind": config.MultiselectColumn(
                words("datasets.kind"),
                options=[words.code("dataset", kind) for kind in KINDS],
                color=["blue", "violet"],
            ),
            "format": words("datasets.format"),
            "rows": config.NumberColumn(words("datasets.rows"), format="localized"),
            "languages": words("datasets.languages"),
            "size": words("datasets.size"),
            "user": words("jobs.user"),
            "created": words("jobs.created"),
        },
        key="datasets.table",
        alt=words("datasets.title"),
    )  # fmt: skip


def detail(words: Words, name: str) -> None:
    """One file: its facts and its first rows."""
    with db.reading() as session:
        found = session.get(Dataset, name)
    if found is None:
        st.error(words("datasets.unknown", name=parts.plain(name)), icon=":material/error:")
        return
    parts.facts(
        [
            (words("datasets.kind"), words.code("dataset", found.kind)),
            (words("datasets.format"), words.code("format", found.format)),
            (words("datasets.rows"), moments.amount(found.rows)),
            (words("datasets.languages"), languages(found.languages)),
            (words("datasets.size"), moments.size(found.bytes)),
            ("sha256", found.sha256[:16]),
            (words("jobs.user"), found.user),
            (words("jobs.created"), moments.clock(found.created_at)),
            *(measured(words, found.facts) if found.kind == "training" else ()),
        ]
    )
    if found.kind == "training":
        dataset_charts.charts(words, found.rows, found.languages, found.facts)
    elif task := found.facts.get("lm_eval"):
        parts.facts(of_lm_eval(words, task))
    path = store().open_path(found.uri)
    if found.kind == "training":
        in_template(words, path, found.format)
    st.caption(words("datasets.first", count=min(PREVIEW, found.rows)))
    shown = rows_of(path, found.kind, found.format)
    st.dataframe(shown, height=520, alt=words("datasets.preview"))


def measured(words: Words, facts: dict[str, Any]) -> list[tuple[str, str]]:
    """What the check of a training file found."""
    least, median, most_have, most = [f"{each:,}" for each in facts.get("lengths", [])] or "–" * 4
    return [
        (words("datasets.container"), str(facts.get("container") or "–")),
        (words("datasets.histogram"), f"{least} – {most}"),
        (words("datasets.lengths"), f"{median} · {most_have}"),
        (words("datasets.duplicates"), moments.amount(facts.get("duplicates", 0))),
        (words("datasets.skipped"), moments.amount(facts.get("skipped", 0))),
        (words("datasets.turns"), str(facts.get("turns", 0))),
        (words("datasets.content"), str(facts.get("content") or "–")),
    ]


def of_lm_eval(words: Words, task: dict[str, Any]) -> list[tuple[str, str]]:
    """The lm-eval task that a benchmark was made of, and where its scores are found."""
    found = ", ".join(f"{theirs} → {ours}" for theirs, ours in task["metrics"].items())
    return [
        (words("datasets.lm_task"), str(task["task"])),
        (words("datasets.lm_version"), str(task["version"] or "–")),
        (words("datasets.lm_shots"), str(task["shots"])),
        (words("datasets.lm_metrics"), found),
    ]


def in_template(words: Words, path: Path, format: str) -> None:
    """The first rows as a training with the chosen template reads them."""
    template = st.selectbox(
        words("datasets.template"),
        list(TEMPLATES),
        format_func=words.codes("choice.template"),
        key="datasets.template",
    )
    st.caption(words("datasets.trained"))
    for number, row in islice(rows(path, format, skip=True), LAID_OUT):
        row_view.in_template(row, template, f"{words('datasets.row')} {number}")


def uploads_and_listing(words: Words) -> None:
    """The upload form, and below it every file."""
    upload(words)
    listing(words)


framed("datasets", listing=uploads_and_listing, detail=detail)
