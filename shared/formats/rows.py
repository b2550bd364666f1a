"""What every training file becomes: conversations, texts and preferences, whatever its format."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said in a conversation."""

    role: Role
    content: str
    #: What a user's instruction is about (Alpaca's `input`); empty elsewhere.
    input: str = ""
    #: Whether the model learns to say it; only an assistant's turn can be trained.
    trained: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns of a user and an assistant in turn, the user first."""

    turns: tuple[Turn, ...]
    #: What stands before the first turn; empty leaves the template's own opening.
    system: str = ""

    @property
    def asked(self) -> "Conversation":
        """The same without its last answer: what a model is asked."""
        last = max((n for n, turn in enumerate(self.turns) if turn.role == "user"), default=-1)
        return replace(self, turns=self.turns[: last + 1])

    def answered(self, text: str) -> "Conversation":
        """The same question with this answer, the only turn that is trained."""
        before = tuple(replace(turn, trained=False) for turn in self.asked.turns)
        return replace(self, turns=(*before, Turn("assistant", text, trained=True)))


@dataclass(frozen=True, slots=True)
class Text:
    """A text of which every token is trained (continued pre-training)."""

    text: str


@dataclass(frozen=True, slots=True)
class Preference:
    """A question with the answer that people prefer and the one they do not."""

    #: Ends with a user's turn.
    prompt: Conversation
    chosen: str
    rejected: str

    @property
    def pair(self) -> tuple[Conversation, Conversation]:
        """The question answered in both ways: (chosen, rejected)."""
        return self.prompt.answered(self.chosen), self.prompt.answered(self.rejected)


Row = Conversation | Text | Preference
#: A row as Alpaca writes it: instruction, input and output.
AlpacaRow = Mapping[str, str]


def asking(instruction: str, input: str = "", output: str = "") -> Conversation:
    """A conversation of one question and, where there is one, its answer."""
    question = Turn("user", instruction, input)
    return Conversation((question, Turn("assistant", output, trained=True)))


def row_of(row: Row | AlpacaRow) -> Row:
    """A row as it is, or the conversation that an Alpaca mapping stands for."""
    if isinstance(row, Conversation | Text | Preference):
        return row
    return asking(row["instruction"], row.get("input") or "", row["output"])


def question_of(row: Row) -> str:
    """What decides the side of a held-out split: the first instruction, or the text itself."""
    if isinstance(row, Text):
        return row.text
    conversation = row.prompt if isinstance(row, Preference) else row
    first = conversation.turns[0]
    return f"{first.content}\n{first.input}" if first.input else first.content


def content_hash(rows: Iterable[Row | AlpacaRow]) -> str:
    """Digest of what rows say, in their order: the same from every file format."""
    digest = hashlib.sha256()
    for row in map(row_of, rows):
        digest.update(type(row).__name__.encode())
        digest.update(json.dumps(asdict(row), ensure_ascii=False).encode())
    return digest.hexdigest()[:16]
