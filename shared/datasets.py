"""Datasets and benchmark files by name: checking one, registering it, finding it again."""

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from sqlmodel import Session, select

from shared import events
from shared.benchmarks import read_benchmark
from shared.clock import db_now
from shared.errors import NameTaken, UnknownDataset
from shared.formats.reading import usable
from shared.formats.survey import survey
from shared.names import check_name
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.storage import file_sha256, store
from shared.tables import Dataset

Kind = Literal["training", "benchmark"]
#: Endings that say how a file is read; kept in the store.
_ENDINGS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".txt", ".md", ".gz")


def describe(path: Path, kind: Kind, format: str = "", *, skip: bool = False) -> dict[str, Any]:
    """Format, rows, languages and further facts of a file. Raises what reading it raises."""
    if kind == "training":
        found = survey(path, format, skip=skip)
        return {
            "format": found.format,
            "rows": found.rows,
            "languages": dict(found.languages),
            "facts": found.facts(),
        }
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
    kind: Kind,
    *,
    actor: Actor,
    format: str = "",
    skip: bool = False,
    origin: Mapping[str, Any] | None = None,
) -> Dataset:
    """Check a file, put it into the store and add it under a name.

    `format` forces one of `shared.formats.FORMATS`; `skip` leaves out rows that are wrong, and
    stores the others as JSON lines; `origin` is kept with the file's facts. The same file under
    the same name changes nothing; another file raises NameTaken. Raises Forbidden.
    """
    authorise(actor, Action.REGISTER_DATASET)
    check_name(name)
    if skip and kind == "training":
        with tempfile.TemporaryDirectory() as folder:
            kept, left_out = _usable(path, format, Path(folder) / "rows.jsonl")
            dataset = register(session, name, kept, kind, actor=actor, format=format)
            dataset.facts = dataset.facts | {"skipped": left_out}
            return dataset
    facts = describe(path, kind, format)
    if origin:
        facts["facts"] = facts.get("facts", {}) | dict(origin)
    digest = file_sha256(path)
    known = session.get(Dataset, name)
    if known is not None:
        if (known.sha256, known.kind) == (digest, kind):
            return known
        raise NameTaken(thing="dataset", name=name)
    uri = store().put_file(path, f"datasets/{digest}{_ending(path)}")
    dataset = Dataset(
        name=name,
        kind=kind,
        uri=uri,
        sha256=digest,
        bytes=path.stat().st_size,
        user=actor.user,
        **facts,
    )
    session.add(dataset)
    session.flush()
    dataset.created_at = session.scalar(select(db_now())) or 0.0
    events.record(session, "dataset-added", actor=actor.user, name=name, rows=facts["rows"])
    return dataset


def find(session: Session, name: str, kind: Kind) -> Dataset:
    """The file of that name and kind. Raises UnknownDataset, listing the known ones."""
    dataset = session.get(Dataset, name)
    if dataset is None or dataset.kind != kind:
        names = session.exec(select(Dataset.name).where(Dataset.kind == kind)).all()
        raise UnknownDataset(kind=kind, name=name, known=", ".join(sorted(names)) or "-")
    return dataset


def _usable(path: Path, format: str, into: Path) -> tuple[Path, int]:
    """The rows that can be used as JSON lines, and how many others there are."""
    left_out = 0
    with into.open("w", encoding="utf-8") as file:
        for value in usable(path, format):
            if value is None:
                left_out += 1
            else:
                file.write(json.dumps(value, ensure_ascii=False) + "\n")
    return into, left_out


def _ending(path: Path) -> str:
    kept = [suffix.lower() for suffix in path.suffixes if suffix.lower() in _ENDINGS]
    return "".join(kept[-2:]) or ".jsonl"
