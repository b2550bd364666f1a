"""Training files of every format people have, read as conversations, texts and preferences."""

from shared.formats.rows import (
    AlpacaRow,
    Conversation,
    Preference,
    Row,
    Text,
    Turn,
    asking,
    content_hash,
    question_of,
    row_of,
)

__all__ = [
    "AlpacaRow", "Conversation", "Preference", "Row", "Text", "Turn", "asking", "content_hash",
    "question_of", "row_of",
]  # fmt: skip
