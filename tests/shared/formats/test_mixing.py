"""Mixing datasets: weights, languages, duplicates and a split that no instruction straddles."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from shared.errors import InvalidSpec
from shared.formats import Conversation, Row, asking, question_of
from shared.formats.mixing import Part, mix, parse_parts, split
from shared.formats.survey import language_of_row, said


def some(mark: str, count: int, lang: str = "en") -> list[Conversation]:
    text = "Question {} {}?" if lang == "en" else "第{}个问题{}？"
    return [
        asking(text.format(mark, n), output="yes" if lang == "en" else "是") for n in range(count)
    ]


def origin(rows: Sequence[Row]) -> Counter[str]:
    return Counter(question_of(row).split()[1] for row in rows)


def test_names_are_parsed_with_and_without_weights() -> None:
    assert parse_parts("alpaca", "dataset") == [Part("alpaca")]
    assert parse_parts("alpaca:2, belle:0.5", "dataset") == [Part("alpaca", 2), Part("belle", 0.5)]
    assert parse_parts("a，b", "dataset") == [Part("a"), Part("b")]


@pytest.mark.parametrize("text", ["", "a:0", "a:b", "a:1,b", "a,a", "a b", "a:1.2.3"])
def test_another_syntax_is_refused_with_the_field(text: str) -> None:
    with pytest.raises(InvalidSpec, match="dataset: "):
        parse_parts(text, "dataset")


def test_without_weights_every_row_comes_once() -> None:
    mixed = mix([(Part("a"), some("a", 5)), (Part("b"), some("b", 3))], seed=0)
    assert mixed.rows == some("a", 5) + some("b", 3)


def test_weights_decide_the_proportion_and_small_sets_come_again() -> None:
    parts = [(Part("a", 3.0), some("a", 100)), (Part("b", 1.0), some("b", 20))]
    mixed = mix(parts, seed=1)
    assert origin(mixed.rows) == {"a": 90, "b": 30}
    times = Counter(map(question_of, mixed.rows))
    assert {times[question_of(row)] for row in some("b", 20)} == {1, 2}
    assert mixed.rows == mix(parts, seed=1).rows != mix(parts, seed=2).rows
    assert mixed.notes[0]["en"] == "a: 90 rows drawn from 100"


def test_languages_are_drawn_in_their_proportion() -> None:
    rows = some("a", 80) + some("b", 20, "zh")
    mixed = mix([(Part("both"), rows)], seed=0, languages="en:1,zh:1")
    assert Counter(map(language_of_row, mixed.rows)) == {"en": 50, "zh": 50}
    with pytest.raises(InvalidSpec, match='no row is in "fr"'):
        mix([(Part("both"), rows)], seed=0, languages="fr")


def test_rows_that_say_the_same_are_left_out_over_all_datasets() -> None:
    again = [asking("question  A 1？", output="YES"), asking("Another?", output="yes")]
    mixed = mix([(Part("a"), some("a", 3)), (Part("b"), again)], seed=0, deduplicate=True)
    assert mixed.rows == [*some("a", 3), again[1]]
    assert mixed.notes[0]["en"] == "duplicates left out: 1 of 5 rows"


def test_no_instruction_is_on_both_sides_and_a_row_keeps_its_side() -> None:
    rows = [asking(f"Q{n % 40}", output=str(n)) for n in range(200)]
    train, held = split(rows, 0.25, seed=3)
    assert {*map(question_of, train)}.isdisjoint(map(question_of, held))
    assert 0 < len(held) < 100
    shuffled = random.Random(0).sample(rows, len(rows))
    assert {tuple(said(row)) for row in split(shuffled[:120], 0.25, seed=3)[1]} <= {
        tuple(said(row)) for row in held
    }


def test_held_out_instructions_are_drawn_by_no_weight() -> None:
    parts = [(Part("a", 1.0), some("a", 50)), (Part("b", 9.0), some("b", 50))]
    mixed = mix(parts, seed=0, held_out=0.3)
    assert mixed.held_out
    assert {*map(question_of, mixed.rows)}.isdisjoint(map(question_of, mixed.held_out))


def test_the_number_of_rows_is_drawn_last() -> None:
    mixed = mix([(Part("a"), some("a", 50))], seed=0, rows=7)
    assert len(mixed.rows) == 7
    assert mixed.rows == mix([(Part("a"), some("a", 50))], seed=0, rows=7).rows
