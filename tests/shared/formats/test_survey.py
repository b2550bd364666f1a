"""What the check of a training file finds out about it, and what registering keeps."""

import gzip
import json
from pathlib import Path

import pytest

from shared import datasets, db
from shared.errors import GraftError
from shared.formats import read_rows
from shared.formats.survey import survey
from shared.people.actors import Actor
from shared.storage import store

ROWS = [
    {"instruction": "Name a colour.", "output": "Red."},
    {"instruction": "说出一种颜色。", "output": "红色。"},
    {"instruction": "name a  colour.", "output": "RED."},
]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_rows_languages_lengths_duplicates_and_content_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ROWS)
    found = survey(path)
    assert (found.format, found.rows, found.container) == ("alpaca", 3, "jsonl")
    assert found.languages == {"en": 2, "zh": 1}
    assert (found.duplicates, found.repeats) == (1, [[3, 1]])
    assert found.lengths == [10, 18, 18, 19]
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert (survey(packed).content, survey(packed).container) == (found.content, "jsonl.gz")
    assert survey(write(tmp_path / "b.jsonl", ROWS[:2])).content != found.content


def test_a_registered_file_is_read_again_as_it_was_checked(database: str, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("context,target\nHi,Hello\n", encoding="utf-8")
    with db.writing() as session:
        added = datasets.register(session, "talk", table, "training", actor=Actor.admin("ann"))
        assert (added.format, added.facts["container"]) == ("context-target", "csv")
        uri, form = added.uri, added.format
    assert read_rows(store().open_path(uri), form) == read_rows(table)


def test_wrong_rows_are_left_out_where_that_is_asked_for(database: str, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [*ROWS[:2], {"instruction": "a", "output": ""}])
    with db.writing() as session:
        with pytest.raises(GraftError, match="output is empty"):
            datasets.register(session, "some", path, "training", actor=Actor.admin("ann"))
        added = datasets.register(
            session, "some", path, "training", actor=Actor.admin("ann"), skip=True
        )
        assert (added.rows, added.facts["skipped"]) == (2, 1)
        uri = added.uri
    assert len(read_rows(store().open_path(uri))) == 2
