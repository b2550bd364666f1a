"""Training data in Alpaca's format: reading it, saying which rows are wrong, registering it.

A row is `{"instruction": text, "input": text (optional), "output": text}`; a file is one JSON
array of rows, or one row a line.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from sqlmodel import Session, select

from shared import events
from shared.benchmarks import read_benchmark
from shared.clock import db_now
from shared.errors import (
    BadRows,
    EmptyData,
    FileMissing,
    NameTaken,
    NotJson,
    NotText,
    UnknownDataset,
)
from shared.names import check_name
from shared.storage import file_sha256, store
from shared.tables import Dataset
from shared.templates import language_of

Row = dict[str, str]
#: How many wrong rows a message lists.
LISTED = 20


def read_rows(path: Path) -> list[Row]:
    """The rows of a training file, with `input` always present.

    Raises FileMissing, NotText, NotJson, EmptyData, or BadRows listing the wrong rows.
    """
    rows = read_objects(path)
    wrong = {number: problem for number, row in rows if (problem := _problem(row))}
    if wrong:
        first = min(wrong)
        listed = ", ".join(f"{number} ({wrong[number]})" for number in sorted(wrong)[:LISTED])
        raise BadRows(
            file=path.name, count=len(wrong), rows=len(rows), first=first,
            problem=wrong[first], listed=listed + (", …" if len(wrong) > LISTED else ""),
        )  # fmt: skip
    return [
        {
            "instruction": row["instruction"],
            "input": row.get("input") or "",
            "output": row["output"],
        }
        for _, row in rows
    ]


def read_objects(path: Path) -> list[tuple[int, Any]]:
    """Every value of a JSON array or JSON-lines file, with its line (or place, from 1)."""
    if not path.is_file():
        raise FileMissing(file=str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise NotText(file=path.name, position=wrong.start) from None
    if not text.strip():
        raise EmptyData(file=path.name)
    rows = _array(path, text) if text.lstrip().startswith("[") else _lines(path, text)
    if not rows:
        raise EmptyData(file=path.name)
    return rows


def _array(path: Path, text: str) -> list[tuple[int, Any]]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as wrong:
        line = wrong.lineno if isinstance(wrong, json.JSONDecodeError) else 1
        raise NotJson(file=path.name, line=line, problem=_reason(wrong)) from None
    return list(enumerate(values, start=1))


def _lines(path: Path, text: str) -> list[tuple[int, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append((number, json.loads(line)))
            except (ValueError, RecursionError) as wrong:
                raise NotJson(file=path.name, line=number, problem=_reason(wrong)) from None
    return rows


def _reason(wrong: Exception) -> str:
    return wrong.msg if isinstance(wrong, json.JSONDecodeError) else "nested too deeply"


def _problem(row: Any) -> str:
    """What is wrong with a row; empty when nothing is."""
    if not isinstance(row, dict):
        return "not an object"
    for key in ("instruction", "output"):
        if key not in row:
            return f"no {key}"
        if not isinstance(row[key], str):
            return f"{key} is not text"
        if not row[key].strip():
            return f"{key} is empty"
    if not isinstance(row.get("input") or "", str):
        return "input is not text"
    return ""


def describe(path: Path, kind: Literal["training", "benchmark"]) -> dict[str, Any]:
    """Format, rows and languages of a file. Raises what reading it raises."""
    if kind == "training":
        rows = read_rows(path)
        languages = Counter(language_of(row["instruction"] + row["output"]) for row in rows)
        return {"format": "alpaca", "rows": len(rows), "languages": dict(languages)}
    benchmark = read_benchmark(path)
    return {
        "format": benchmark.shape,
        "rows": len(benchmark.items),
        "languages": dict(Counter(item.lang for item in benchmark.items)),
    }


def register(
    session: Session,
    name: str,
    path: Path,
    kind: Literal["training", "benchmark"],
    *,
    actor: str,
) -> Dataset:
    """Check a file, put it into the store and add it under a name.

    The same file under the same name changes nothing; another file raises NameTaken.
    """
    check_name(name)
    facts = describe(path, kind)
    digest = file_sha256(path)
    known = session.get(Dataset, name)
    if known is not None:
        if (known.sha256, known.kind) == (digest, kind):
            return known
        raise NameTaken(thing="dataset", name=name)
    uri = store().put_file(path, f"datasets/{digest}.jsonl")
    dataset = Dataset(
        name=name, kind=kind, uri=uri, sha256=digest, bytes=path.stat().st_size, user=actor, **facts
    )
    session.add(dataset)
    session.flush()
    dataset.created_at = session.scalar(select(db_now())) or 0.0
    events.record(session, "dataset-added", actor=actor, name=name, rows=facts["rows"])
    return dataset


def find(session: Session, name: str, kind: Literal["training", "benchmark"]) -> Dataset:
    """The file of that name and kind. Raises UnknownDataset, listing the known ones."""
    dataset = session.get(Dataset, name)
    if dataset is None or dataset.kind != kind:
        names = session.exec(select(Dataset.name).where(Dataset.kind == kind)).all()
        raise UnknownDataset(kind=kind, name=name, known=", ".join(sorted(names)) or "-")
    return dataset
