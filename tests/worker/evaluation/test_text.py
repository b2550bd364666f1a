"""Answers are compared alike in English and Chinese; the best reference counts."""

import pytest

from worker.evaluation.text import answer_values, f1, same, tokens


def test_tokens_are_han_characters_and_words_of_other_scripts():
    assert tokens("2023年收入增长 3.5%，GPU_0 表现OK！") == [
        *["2023", "年", "收", "入", "增", "长", "3", "5", "gpu", "0", "表", "现", "ok"]
    ]
    assert tokens("Don't naïve 한국 かな𠀀") == ["don", "t", "naïve", "한국", "か", "な", "𠀀"]
    assert tokens("ＡＢＣ１２") == ["abc12"]


def test_chinese_rouge_sees_meaning_not_only_digits():
    same_text = answer_values("公司今年收入增长。", ["公司今年收入增长"])
    assert same_text["rouge1"] == same_text["rouge2"] == same_text["rougeL"] == 1
    other = answer_values("2023年亏损严重", ["2023年收入增长"])
    assert other["rouge1"] == pytest.approx(2 / 6)
    assert other["rouge2"] == pytest.approx(1 / 5)


def test_english_rouge_is_the_textbook_one():
    values = answer_values("the cat sat", ["The cat on the mat sat."])
    assert values["rouge1"] == pytest.approx(2 * (3 / 3) * (3 / 6) / (3 / 3 + 3 / 6))
    assert values["rouge2"] == pytest.approx(2 * (1 / 2) * (1 / 5) / (1 / 2 + 1 / 5))
    assert values["f1"] == pytest.approx(2 * 3 / 9)
    assert values["exact_match"] == 0


def test_the_best_reference_counts_and_a_partial_score_stays_partial():
    one = answer_values("范廷颂是红衣主教", ["完全无关", "范廷颂"])
    assert one["f1"] == pytest.approx(2 * 3 / 11)
    assert 0 < one["rouge1"] < 1
    assert answer_values("Paris.", ["London", "paris"])["exact_match"] == 1


def test_an_empty_answer_scores_nothing_and_breaks_nothing():
    values = answer_values("", ["天蓝"])
    assert set(values.values()) == {0.0}


def test_texts_of_marks_only_are_equal_only_when_they_are_the_same():
    assert same("+", " ＋ ")
    assert not same("+", "-")
    assert not same("", "-")
    assert f1("->", "->") == 1
