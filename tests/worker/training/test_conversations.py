"""Several turns, texts and preferences as examples: what of them is trained."""

from typing import Any

from shared.formats import Conversation, Preference, Text, Turn, asking
from tiny_bases import make_tokenizer
from worker.training.audit import marked
from worker.training.batches import collate
from worker.training.examples import encode, prompt_ids

TOKENIZER: Any = make_tokenizer(384)
TALK = Conversation(
    (
        Turn("user", "Name the capital of France."),
        Turn("assistant", "Paris.", trained=True),
        Turn("user", "And of Japan?"),
        Turn("assistant", "Tokyo.", trained=False),
        Turn("user", "And of Peru?"),
        Turn("assistant", "Lima.", trained=True),
    )
)


def test_every_trained_turn_is_a_span_and_the_others_are_only_read() -> None:
    [example] = encode([TALK], TOKENIZER, "belle", 512).examples
    text = marked(example, TOKENIZER)
    assert text.count("⟦") == 2
    assert "Assistant: \n⟦Paris.</s>⟧Human: \nAnd of Japan?" in text
    assert "\nTokyo.</s>Human: \nAnd of Peru?" in text
    assert text.endswith("⟦Lima.</s>⟧")
    assert example.labels == len(example.targets)


def test_a_batch_predicts_the_tokens_of_every_span_from_the_places_before_them() -> None:
    examples = encode([TALK, asking("a", output="b")], TOKENIZER, "plain", 512).examples
    batch = collate(examples, 0, "cpu")
    ids = [token for example in examples for token in example.targets]
    assert batch.targets.tolist() == ids
    longest = max(len(example.ids) for example in examples) - 1
    for place, target in zip(batch.places.tolist(), ids, strict=True):
        row, column = divmod(place, longest)
        assert examples[row].ids[column + 1] == target


def test_a_cut_keeps_the_spans_before_it_and_shortens_the_one_it_meets() -> None:
    [whole] = encode([TALK], TOKENIZER, "belle", 512).examples
    (begin, end), _ = whole.trained
    data = encode([TALK], TOKENIZER, "belle", end - 1)
    assert data.examples[0].trained == ((begin, end - 1),)
    assert (data.cut, data.dropped) == (1, 0)


def test_a_text_is_trained_from_its_second_token_on() -> None:
    [example] = encode([Text("Once upon a time")], TOKENIZER, "auto", 512).examples
    assert marked(example, TOKENIZER) == "<s>⟦Once upon a time</s>⟧"


def test_a_preference_gives_two_examples_with_one_prompt_and_is_left_out_whole() -> None:
    question = TALK.asked
    row = Preference(question, "Lima.", "I do not know, and nobody has ever told me.")
    data = encode([row], TOKENIZER, "vicuna", 512)
    [chosen], [rejected] = data.examples, data.rejected
    assert chosen.ids[: chosen.answer] == rejected.ids[: rejected.answer]
    assert chosen.ids[: chosen.answer] == prompt_ids(row, TOKENIZER, "vicuna")
    assert data.labels == chosen.labels + rejected.labels
    short = encode([row], TOKENIZER, "vicuna", chosen.answer)
    assert (short.examples, short.rejected, short.dropped) == ([], [], 1)


def test_a_question_asked_alone_has_the_ids_it_is_trained_with() -> None:
    [example] = encode([TALK], TOKENIZER, "chatglm", 512).examples
    asked = prompt_ids(TALK, TOKENIZER, "chatglm")
    assert example.ids[: len(asked)] == asked
    assert example.trained[-1][0] == len(asked)
