"""Training files of every format people have, read as conversations, texts and preferences."""

from shared.formats.reading import detect, read_questions, read_rows, rows
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
from shared.formats.shapes import FORMATS, FormatName

__all__ = [
    "FORMATS", "AlpacaRow", "Conversation", "FormatName", "Preference", "Row", "Text", "Turn",
    "asking", "content_hash", "detect", "question_of", "read_questions", "read_rows", "row_of",
    "rows",
]  # fmt: skip
