"""Rows of several turns: ShareGPT, OpenAI messages, LIMA, BELLE, and pairs of lists."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shared.formats.fields import WrongRow, list_of, text_of
from shared.formats.rows import Conversation, Role, Turn

#: Names that data gives the speakers.
_SPEAKERS: dict[str, Role | None] = {
    "human": "user", "user": "user", "prompter": "user", "gpt": "assistant",
    "assistant": "assistant", "chatgpt": "assistant", "bard": "assistant", "bing": "assistant",
    "model": "assistant", "bot": "assistant", "system": None, "developer": None,
}  # fmt: skip
_HUMAN = re.compile(r"(?:^|\n\s*)(Human|Assistant):[ \t]*")


def sharegpt(row: Mapping[str, Any]) -> Conversation:
    """`{"conversations": [{"from": "human", "value": …}, …]}`, every answer trained."""
    return spoken(
        list_of(row, "conversations"), "from", "value", text_of(row, "system", empty=True)
    )


def messages(row: Mapping[str, Any]) -> Conversation:
    """`{"messages": [{"role": "user", "content": …}, …]}`; an answer of weight 0 is only read."""
    return spoken(list_of(row, "messages"), "role", "content", "")


def lima(row: Mapping[str, Any]) -> Conversation:
    """`{"conversations": ["question", "answer", …]}`."""
    said = list_of(row, "conversations")
    texts = [text_of({"text": text}, "text", place=f"turn {n}: ") for n, text in enumerate(said, 1)]
    roles: tuple[Role, Role] = ("user", "assistant")
    return talk([Turn(roles[n % 2], text, trained=bool(n % 2)) for n, text in enumerate(texts)])


def lists(row: Mapping[str, Any]) -> Conversation:
    """`{"input": [question, …], "output": [answer, …]}` (Chinese-Vicuna's chat data)."""
    asked, answers = list_of(row, "input"), list_of(row, "output")
    if len(asked) != len(answers):
        en = f"{len(asked)} in input, {len(answers)} in output"
        raise WrongRow(en, f"input 有 {len(asked)} 项，output 有 {len(answers)} 项")
    turns: list[Turn] = []
    for number, (question, answer) in enumerate(zip(asked, answers, strict=True), start=1):
        both = {"input": question, "output": answer}
        place = f"turn {number}: "
        turns.append(Turn("user", text_of(both, "input", place=place)))
        turns.append(Turn("assistant", text_of(both, "output", place=place), trained=True))
    return talk(turns)


def belle(row: Mapping[str, Any]) -> Conversation:
    """`{"instruction": "Human:…\\nAssistant:…\\nHuman:…\\nAssistant:", "output": …}`.

    The turns within the instruction are only read. A row without them is a single question.
    """
    instruction = text_of(row, "instruction")
    answer = Turn("assistant", text_of(row, "output"), trained=True)
    turns = written_turns(instruction)
    if not turns:
        turns = [Turn("user", instruction, text_of(row, "input", empty=True))]
    return talk([*turns, answer])


def written_turns(text: str) -> list[Turn]:
    """The turns in a text like "Human: …\n\nAssistant: …", none of them trained."""
    parts = _HUMAN.split(text)
    said = [(who, what.strip()) for who, what in zip(parts[1::2], parts[2::2], strict=True)]
    return [Turn("user" if who == "Human" else "assistant", what) for who, what in said if what]


def is_belle(row: Mapping[str, Any]) -> bool:
    """Whether an instruction holds turns of its own."""
    instruction = row.get("instruction")
    return isinstance(instruction, str) and instruction.lstrip().startswith("Human:")


def earlier(row: Mapping[str, Any]) -> list[Turn]:
    """Turns before a row's question: `{"history": [[question, answer], …]}`, only read."""
    history = row.get("history") or []
    if not isinstance(history, list):
        raise WrongRow("history is not a list", "history 不是列表")
    turns: list[Turn] = []
    for number, pair in enumerate(history, start=1):
        if not isinstance(pair, list) or len(pair) != 2:
            en = f"history {number} is not a question and its answer"
            raise WrongRow(en, f"history 第 {number} 项不是一问一答")
        said = {"question": pair[0], "answer": pair[1]}
        place = f"history {number}: "
        turns.append(Turn("user", text_of(said, "question", place=place)))
        turns.append(Turn("assistant", text_of(said, "answer", place=place)))
    return turns


def spoken(said: Sequence[Any], who: str, what: str, system: str) -> Conversation:
    """Turns as objects with a speaker and a text."""
    turns: list[Turn] = []
    for number, turn in enumerate(said, start=1):
        place = f"turn {number}: "
        if not isinstance(turn, dict):
            raise WrongRow(f"turn {number} is not an object", f"第 {number} 轮不是对象")
        speaker = text_of(turn, who, place=place).strip().lower()
        if speaker not in _SPEAKERS:
            en = f'{place}unknown {who} "{speaker}"'
            raise WrongRow(en, f"{place}未知的 {who}“{speaker}”")
        role = _SPEAKERS[speaker]
        text = text_of(turn | {what: _joined(turn.get(what))}, what, place=place)
        if role is not None:
            taught = role == "assistant" and turn.get("weight", 1) != 0
            turns.append(Turn(role, text, trained=taught))
        elif turns:
            raise WrongRow(f"{place}system is not first", f"{place}system 不在首位")
        else:
            system = text
    return talk(turns, system)


def talk(turns: Sequence[Turn], system: str = "") -> Conversation:
    """Turns that begin with the user, alternate and end with an answer. Raises WrongRow.

    What one speaker says in two turns on end is one turn; a last question without an answer is
    left out, as nothing is learned from it.
    """
    joined: list[Turn] = []
    for turn in turns:
        if joined and joined[-1].role == turn.role:
            text = f"{joined[-1].content}\n{turn.content}"
            joined[-1] = replace(joined[-1], content=text)
        else:
            joined.append(turn)
    if joined and joined[-1].role == "user":
        joined.pop()
    if not joined:
        raise WrongRow("no answer in it", "没有回答")
    if joined[0].role == "assistant":
        raise WrongRow("begins with an answer, not a question", "以回答而非提问开头")
    if not any(turn.trained for turn in joined):
        raise WrongRow("no answer of it is trained", "没有可训练的回答")
    return Conversation(tuple(joined), system)


def _joined(content: Any) -> Any:
    """OpenAI's list of text parts as one text."""
    if not isinstance(content, list):
        return content
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    kinds = {part.get("type") for part in content if isinstance(part, dict)}
    if len(parts) < len(content) or kinds - {"text"} or not all(isinstance(p, str) for p in parts):
        raise WrongRow("content holds parts that are not text", "content 含非文本部分")
    return "".join(str(part) for part in parts)
