"""What a training found in its data before the first step, on the job's page."""

import re
from collections.abc import Sequence

import streamlit as st

from dashboard import parts, row_view
from dashboard.language import Words
from shared.tables import Job, LogLine

#: The level of the lines that the training engine's audit writes, and the marks it sets.
LEVEL = "audit"
_OPEN, _CLOSE = "⟦", "⟧"
_TRAINED = re.compile(f"{_OPEN}(.*?)(?:{_CLOSE}|$)", re.DOTALL)


def show(words: Words, job: Job, lines: Sequence[LogLine]) -> None:
    """The facts, and the examples with what is trained in colour; nothing before they are there."""
    if not lines:
        return
    said = [line.said(words.language) for line in lines]
    with st.expander(words("job.audit"), icon=":material/fact_check:", expanded=True):
        if job.vram_mb or job.expected_seconds:
            parts.facts(_predicted(words, job))
        for text in said:
            if "\n" in text and _OPEN in text:
                head, _, example = text.partition("\n")
                st.caption(parts.plain(head))
                row_view.coloured(split(example), head)
            else:
                st.text(text)


def split(text: str) -> list[tuple[str, bool]]:
    """An example's text as stretches, those between marks being trained."""
    found: list[tuple[str, bool]] = []
    done = 0
    for match in _TRAINED.finditer(text):
        found += [(text[done : match.start()], False), (match[1], True)]
        done = match.end()
    return [part for part in [*found, (text[done:], False)] if part[0]]


def _predicted(words: Words, job: Job) -> list[tuple[str, str]]:
    found = []
    if job.vram_mb:
        found.append((words("job.audit.memory"), f"{job.vram_mb:,} MiB"))
    if job.expected_seconds:
        found.append((words("job.audit.time"), f"{job.expected_seconds / 60:,.1f} min"))
    return found
