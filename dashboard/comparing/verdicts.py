"""The first block of the comparison page: did it help, in words, an arm a card."""

import streamlit as st

from dashboard import parts
from dashboard.language import Words
from dashboard.score_table import SIGNS
from shared.comparisons import Arm, ComparisonTable, summary
from shared.comparisons.summary import OUTCOMES, Outcome
from shared.statistics import Verdict

COLOURS: dict[Verdict, parts.Colour] = {
    "better": "violet",
    "worse": "orange",
    "within_margin": "blue",
    "undetermined": "gray",
    "too_few": "gray",
}
#: Each outcome's colour and icon.
_LOOKS: dict[Outcome, tuple[parts.Colour, str]] = {
    "helped": ("violet", ":material/trending_up:"),
    "hurt": ("orange", ":material/trending_down:"),
    "mixed": ("yellow", ":material/swap_vert:"),
    "equal": ("blue", ":material/drag_handle:"),
    "unclear": ("gray", ":material/question_mark:"),
    "too_few": ("gray", ":material/hourglass_empty:"),
}


def verdicts(words: Words, table: ComparisonTable) -> None:
    """A card for each arm but the baseline: the word, the sentence, and a line a benchmark."""
    found = summary.lines(table, words.language)
    if not found and not table.no_ops:
        return
    with st.grid(min_column_width=330):
        for arm, word, sentence in found:
            card(words, table, arm, word, sentence)
        for none in table.no_ops:
            with st.container(border=True, gap="small"):
                _head(none.name, words.code("method", none.method), "yellow",
                      ":material/do_not_disturb_on:", "NO-OP")  # fmt: skip
                st.markdown(parts.plain(words("compare.no_op")))


def card(words: Words, table: ComparisonTable, arm: Arm, word: Outcome, sentence: str) -> None:
    """One arm."""
    colour, icon = _LOOKS[word]
    with st.container(border=True, gap="small"):
        _head(
            arm.name, words.code("method", arm.method), colour, icon, OUTCOMES[word][words.language]
        )
        st.markdown(parts.plain(sentence))
        for column in summary.judged(table, arm):
            verdict = arm.cells[column.key].verdict
            if verdict is None:
                continue
            with st.container(gap=None):
                st.badge(f"{SIGNS[verdict]} {column.benchmark}", color=COLOURS[verdict])
                st.caption(
                    parts.plain(summary.details(table, arm, column, words.language)),
                    width="stretch",
                )


def _head(name: str, method: str, colour: parts.Colour, icon: str, word: str) -> None:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center",
        gap="small",
    ):  # fmt: skip
        with st.container(gap=None, width="content"):
            st.markdown(f"**{parts.plain(name)}**", width="content")
            st.caption(parts.plain(method), width="content")
        st.badge(word, icon=icon, color=colour)
