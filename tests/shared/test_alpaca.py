"""Alpaca files: both shapes read alike, wrong rows named."""

import json
from pathlib import Path

import pytest

from shared.alpaca import read_rows
from shared.errors import BadRows, EmptyData, FileMissing, NotJson

GOOD = {"instruction": "Name a colour.", "output": "红色"}


def write(folder: Path, text: str) -> Path:
    path = folder / "rows.json"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_array_and_lines_give_the_same_rows_with_an_input_each(tmp_path: Path) -> None:
    rows = [GOOD, GOOD | {"input": "red or blue"}, GOOD | {"input": None}]
    array = read_rows(write(tmp_path, json.dumps(rows)))
    lines = read_rows(write(tmp_path, "\n".join(json.dumps(row) for row in rows)))
    assert array == lines
    assert [row["input"] for row in array] == ["", "red or blue", ""]


def test_every_wrong_row_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    wrong = [GOOD, 3, {"output": "x"}, GOOD | {"output": " "}, GOOD | {"input": ["x"]}]
    with pytest.raises(BadRows) as caught:
        read_rows(write(tmp_path, json.dumps(wrong)))
    said = str(caught.value)
    assert "4 of 5 rows" in said
    assert "2 (not an object), 3 (no instruction), 4 (output is empty), 5 (input is not" in said


def test_files_that_hold_no_rows_say_why(tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        read_rows(tmp_path / "none.json")
    with pytest.raises(EmptyData):
        read_rows(write(tmp_path, "[]"))
    with pytest.raises(NotJson, match="line 2"):
        read_rows(write(tmp_path, json.dumps(GOOD) + "\n{oops"))
