"""Datasets and benchmarks: found, looked into, uploaded; a wrong row is named with its number."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from sqlmodel import col, select

from shared import datasets, db
from shared.api.desk import Desk
from shared.api.things import DatasetAnswer, PreviewAnswer, RowAnswer
from shared.api.told import told_dataset
from shared.benchmarks import read_benchmark
from shared.formats.reading import rows
from shared.storage import store
from shared.tables import Dataset

Kind = Literal["training", "benchmark"]


class Data(Desk):
    """Registered files. Methods that name one raise UnknownDataset."""

    def list(self, *, kind: Kind | None = None) -> Sequence[DatasetAnswer]:
        """Registered files by kind and name."""
        query = select(Dataset).order_by(col(Dataset.kind), col(Dataset.name))
        if kind is not None:
            query = query.where(Dataset.kind == kind)
        with db.reading() as session:
            return [told_dataset(each) for each in session.exec(query).all()]

    def get(self, name: str, *, kind: Kind = "training") -> DatasetAnswer:
        """One registered file."""
        with db.reading() as session:
            return told_dataset(datasets.find(session, name, kind))

    def preview(self, name: str, *, kind: Kind = "training", rows: int = 5) -> PreviewAnswer:
        """The first rows as they will be read."""
        with db.reading() as session:
            found = datasets.find(session, name, kind)
        path = store().open_path(found.uri)
        shown = _rows_of(path, found.format) if kind == "training" else _items_of(path)
        return PreviewAnswer(name=name, rows=list(itertools.islice(shown, rows)))

    def upload(
        self, name: str, file: Path, *, kind: Kind = "training", format: str = "",
        skip_bad: bool = False,
    ) -> DatasetAnswer:  # fmt: skip
        """Check a file and register it; `file`'s endings say how it is read.

        Raises BadRows with the rows that are wrong, what else reading it raises, NameTaken,
        Forbidden.
        """
        with db.writing() as session:
            made = datasets.register(
                session, name, file, kind, actor=self.actor, format=format, skip=skip_bad
            )
            return told_dataset(made)


def _rows_of(path: Path, format: str) -> Iterator[RowAnswer]:
    for number, row in rows(path, format):
        yield RowAnswer(number=number, row=asdict(row))


def _items_of(path: Path) -> Iterator[RowAnswer]:
    for number, item in enumerate(read_benchmark(path).items, 1):
        yield RowAnswer(number=number, row=item.model_dump(mode="json"))
