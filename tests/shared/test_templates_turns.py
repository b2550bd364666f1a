"""Several turns in each built-in template, word for word."""

import pytest

from shared.formats import Conversation, Turn
from shared.templates import pieces, render

TALK = Conversation(
    (
        Turn("user", "Hi"),
        Turn("assistant", "Hello", trained=True),
        Turn("user", "Sum up.", input="It rains."),
        Turn("assistant", "Rain", trained=True),
    )
)


def text(template: str, row: Conversation = TALK) -> str:
    found = pieces(template, row, lang="en")
    return "".join(piece.text + ("</s>" if piece.ends else "") for piece in found)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("vicuna", "USER: Hi ASSISTANT: Hello</s>USER: Sum up.\nIt rains. ASSISTANT: Rain</s>"),
        ("chatglm", "答：Hello</s>\n[Round 1]\n问：Sum up.\nIt rains.\n答：Rain</s>"),
        (
            "belle",
            "Human: \nHi\n\nAssistant: \nHello</s>"
            "Human: \nSum up.\nIt rains.\n\nAssistant: \nRain</s>",
        ),
        ("rwkv", "Assistant: Hello</s>\n\nUser: Sum up.\nIt rains.\n\nAssistant: Rain</s>"),
        ("plain", "HiHello</s>\nSum up.\nIt rains.Rain</s>"),
        (
            "alpaca-en",
            "### Instruction:\nHi\n\n### Response:\nHello</s>\n\n"
            "### Instruction:\nSum up.\n\n### Input:\nIt rains.\n\n### Response:\nRain</s>",
        ),
    ],
)  # fmt: skip
def test_turns_are_laid_out_as_the_templates_source_does(template: str, expected: str) -> None:
    assert text(template).endswith(expected)


def test_a_rows_own_opening_takes_the_templates_place() -> None:
    row = Conversation(TALK.turns, system="Be brief.")
    assert text("vicuna", row).startswith("Be brief. USER: Hi")
    assert text("alpaca-en", row).startswith("Be brief.\n\n### Instruction:\nHi")
    assert text("alpaca-en").startswith("Below is an instruction")


def test_a_prompt_stops_where_the_answer_begins() -> None:
    assert render("vicuna", "Hi").endswith("USER: Hi ASSISTANT:")
    assert [piece.trained for piece in pieces("vicuna", TALK)] == [False, True, False, True]
    assert pieces("vicuna", TALK.asked)[-1].text == "USER: Sum up.\nIt rains. ASSISTANT:"
