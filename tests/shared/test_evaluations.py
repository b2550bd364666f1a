"""An evaluation's files keep everything and are read without torch."""

import json

import pytest

from shared.evaluations import (
    EvaluationPart,
    EvaluationResult,
    ItemRow,
    items_file,
    read_result,
    write_result,
)


def part(arm: str, benchmark: str, output: str = "") -> EvaluationPart:
    row = ItemRow(
        item_id="1", item_hash="h", lang="zh", cluster="p", values={"f1": 1 / 3}, output=output
    )
    return EvaluationPart(
        arm=arm, benchmark=benchmark, benchmark_sha256="s", shape="generate", items=[row],
        metrics={"f1": {"all": 1 / 3, "zh": 1 / 3}}, engine={"dtype": "float32", "seconds": 1.5},
    )  # fmt: skip


def test_what_is_written_is_read_back_equal(tmp_path):
    tricky = "天\u2028蓝\n\x85\t“"
    result = EvaluationResult(parts=[part("base", "news", tricky), part("a", "news")])
    write_result(tmp_path / "out", result)
    assert read_result(tmp_path / "out") == result
    listed = json.loads((tmp_path / "out" / "evaluation.json").read_text())["parts"]
    assert [(head["arm"], head["n"]) for head in listed] == [("base", 1), ("a", 1)]


def test_no_two_parts_share_a_file():
    assert items_file("a-b", "c") != items_file("a", "b-c")


def test_a_cut_items_file_is_noticed(tmp_path):
    write_result(tmp_path, EvaluationResult(parts=[part("base", "news")]))
    (tmp_path / items_file("base", "news")).write_text("")
    with pytest.raises(ValueError, match="has 0 items, not 1"):
        read_result(tmp_path)
