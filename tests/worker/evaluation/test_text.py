"""Answers are compared alike in English and Chinese; the best reference counts."""

import random

import pytest
from rouge_score.rouge_scorer import RougeScorer

from worker.evaluation.text import answer_values, chrf, f1, own_values, rouge, same, tokens


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


def test_rouge_is_rouge_scores_on_any_two_texts():
    class _Tokenizer:
        def tokenize(self, text: str) -> list[str]:
            return tokens(text)

    theirs = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=_Tokenizer())
    draw = random.Random(5)
    words = ["the", "cat", "dog", "on", "河", "水", "流", "大海"]
    for _ in range(300):
        answer, reference = (
            " ".join(draw.choices(words, k=draw.choice((0, 1, 2, 5, 20, 90)))) for _ in range(2)
        )
        wanted = {name: score.fmeasure for name, score in theirs.score(reference, answer).items()}
        assert rouge(answer, reference) == wanted, (answer, reference)


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


def test_chrf_is_sacrebleus():
    # sacrebleu 2.6.0: CHRF().sentence_score(answer, [reference]).score / 100
    pairs = {
        ("the cat sat on a mat", "the cat is on the mat"): 0.3703545302214975,
        ("河水流向大海", "河水慢慢流向大海边"): 0.2923632880529432,
        ("ab", "abc"): 0.6363636363636362,
        ("x", "y"): 0.0,
        ("", "y"): 0.0,
    }
    for (answer, reference), wanted in pairs.items():
        assert chrf(answer, reference) == pytest.approx(wanted, abs=1e-9)


def test_an_answer_that_repeats_itself_or_answers_in_another_language_shows_it():
    looping = own_values("好的好的好的好的好的", "en")
    assert looping["repetition"] > 0.5
    assert looping["distinct2"] < 0.3
    assert looping["in_language"] == 0
    assert own_values("The river runs to the sea.", "en") == {
        "in_language": 1.0, "distinct2": 1.0, "repetition": 0.0,
    }  # fmt: skip
