"""Checks of instructions in both languages."""

import pytest
from pydantic import ValidationError

from shared.instructions import Check, in_language, script_share, words


@pytest.mark.parametrize(
    ("kind", "value", "good", "bad"),
    [
        ("language", "zh", "他住在 Paris，喜欢苹果。", "好的, the answer is forty-two"),
        ("language", "en", "I like 苹果 and pears and plums and nuts.", "我喜欢 apples。"),
        ("includes", "River", "by the river", "by the sea"),
        ("includes", "河", "大河向东", "大海"),
        ("excludes", "sea", "by the river", "by the Sea"),
        ("starts_with", "答：", "答:好的", "好的"),
        ("ends_with", "the end.", "It is THE END.", "the end"),
        ("at_least_words", 4, "天气很好", "three words here"),
        ("at_most_words", 3, "it's well-known now", "one two three four"),
        ("sentences", 2, "It costs 3.50. Cheap!", "One only"),
        ("sentences", 2, "今天下雨。明天放晴！", "今天下雨，明天放晴。"),
        ("bullets", 2, "- a\n- b", "- a\n- b\n1. c"),
        ("bullets", 2, "1、苹果\n2、梨", "苹果和梨"),
        ("paragraphs", 2, "One.\n\nTwo.", "One.\nTwo."),
        ("json", None, '```json\n{"a": [1]}\n```', "{a: 1}"),
        ("no_commas", None, "red and blue", "红，蓝"),
        ("lower_case", None, "all small", "Not all"),
        ("upper_case", None, "ALL LARGE", "Not ALL"),
    ],
)
def test_a_check_tells_obedience_from_disobedience(kind, value, good, bad):
    check = Check(kind=kind, value=value)
    assert check.passes(good)
    assert not check.passes(bad)
    assert not check.passes("  ")


@pytest.mark.parametrize(
    ("kind", "value"),
    [("includes", None), ("language", "fr"), ("bullets", 0), ("json", "x"), ("rhymes", None)],
)
def test_a_check_that_cannot_be_tested_is_refused(kind, value):
    with pytest.raises(ValidationError):
        Check(kind=kind, value=value)


def test_code_addresses_and_digits_are_of_no_language():
    assert in_language("运行 `pip install graft` 即可 https://example.org/a/b 42", "zh")
    assert script_share("42 + 7 = 49", "en") == 0
    assert words("它有 3 个 green doors") == 6
