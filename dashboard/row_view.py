"""Training rows on a page: as a table, and laid out in a template with what is trained coloured."""

import html
from collections.abc import Sequence

import streamlit as st

from shared.formats import Preference, Row, Text
from shared.templates import Piece, pieces

#: Readable on light and on dark pages.
_TRAINED = "background:rgba(46,160,67,.28);border-radius:3px"
_BOX = "white-space:pre-wrap;overflow-wrap:anywhere;margin:0;font-size:.85rem"
#: Stands for the tokenizer's end-of-text token.
END = "■"


def cells(row: Row) -> dict[str, str]:
    """A row's texts by column: what is asked and answered, turn by turn."""
    if isinstance(row, Text):
        return {"text": row.text}
    talk = row.prompt if isinstance(row, Preference) else row
    found = {"system": talk.system} if talk.system else {}
    for number, turn in enumerate(talk.turns):
        place = f" {number // 2 + 1}" if len(talk.turns) > 2 else ""
        found[f"{turn.role}{place}"] = turn.content
        if turn.input:
            found[f"input{place}"] = turn.input
    if isinstance(row, Preference):
        found |= {"chosen": row.chosen, "rejected": row.rejected}
    return found


def laid_out(row: Row, template: str) -> list[Piece]:
    """A row as a training reads it; of a preference, the question with the preferred answer."""
    if isinstance(row, Text):
        return [Piece(row.text, trained=True, ends=True)]
    return pieces(template, row.pair[0] if isinstance(row, Preference) else row)


def coloured(parts: Sequence[tuple[str, bool]], label: str) -> None:
    """Text whose trained parts, those marked true, have a green ground."""
    spans = "".join(
        f'<span style="{_TRAINED}">{html.escape(text)}</span>' if trained else html.escape(text)
        for text, trained in parts
    )
    with st.container(border=True):
        st.html(f'<pre style="{_BOX}" aria-label="{html.escape(label)}">{spans}</pre>')


def in_template(row: Row, template: str, label: str) -> None:
    """Draw a row as its template lays it out."""
    parts = [
        (piece.text + (END if piece.ends else ""), piece.trained)
        for piece in laid_out(row, template)
    ]
    coloured(parts, label)
