"""The parts of a job's page that change while it runs: progress, curves, log."""

import streamlit as st

from dashboard import audit_view, charts, moments, parts, queries
from dashboard.language import Words
from shared import db, jobs
from shared.errors import Language, explain
from shared.tables import Attempt, Job, JobState, LogLine, MetricPoint
from shared.why import Answer, why

#: Seconds between two looks at a job that runs or waits.
REFRESH = 2
LOG_LINES = 400
#: A log of this many lines is shown whole; a longer one scrolls.
LOG_FITS = 14


def progress(words: Words, job: Job, attempt: Attempt | None, now: float, left: float | None):
    """How far a running job is, and how long it may still take."""
    if job.state != JobState.RUNNING or attempt is None:
        return
    phase = words.code("phase", attempt.phase) or words("job.starting")
    if not attempt.total:
        st.progress(0.0, text=phase)
        return
    unit = words.code("unit", attempt.unit)
    text = f"{phase} · {attempt.done:,} / {attempt.total:,} {unit}"
    if left is not None:
        text += " · " + words("job.left", length=moments.length(left, words))
    st.progress(min(1.0, attempt.done / attempt.total), text=text)
    st.caption(words("job.elapsed", length=moments.length(now - attempt.started_at, words)))


def seconds_left(attempt: Attempt | None, points: list[MetricPoint]) -> float | None:
    """By the pace of this attempt's last 50 points; None before there are five."""
    if attempt is None or not attempt.total or attempt.unit != "steps":
        return None
    own = [point for point in points if point.epoch == attempt.epoch][-50:]
    if len(own) < 5 or own[-1].step <= own[0].step:
        return None
    pace = (own[-1].at - own[0].at) / (own[-1].step - own[0].step)
    return max(0.0, pace * (attempt.total - attempt.done))


def why_waiting(words: Words, job: Job, waits: Answer, needed: list[Job]) -> None:
    """Where a queued job stands, what it waits for and, where that can be known, how long."""
    if job.state != JobState.QUEUED:
        return
    text = waits.text(words.language)
    if waits.place is not None:
        text = words("job.queued", place=parts.ordinal(waits.place, words)) + " " + text
    if waits.starts_in:
        text += " " + words("job.starts_in", time=moments.length(waits.starts_in, words))
    st.info(parts.plain(text), icon=":material/schedule:")
    for other in needed:
        if other.state != JobState.SUCCEEDED:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.caption(words("job.waits"), width="content")
                st.page_link("app_pages/job.py", label=other.name, query_params={"id": other.id})
                parts.state_badge(words, other.state)


def failure(words: Words, job: Job) -> None:
    """Why it failed, was cancelled, or is being tried again."""
    if not job.error:
        return
    text = parts.plain(explain(job.error, words.language))
    if job.state == JobState.FAILED:
        st.error(text, icon=":material/error:")
    elif job.state == JobState.QUEUED:
        st.warning(words("job.again") + " " + text, icon=":material/replay:")
    else:
        st.info(text, icon=":material/info:")


def curves(words: Words, points: list[MetricPoint]) -> None:
    """The loss, and on request every other number the job reported."""
    names = list(dict.fromkeys(name for point in points for name in point.values))
    if not names:
        return
    names.sort(key=lambda name: name != "loss")
    chosen = st.segmented_control(
        words("job.curve"),
        names,
        default=names[0],
        required=True,
        format_func=words.codes("metric"),
        key="job.curve",
        label_visibility="collapsed",
    )
    name = chosen if chosen in names else names[0]
    values = [
        (point.step, float(point.values[name]))
        for point in points
        if isinstance(point.values.get(name), int | float)
    ]
    title = words.code("metric", name)
    st.echarts_chart(
        charts.curve(values, title, words), height=300, key=f"job.chart.{name}", alt=title
    )


def log(words: Words, lines: list[LogLine], total: int) -> None:
    """The end of the log, as the job wrote it."""
    if not lines:
        st.caption(words("job.log.empty"))
        return
    text = "\n".join(_log_line(line, words.language) for line in lines)
    if total > len(lines):
        st.caption(words("job.log.tail", shown=f"{len(lines):,}", total=f"{total:,}"))
    long = text.count("\n") >= LOG_FITS
    with st.container(height=360 if long else "content", autoscroll=long, border=False):
        st.code(text, language=None, wrap_lines=True)


def _log_line(line: LogLine, language: Language) -> str:
    mark = "" if line.level in ("info", audit_view.LEVEL) else f"{line.level.upper()} "
    return f"{moments.clock(line.at)[11:]}  {mark}{line.said(language)}"


def panel(words: Words, job_id: str) -> JobState:
    """Everything of a job that moves; returns its state."""
    with db.reading() as session:
        job = jobs.find(session, job_id)
        attempt = queries.latest_attempts(session, [job.id]).get(job.id)
        waits, needed = why(session, job), jobs.needs(session, job.id)
        points = jobs.metrics(session, job.id)
        lines = queries.log_tail(session, job.id, LOG_LINES)
        total = queries.log_length(session, job.id)
        audited = queries.lines_of_level(session, job.id, audit_view.LEVEL)
        now = queries.now(session)
    failure(words, job)
    why_waiting(words, job, waits, needed)
    progress(words, job, attempt, now, seconds_left(attempt, points))
    if points:
        left, right = st.columns([3, 2], gap="medium")
        with left:
            curves(words, points)
        with right:
            log(words, lines, total)
    else:
        log(words, lines, total)
    audit_view.show(words, job, audited)
    return JobState(job.state)
