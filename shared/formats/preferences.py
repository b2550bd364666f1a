"""Rows with a preferred answer and another one, as DPO's data has them."""

from collections.abc import Mapping
from typing import Any

from shared.formats import dialogues
from shared.formats.fields import WrongRow, list_of, text_of
from shared.formats.rows import Conversation, Preference, Turn, asking

_QUESTIONS = ("prompt", "instruction", "question")


def preference(row: Mapping[str, Any]) -> Preference:
    """`{"prompt": …, "chosen": …, "rejected": …}` of texts or of messages; without a prompt both
    answers hold the whole conversation, equal up to their last turn (Anthropic's HH, TRL).
    """
    if isinstance(row["chosen"], list):
        return _of_turns(row)
    chosen, rejected = text_of(row, "chosen"), text_of(row, "rejected")
    key = next((key for key in _QUESTIONS if key in row), None)
    if key is None:
        return _of_whole_texts(chosen, rejected)
    asked = asking(text_of(row, key), text_of(row, "input", empty=True)).asked
    return _differing(asked, chosen, rejected)


def _of_turns(row: Mapping[str, Any]) -> Preference:
    given = row.get("prompt") or []
    before = given if isinstance(given, list) else [{"role": "user", "content": given}]
    chosen, rejected = (
        dialogues.spoken([*before, *list_of(row, key)], "role", "content", "")
        for key in ("chosen", "rejected")
    )
    return _of_talks(chosen, rejected)


def _of_whole_texts(*texts: str) -> Preference:
    talks: list[Conversation] = []
    for text in texts:
        turns = dialogues.written_turns(text)
        if not turns or turns[-1].role != "assistant":
            raise WrongRow("no prompt", "缺少 prompt")
        last = Turn("assistant", turns[-1].content, trained=True)
        talks.append(dialogues.talk([*turns[:-1], last]))
    return _of_talks(*talks)


def _of_talks(chosen: Conversation, rejected: Conversation) -> Preference:
    said = [[(turn.role, turn.content) for turn in each.asked.turns] for each in (chosen, rejected)]
    if said[0] != said[1]:
        en = "chosen and rejected answer different questions"
        raise WrongRow(en, "chosen 与 rejected 的问题不同")
    return _differing(chosen.asked, chosen.turns[-1].content, rejected.turns[-1].content)


def _differing(prompt: Conversation, chosen: str, rejected: str) -> Preference:
    if chosen.strip() == rejected.strip():
        raise WrongRow("chosen and rejected are the same", "chosen 与 rejected 相同")
    return Preference(prompt, chosen, rejected)
