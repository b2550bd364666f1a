"""A job's log: its end as it grows, lines that hold a word, and the whole of it as a file."""

import streamlit as st
from sqlmodel import Session, col, select

from dashboard import audit_view, moments, queries
from dashboard.language import Words
from shared import db
from shared.errors import Language
from shared.tables import Job, LogLine

LINES = 400
#: A log of this many lines is shown whole; a longer one scrolls.
_FITS = 14


def show(words: Words, job: Job) -> None:
    """The end of the log as the job wrote it, or the last lines that hold what is searched."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.text_input(
            words("job.log.search"), placeholder=words("job.log.search"), key="job.log.search",
            icon=":material/search:", label_visibility="collapsed", width=230,
        )  # fmt: skip
        st.download_button(
            words("job.log.save"), lambda: whole(job.id, words.language), f"{job.name}.log",
            "text/plain", icon=":material/download:", on_click="ignore", key="job.log.save",
        )  # fmt: skip
    with db.reading() as session:
        lines = tail(session, job.id, wanted or "")
        total = queries.log_length(session, job.id)
    if not lines:
        st.caption(words("job.log.nothing" if wanted else "job.log.empty"))
        return
    text = "\n".join(written(line, words.language) for line in lines)
    if wanted:
        st.caption(words("job.log.found", shown=f"{len(lines):,}", total=f"{total:,}"))
    elif total > len(lines):
        st.caption(words("job.log.tail", shown=f"{len(lines):,}", total=f"{total:,}"))
    long = text.count("\n") >= _FITS
    with st.container(height=360 if long else "content", autoscroll=long, border=False):
        st.code(text, language=None, wrap_lines=True)


def tail(session: Session, job_id: str, wanted: str) -> list[LogLine]:
    """The last lines, in order; only those that hold `wanted` in either language."""
    query = select(LogLine).where(LogLine.job_id == job_id)
    if wanted:
        said = col(LogLine.text).icontains(wanted, autoescape=True)
        query = query.where(said | col(LogLine.zh).icontains(wanted, autoescape=True))
    return list(session.exec(query.order_by(col(LogLine.id).desc()).limit(LINES)).all())[::-1]


def whole(job_id: str, language: Language) -> str:
    """The whole log as a text file."""
    query = select(LogLine).where(LogLine.job_id == job_id).order_by(col(LogLine.id))
    with db.reading() as session:
        lines = session.exec(query).all()
    return "".join(f"{written(line, language)}\n" for line in lines)


def written(line: LogLine, language: Language) -> str:
    """One line with its time of day, and its level where that matters."""
    mark = "" if line.level in ("info", audit_view.LEVEL) else f"{line.level.upper()} "
    return f"{moments.clock(line.at)[11:]}  {mark}{line.said(language)}"
