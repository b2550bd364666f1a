"""Prompts: the row's language, the input's place, and a fingerprint of the words."""

from typing import get_args

import pytest

from shared.errors import InvalidSpec
from shared.specs.training import TemplateName
from shared.templates import TEMPLATES, fingerprint, language_of, render


def test_every_offered_template_exists_and_no_other() -> None:
    assert {*TEMPLATES, "chat", "custom"} == set(get_args(TemplateName))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Name three colours.", "en"),
        ("列出三种颜色。", "zh"),
        ("请解释 machine learning 的含义", "zh"),
        ("Translate '你好' to English", "en"),
        ("2 + 2 = ?", "en"),
        ("", "en"),
    ],
)
def test_the_language_of_a_text_is_the_one_that_says_more(text: str, language: str) -> None:
    assert language_of(text) == language


def test_auto_takes_the_wording_of_the_rows_language() -> None:
    assert render("auto", "Name a colour.") == render("alpaca-en", "Name a colour.")
    assert render("auto", "说出一种颜色。") == render("alpaca-zh", "说出一种颜色。")
    assert render("alpaca-en", "说出一种颜色。").startswith("Below is")


def test_the_instruction_decides_the_language_unless_it_has_no_words() -> None:
    assert "### 指令" in render("auto", "把这句话翻译成英文。", "The sky is blue.")
    assert "### 指令" in render("auto", "1 + 1 = ?", "请写出答案。")


def test_a_stated_language_goes_before_the_texts_own() -> None:
    assert "### 指令" in render("auto", "Name a colour.", lang="zh")


def test_an_input_has_its_own_section_and_an_empty_one_none() -> None:
    assert "### Input:\nred, {blue}\n" in render("auto", "Pick {one}.", "red, {blue}")
    assert "Input" not in render("auto", "Pick one.", "  ")


def test_a_prompt_ends_where_the_answer_begins() -> None:
    assert render("alpaca-en", "a", "b").endswith("### Response:\n")
    assert render("alpaca-zh", "a", "b").endswith("### 回答：\n")


def test_fingerprints_tell_templates_apart() -> None:
    assert len({fingerprint(name) for name in TEMPLATES}) == len(TEMPLATES)
    assert fingerprint("auto") == fingerprint("auto")


def test_an_unknown_template_is_named_with_the_known_ones() -> None:
    with pytest.raises(InvalidSpec, match=r"no \"llama9\"; known: auto, alpaca-en"):
        render("llama9", "a")
