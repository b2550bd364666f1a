"""Datasets and benchmark files by name: checking one, registering it, finding it again."""

from collections import Counter
from pathlib import Path
from typing import Any, Literal

from sqlmodel import Session, select

from shared import events
from shared.alpaca import read_rows
from shared.benchmarks import read_benchmark
from shared.clock import db_now
from shared.errors import NameTaken, UnknownDataset
from shared.names import check_name
from shared.storage import file_sha256, store
from shared.tables import Dataset
from shared.templates import language_of


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
