"""Every training format in every container: the same rows come out."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from shared.errors import InvalidSpec
from shared.formats import (
    Conversation,
    Preference,
    Text,
    Turn,
    asking,
    content_hash,
    detect,
    read_rows,
)


def said(*texts: str, trained: bool = True, system: str = "") -> Conversation:
    """Turns of user and assistant, the answers trained or only the last one."""
    turns = [
        Turn("assistant" if place % 2 else "user", text, trained=bool(place % 2))
        for place, text in enumerate(texts)
    ]
    if not trained:
        turns = [Turn(turn.role, turn.content) for turn in turns[:-1]] + turns[-1:]
    return Conversation(tuple(turns), system)


ASKED = [{"role": "user", "content": "Q"}]
#: Format -> a row as people write it, and what it says.
ROWS: list[tuple[str, dict[str, Any], Any]] = [
    ("alpaca", {"instruction": "Q", "input": "I", "output": "A"}, asking("Q", "I", "A")),
    ("alpaca", {"instruction": "Q", "output": "A", "history": [["q", "a"]]},
     said("q", "a", "Q", "A", trained=False)),
    ("context-target", {"context": "Instruction: Q\nAnswer: ", "target": "A"},
     said("Instruction: Q\nAnswer: ", "A")),
    ("content-summary", {"content": "类型#裙", "summary": "一条裙子"}, said("类型#裙", "一条裙子")),
    ("prompt-response", {"prompt": "Q", "response": "A", "history": [["q", "a"]]},
     said("q", "a", "Q", "A", trained=False)),
    ("question-answer", {"question": "Q", "answer": "A"}, said("Q", "A")),
    ("sharegpt", {"conversations": [
        {"from": "system", "value": "S"}, {"from": "human", "value": "Q"},
        {"from": "gpt", "value": "A"}, {"from": "human", "value": "R"},
        {"from": "gpt", "value": "B"}, {"from": "human", "value": "unanswered"}]},
     said("Q", "A", "R", "B", system="S")),
    ("sharegpt", {"id": "1", "conversations": [
        {"from": "human", "value": "Q"}, {"from": "human", "value": "more"},
        {"from": "assistant", "value": "A"}]}, said("Q\nmore", "A")),
    ("messages", {"messages": [{"role": "system", "content": "S"}, *ASKED,
        {"role": "assistant", "content": [{"type": "text", "text": "A"}], "weight": 0},
        {"role": "user", "content": "R"}, {"role": "assistant", "content": "B"}]},
     Conversation((*said("Q", "A", "R", "B", trained=False).turns,), "S")),
    ("messages", {"conversations": [*ASKED, {"role": "assistant", "content": "A"}]},
     said("Q", "A")),
    ("lima", {"conversations": ["Q", "A", "R", "B"], "source": "x"}, said("Q", "A", "R", "B")),
    ("lists", {"input": ["Q", "R"], "output": ["A", "B"]}, said("Q", "A", "R", "B")),
    ("belle", {"instruction": "Human:Q\nAssistant:A\nHuman: R\nAssistant:", "input": "",
               "output": "B"}, said("Q", "A", "R", "B", trained=False)),
    ("text", {"text": "Once upon a time"}, Text("Once upon a time")),
    ("preference", {"prompt": "Q", "chosen": "A", "rejected": "B"},
     Preference(asking("Q").asked, "A", "B")),
    ("preference", {"chosen": "\n\nHuman: Q\n\nAssistant: A",
                    "rejected": "\n\nHuman: Q\n\nAssistant: B"},
     Preference(asking("Q").asked, "A", "B")),
    ("preference", {"prompt": ASKED, "chosen": [{"role": "assistant", "content": "A"}],
                    "rejected": [{"role": "assistant", "content": "B"}]},
     Preference(asking("Q").asked, "A", "B")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "row", "expected"), ROWS)
def test_a_format_is_told_by_its_keys_and_read(
    name: str, row: dict[str, Any], expected: Any, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    assert detect(path).name == name
    assert read_rows(path) == [expected]
    assert read_rows(path, name) == [expected]


def test_a_seed_task_is_a_row_for_each_of_its_instances(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    instances = [{"input": "", "output": "A"}, {"input": "I", "output": "B"}]
    task = {"instruction": "Q", "instances": instances}
    path.write_text(json.dumps(task))
    assert read_rows(path) == [asking("Q", "", "A"), asking("Q", "I", "B")]


PLAIN = [{"instruction": f"Say {n}, “{n}”.", "input": "", "output": f"{n}\nok"} for n in range(40)]


def _containers(folder: Path) -> list[Path]:
    """The same rows in every kind of file."""
    text = json.dumps(PLAIN, ensure_ascii=False, indent=1)
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in PLAIN)
    found = {"a.json": text, "b.jsonl": lines, "c.ndjson": lines}
    paths = []
    for name, content in found.items():
        (folder / name).write_text(content, encoding="utf-8")
        (folder / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
        paths += [folder / name, folder / f"{name}.gz"]
    for name, mark in (("d.csv", ","), ("e.tsv", "\t"), ("f.csv", ";")):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(PLAIN[0]), delimiter=mark)
            writer.writeheader()
            writer.writerows(PLAIN)
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        paths += [folder / name, folder / f"{name}.gz"]
    parquet.write_table(pyarrow.Table.from_pylist(PLAIN), folder / "g.parquet")
    return [*paths, folder / "g.parquet"]


def test_every_container_gives_the_same_rows_and_content_hash(tmp_path: Path) -> None:
    expected = [asking(row["instruction"], "", row["output"]) for row in PLAIN]
    for path in _containers(tmp_path):
        found = read_rows(path)
        assert found == expected, path.name
        assert content_hash(found) == content_hash(PLAIN), path.name


def test_a_long_array_is_read_piece_by_piece(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("shared.formats.unpacking.PIECE", 7)
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(PLAIN, ensure_ascii=False, indent=2), encoding="utf-8")
    assert len(read_rows(path)) == len(PLAIN)


def test_plain_text_is_a_row_for_each_paragraph(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("One.\nStill one.\n\n\nTwo.\n")
    assert read_rows(path) == [Text("One.\nStill one."), Text("Two.")]


def test_a_format_can_be_forced_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"instruction": "Q", "output": "A", "text": "T"}))
    assert read_rows(path, "text") == [Text("T")]
    with pytest.raises(InvalidSpec, match='no "xml"; known: preference'):
        read_rows(path, "xml")
