"""Sentences that a Chinese reader and an English one each get in their language, whole."""

from typing import Any

import pytest

from shared.errors import BadSweep, InvalidSpec, both, from_record
from shared.specs import parse_spec
from test_architecture import CHINESE

TRAIN = {"kind": "train", "name": "a", "base_model": "b", "dataset": "d"}


def test_a_clause_in_both_languages_survives_the_record() -> None:
    error = BadSweep(field="rank", problem=both("no values were given", "没有给出取值"))
    again = from_record(error.record())
    assert "no values were given" in again.message("en")
    assert "没有给出取值" in again.message("zh")
    assert "no values" not in again.message("zh")


@pytest.mark.parametrize(
    ("change", "english", "chinese"),
    [
        ({"rank": 0}, "at least 1 (given: 0)", "须不小于 1（给出的是 0）"),
        ({"rank": 1.5}, "whole number", "须为整数"),
        ({"learning_rate": "fast"}, "must be a number", "须为数字"),
        ({"precision": "fp8"}, "'fp32' or 'bf16'", "'fp32' 或 'bf16'"),
        ({"colour": "red"}, "no such field", "没有这一项"),
        ({"name": "a b"}, "start with a letter", "须以字母或数字开头"),
        ({"target_modules": "q"}, "must be a list", "须为列表"),
        ({"kind": "bake"}, "must be one of 'train'", "'judge' 之一"),
        ({"dataset": None}, "must be text", "须为文本"),
    ],
)
def test_a_wrong_field_is_explained_in_the_readers_language(
    change: dict[str, Any], english: str, chinese: str
) -> None:
    with pytest.raises(InvalidSpec) as wrong:
        parse_spec(TRAIN | change)
    assert english in wrong.value.message("en")
    assert chinese in wrong.value.message("zh")
    assert not CHINESE.search(wrong.value.message("en"))


def test_a_missing_field_is_named() -> None:
    with pytest.raises(InvalidSpec) as wrong:
        parse_spec({"kind": "train", "name": "a", "dataset": "d"})
    assert wrong.value.message("zh").startswith("base_model：缺少该项")
