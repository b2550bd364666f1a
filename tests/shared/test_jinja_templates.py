"""Templates in Jinja: laid out like the built-in ones, and kept from harm."""

import pytest

from shared.errors import InvalidSpec
from shared.formats import Conversation, Turn
from shared.templates import Piece, check_source, fingerprint, label, pieces, render

TALK = Conversation(
    (
        Turn("user", "Hi"),
        Turn("assistant", "Hello", trained=True),
        Turn("user", "Sum up.", input="It rains."),
        Turn("assistant", "Rain", trained=True),
    ),
    system="Be brief.",
)
CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WITH_END = (
    "{% for m in messages %}{% if m.role == 'user' %}Q: {{ m.content.strip() }}\nA:"
    "{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}\n"
    "{% else %}{{ m.content }}\n{% endif %}{% endfor %}"
)


def test_a_chat_template_trains_the_answers_with_its_own_end_marker() -> None:
    found = pieces(CHATML, TALK)
    assert [piece.text for piece in found if piece.trained] == [
        "Hello<|im_end|>\n", "Rain<|im_end|>\n",
    ]  # fmt: skip
    assert not any(piece.ends for piece in found)
    assert found[0].text.endswith("user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert "user\nSum up.\nIt rains.<|im_end|>" in found[2].text


def test_the_end_token_of_a_template_is_the_tokenizers_and_trained_with_the_answer() -> None:
    found = pieces(WITH_END, TALK)
    assert found == [
        Piece("Be brief.\nQ: Hi\nA:"), Piece(" Hello", trained=True, ends=True), Piece("\n"),
        Piece("Q: Sum up.\nIt rains.\nA:"), Piece(" Rain", trained=True, ends=True), Piece("\n"),
    ]  # fmt: skip
    assert render(WITH_END, "Hi") == "Q: Hi\nA:"


def test_a_source_is_known_by_its_fingerprint_and_called_custom() -> None:
    assert fingerprint(CHATML) != fingerprint(WITH_END)
    assert (label(CHATML), label("vicuna")) == ("custom", "vicuna")


def test_a_source_that_forgets_turns_or_rewrites_the_past_is_refused() -> None:
    check_source(CHATML)
    with pytest.raises(InvalidSpec, match="leaves out turns"):
        check_source("{% for m in messages %}x{% endfor %}")
    with pytest.raises(InvalidSpec, match="writes a conversation's beginning otherwise"):
        check_source("{{ messages|length }}{% for m in messages %}{{ m.content }}{% endfor %}")


_DOUBLE = "{% set ns = namespace(x='a') %}{% for i in range(90) %}{% set ns.x = STEP %}{% endfor %}"


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(99999999999) %}x{% endfor %}",
        "{{ 'a' * 10000000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ '%0999999999d' % 1 }}",
        "{{ '{:>9999999999}'.format(1) }}",
        "{{ 'x'.ljust(10000000000) }}",
        "{{ (['aaaaaaaaaa'] * 900000)|join }}",
        _DOUBLE.replace("STEP", "ns.x ~ ns.x"),
        _DOUBLE.replace("STEP", "ns.x + ns.x"),
        "{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}" + _DOUBLE.replace("STEP", "f(ns.x)"),
        "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{% set x %}{{ messages }}{% endset %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ messages.append(1) }}",
        "{{ messages|pprint }}",
        "{% include 'settings.py' %}",
        "{{ nothing }}",
        "{% for",
    ],
)  # fmt: skip
def test_a_source_that_does_harm_is_refused_soon(source: str) -> None:
    with pytest.raises(InvalidSpec, match="the Jinja template cannot be used"):
        pieces(source, TALK)
