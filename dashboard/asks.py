"""What a job of the form asks of the pool beside its spec: its cards."""

import streamlit as st

from dashboard.language import Words

_CARDS = "draft.train.cards"
#: As `graft submit --gpus` and the API.
_MOST = 64


def cards(words: Words, kind: str) -> int:
    """How many cards the job shall have; only a training computes on several."""
    if kind != "train":
        return 1
    text = f"{words('submit.cards.help')}\n\n`--gpus`  1 – {_MOST}"
    # As wide as the fields above it.
    with st.grid(min_column_width=250, gap="small"):
        return st.number_input(
            words("submit.cards"), min_value=1, max_value=_MOST, value=1, step=1, key=_CARDS,
            help=text, persist_state="session",
        )  # fmt: skip


def put(count: int) -> None:
    """Fill the field in, before it is drawn."""
    st.session_state[_CARDS] = min(max(1, count), _MOST)
