"""docs/people.md says of every action who may do it, as the code decides it."""

from pathlib import Path

import pytest

from shared.errors import Language
from shared.people.actors import Actor, Role
from shared.people.permissions import OWNED, WORDS, Action, may

DOCS = Path(__file__).parents[3] / "docs"
FILES: dict[Language, str] = {"en": "people.md", "zh": "people.zh-CN.md"}
#: nobody's, one's own, anybody's.
SAID: dict[Language, tuple[str, str, str]] = {
    "en": ("–", "own", "yes"),
    "zh": ("–", "自己的", "可以"),
}


def cell(role: Role, action: Action, language: Language) -> str:
    no, own, yes = SAID[language]
    actor = Actor("ann", role)
    if may(actor, action, owner="bo"):
        return yes
    # What makes a new thing has no owner yet.
    fresh = action not in OWNED and _makes(actor, action)
    if fresh:
        return yes
    return own if may(actor, action, owner="ann") else no


def _makes(actor: Actor, action: Action) -> bool:
    try:
        return may(actor, action)
    except TypeError:
        return False


@pytest.mark.parametrize("language", FILES)
def test_the_table_holds_every_action_and_what_each_role_may(language: Language) -> None:
    text = (DOCS / FILES[language]).read_text(encoding="utf-8")
    expected = [
        " | ".join(
            [f"| {WORDS[action][language]}", *(cell(role, action, language) for role in Role)]
        )
        + " |"
        for action in Action
    ]
    assert [row for row in expected if row not in text.splitlines()] == []


def test_both_languages_have_the_same_sections_and_the_same_commands() -> None:
    texts = [(DOCS / name).read_text(encoding="utf-8") for name in FILES.values()]
    assert texts[0].count("\n## ") == texts[1].count("\n## ")
    blocks = [text.split("```")[1::2] for text in texts]
    assert blocks[0] == blocks[1]
