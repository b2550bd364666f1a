"""Reading benchmark files: shapes, hashes, and a message for each wrong row."""

import json
import sys
from pathlib import Path
from subprocess import run

import pytest

from shared.benchmarks import ChoiceItem, read_benchmark
from shared.errors import BadRows, EmptyData, FileMissing, NotJson, NotText

CHOICE = {"id": "q", "prompt": "2 + 2 =", "choices": ["3", "4"], "answer": 1, "lang": "en"}
GENERATE = {
    "id": "g",
    "prompt": "总结：天很蓝。",
    "references": ["天蓝"],
    "lang": "zh",
    "group": "p1",
}
CONTINUATION = {"id": "c", "context": "Once upon", "continuation": " a time", "lang": "en"}


@pytest.fixture
def file(tmp_path: Path):
    def write(*rows: object) -> Path:
        path = tmp_path / "items.jsonl"
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("row", "shape"),
    [(CHOICE, "choice"), (GENERATE, "generate"), (CONTINUATION, "continuation")],
)
def test_the_first_row_decides_the_shape(file, row, shape):
    other = row | {"id": "2", "prompt": "other", "context": "other", "lang": "zh"}
    found = read_benchmark(file(row, other))
    assert (found.shape, len(found.items)) == (shape, 2)
    assert found.languages == ({"zh": 2} if row is GENERATE else {"en": 1, "zh": 1})
    assert found.items[0].id == row["id"]
    assert found.items[0].group == row.get("group")


def test_an_answer_may_be_the_text_of_a_choice(file):
    by_text = read_benchmark(file(CHOICE | {"answer": "4"})).items[0]
    by_place = read_benchmark(file(CHOICE)).items[0]
    assert isinstance(by_text, ChoiceItem)
    assert by_text.answer == 1
    assert by_text.item_hash == by_place.item_hash


def test_a_hash_depends_on_the_content_and_on_nothing_else(file):
    first = read_benchmark(file(CHOICE)).items[0].item_hash
    renamed = CHOICE | {"id": "other", "group": "g", "note": "mine"}
    assert read_benchmark(file(renamed)).items[0].item_hash == first
    for change in ({"prompt": "2 + 2="}, {"answer": 0}, {"choices": ["5", "4"]}, {"lang": "zh"}):
        assert read_benchmark(file(CHOICE | change)).items[0].item_hash != first


def test_the_same_content_is_asked_once_and_the_copy_reported(file):
    found = read_benchmark(
        file(CHOICE, GENERATE | CHOICE | {"id": "again"}, CHOICE | {"answer": 0})
    )
    assert [item.id for item in found.items] == ["q", "q"]
    assert found.duplicates == {2: 1}


def test_a_row_without_an_id_is_named_by_its_line(file):
    rows = [{key: CHOICE[key] for key in CHOICE if key != "id"}, CHOICE | {"id": 7, "answer": 0}]
    assert [item.id for item in read_benchmark(file("", *rows)).items] == ["2", "7"]


def test_a_json_array_and_a_byte_order_mark_are_read_too(tmp_path):
    path = tmp_path / "array.json"
    path.write_text(json.dumps([CHOICE, CHOICE | {"answer": 0}]), encoding="utf-8-sig")
    assert len(read_benchmark(path).items) == 2


def test_a_line_separator_inside_a_text_does_not_end_the_row(file):
    row = json.dumps(CONTINUATION | {"context": "one\u2028two\x85three"}, ensure_ascii=False)
    assert read_benchmark(file(row)).items[0].model_dump()["context"] == "one\u2028two\x85three"


def test_every_wrong_row_is_listed_with_its_reason(file):
    no_prompt = {key: CHOICE[key] for key in CHOICE if key != "prompt"}
    rows = [
        CHOICE, no_prompt, CHOICE | {"answer": 2}, CHOICE | {"answer": "five"},
        CHOICE | {"answer": True}, CHOICE | {"choices": ["4", " 4"]}, CHOICE | {"lang": "fr"},
        CHOICE | {"prompt": " "}, GENERATE, 5, CHOICE | {"choices": ["4"]},
        CHOICE | {"prompt": "\ud800"},
    ]  # fmt: skip
    with pytest.raises(BadRows) as wrong:
        read_benchmark(file(*rows))
    assert (wrong.value.params["count"], wrong.value.params["rows"]) == (11, 12)
    assert wrong.value.params["first"] == 2
    listed = wrong.value.params["listed"]["en"]
    for reason in (
        "2 (no prompt)", "3 (answer 2 is not from 0 to 1)",
        "4 (answer 'five' is none of the choices)", "5 (answer: input should be a valid integer)",
        "6 (two choices are the same)", "7 (lang must be one of en, zh)", "8 (prompt is empty)",
        "9 (a generate row in a choice file)", "10 (not an object)", "11 (choices: ",
        "12 (prompt: holds half a surrogate pair",
    ):  # fmt: skip
        assert reason in listed
    assert str(wrong.value).startswith("items.jsonl: 11 of 12 rows cannot be used; row 2")


def test_a_long_list_of_wrong_rows_is_cut_and_counted(file):
    with pytest.raises(BadRows) as wrong:
        read_benchmark(file(CHOICE, *[{"choices": []}] * 30))
    assert wrong.value.params["listed"]["en"].endswith(", … (+10)")


def test_a_file_of_another_kind_says_which_keys_it_should_have(file):
    with pytest.raises(BadRows, match=r'has none of "choices", "references", "continuation"'):
        read_benchmark(file({"instruction": "hi", "output": "ho"}))


def test_one_broken_line_is_named_and_several_are_listed(file):
    with pytest.raises(NotJson, match="line 2"):
        read_benchmark(file(CHOICE, "{", CHOICE))
    with pytest.raises(BadRows, match="2 of 3 rows") as wrong:
        read_benchmark(file(CHOICE, "{", "[" * 100_000))
    assert "3 (not valid JSON: nested too deeply)" in str(wrong.value)


def test_files_that_hold_no_rows_are_refused(tmp_path, file):
    with pytest.raises(FileMissing):
        read_benchmark(tmp_path / "none.jsonl")
    with pytest.raises(EmptyData):
        read_benchmark(file("", " "))
    with pytest.raises(EmptyData):
        read_benchmark(file("[]"))
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(NotText, match="byte 8"):
        read_benchmark(latin)


def test_reading_benchmarks_and_statistics_need_no_torch():
    code = (
        "import shared.benchmarks, shared.evaluations, shared.statistics, sys; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'sqlmodel')))"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0
