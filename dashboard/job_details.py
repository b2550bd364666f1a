"""What does not move much on a job's page: attempts, events, what it made, its spec."""

import json
from urllib.parse import urlsplit

import streamlit as st
from sqlmodel import Session, col, select

from dashboard import moments, parts, spec_diff
from dashboard.language import Words
from shared import db, jobs
from shared.errors import explain
from shared.tables import Adapter, Attempt, Checkpoint, Comparison, Event, Job

#: Jobs of the same kind that a spec can be held against.
_OTHERS = 200
#: What a program does with a job of each kind.
_ENDS = {"evaluate": "job.wait().comparison.rows()"} | dict.fromkeys(
    ("train", "fuse"), "job.wait().adapter"
)


def show(words: Words, job: Job) -> None:
    """Everything about the job in tabs."""
    with db.reading() as session:
        attempts, events = jobs.attempts(session, job.id), jobs.history(session, job.id)
        made = _made(session, job)
        saved = list(session.exec(select(Checkpoint).where(Checkpoint.job_id == job.id)).all())
        others = _others(session, job)
    names = ("attempts", "events", "artifacts", "spec", "diff")
    tabs = st.tabs([words(f"job.{name}") for name in names])
    with tabs[0]:
        attempts_table(words, attempts)
    with tabs[1]:
        events_table(words, events)
    with tabs[2]:
        artifacts(words, made, saved)
    with tabs[3]:
        text = json.dumps(job.spec, ensure_ascii=False, indent=2)
        st.code(text, language=None)
        st.download_button(
            words("job.spec.save"), text, f"{job.name}.json", "application/json",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        elsewhere(words, job)
    with tabs[4]:
        difference(words, job, others)


def elsewhere(words: Words, job: Job) -> None:
    """How a terminal and a program get at this job: both print this page's address in turn."""
    st.caption(words("job.elsewhere"))
    st.code(f"graft show {job.id}", language=None)
    site = urlsplit(st.context.url or "")
    where = f'"{site.scheme}://{site.netloc}"' if site.netloc else ""
    ends = _ENDS.get(job.kind, "job.wait()")
    lines = ["import graft", f'job = graft.Client({where}).job("{job.id}")', ends]
    st.code("\n".join(lines), language=None)


def attempts_table(words: Words, rows: list[Attempt]) -> None:
    """Each run of the job on a host, with what it is charged."""
    if not rows:
        st.caption(words("job.attempts.empty"))
        return
    st.dataframe(
        [
            {
                words("job.attempt"): row.epoch,
                words("jobs.host"): row.host,
                words("job.device"): f"{row.device} {', '.join(map(str, row.cards))}".strip(),
                words("job.outcome"): words.code("outcome", row.outcome or "running"),
                words("job.reached"): f"{row.done:,} / {row.total:,}" if row.total else "–",
                words("job.started"): moments.clock(row.started_at),
                words("jobs.took"): moments.length(
                    row.ended_at - row.started_at if row.ended_at else None, words
                ),
                words("job.charged"): moments.length(row.gpu_seconds or None, words),
                words("job.why"): explain(row.error, words.language),
            }
            for row in rows
        ],
        hide_index=True,
        alt=words("job.attempts"),
    )


def events_table(words: Words, rows: list[Event]) -> None:
    """What happened to the job, oldest first."""
    st.dataframe(
        [
            {
                words("job.when"): moments.clock(row.at),
                words("job.event"): words.code("event", row.kind),
                words("job.actor"): row.actor,
                words("job.data"): json.dumps(
                    {key: value for key, value in row.data.items() if value is not None},
                    ensure_ascii=False,
                )
                if row.data
                else "",
            }
            for row in rows
        ],
        hide_index=True,
        alt=words("job.events"),
    )


def _made(session: Session, job: Job) -> list[Adapter | Comparison]:
    adapters = session.exec(select(Adapter).where(Adapter.job_id == job.id)).all()
    compared = session.exec(select(Comparison).where(Comparison.job_id == job.id)).all()
    return [*adapters, *compared]


def artifacts(
    words: Words, made: list[Adapter | Comparison], saved: list[Checkpoint]
) -> None:  # fmt: skip
    """What the job published, and the checkpoints it could go on from."""
    if not made and not saved:
        st.caption(words("job.artifacts.none"))
    for each in made:
        page = "adapters" if isinstance(each, Adapter) else "compare"
        st.page_link(
            f"app_pages/{page}.py", label=each.name, icon=":material/inventory_2:",
            query_params={"name": each.name},
        )  # fmt: skip
        if isinstance(each, Adapter):
            parts.facts(
                [
                    (words("job.artifacts.size"), moments.size(each.bytes)),
                    (words("job.artifacts.rank"), str(each.rank or "–")),
                    ("SHA-256", each.sha256[:16]),
                    (words("job.artifacts.where"), each.uri),
                ]
            )
    if saved:
        st.dataframe(
            [
                {
                    words("job.attempt"): row.epoch,
                    words("job.step"): row.step,
                    words("job.when"): moments.clock(row.created_at),
                    words("job.artifacts.where"): row.uri,
                }
                for row in saved
            ],
            hide_index=True,
            alt=words("job.artifacts.checkpoints"),
        )


def _others(session: Session, job: Job) -> dict[str, str]:
    """The newest jobs of the kind by id, the one this is a retry of first."""
    query = select(Job.id, Job.name).where(Job.kind == job.kind, Job.id != job.id)
    rows = session.exec(query.order_by(col(Job.created_at).desc()).limit(_OTHERS)).all()
    first = [(job.retry_of, job.retry_of)] if job.retry_of else []
    return {job_id: name for job_id, name in [*first, *rows] if job_id is not None}


def difference(words: Words, job: Job, others: dict[str, str]) -> None:
    """The spec held against another job's: only the fields that differ."""
    chosen = st.selectbox(
        words("job.diff.with"),
        list(others),
        index=None,
        format_func=lambda job_id: f"{others.get(job_id, '')} ({job_id})",
        placeholder=words("job.diff.choose"),
        key="job.diff",
    )
    if not chosen:
        return
    with db.reading() as session:
        other = jobs.find(session, chosen)
    rows = spec_diff.differences(job.spec, other.spec, words.language)
    if not rows:
        st.info(words("job.diff.same"), icon=":material/check:")
        return
    mine, theirs = f"{job.name} ({job.id})", f"{other.name} ({other.id})"
    st.dataframe(
        [
            {words("job.diff.field"): f"{row.title} · {row.field}", mine: row.mine,
             theirs: row.other}
            for row in rows
        ],
        hide_index=True,
        alt=words("job.diff"),
    )  # fmt: skip
