"""The playground: several arms answer the same questions side by side, in a job of the pool."""

from typing import Any

import streamlit as st

from dashboard import address, arrivals, drafting, language, moments, parts, queries, talking
from dashboard.forms import Form, fold
from dashboard.language import Words
from dashboard.queries import Choice
from shared import chats, db, jobs
from shared.columns import short_id
from shared.config import settings
from shared.errors import GraftError
from shared.specs import SPECS, parse_spec
from shared.tables import Job, JobState

#: Sessions of the reader that are listed.
LISTED = 20


def open_session() -> None:
    """Show the session whose name was clicked."""
    click = st.session_state.get("playground.open")
    if click is not None:
        address.go(id=str(click["label"]))


def start_form(words: Words) -> None:
    """Which base, adapters and knowledge base shall answer."""
    with db.reading() as session:
        offered = {
            "base_model": queries.base_choices(session),
            "adapter": queries.adapter_choices(session),
            "knowledge": queries.knowledge_choices(session),
        }
    if not offered["base_model"]:
        parts.empty(
            words("submit.needs.base_model"), page="app_pages/models.py",
            action=words("submit.needs.base_model.action"),
        )  # fmt: skip
        return
    arrivals.take(words, offered, "playground")
    drafting.restore(words, "chat", offered)
    drafting.note(words, "chat", offered)
    seed(offered["adapter"])
    base = st.session_state.get("draft.chat.base_model")
    offered["adapter"] = [
        each for each in offered["adapter"] if not base or each.base in ("", base)
    ]
    form = Form(SPECS["chat"], "chat", words, offered)
    values = form.basic(leave_out=("name",)) | fold(words, "chat", form)["chat"]
    drafting.keep("chat", values)
    if not st.button(words("playground.start"), type="primary", icon=":material/play_arrow:",
                     key="playground.start"):  # fmt: skip
        return
    if form.missing:
        st.error(words("submit.missing", fields=", ".join(form.missing)), icon=":material/error:")
        return
    start(words, values)


def seed(adapters: list[Choice]) -> None:
    """Put the adapter that a link names, and its base, into the form."""
    wanted = st.query_params.get("adapter", "")
    for each in adapters:
        if each.name == wanted:
            st.session_state["draft.chat.base_model"] = each.base
            st.session_state["draft.chat.adapters"] = [each.name]
    if wanted:
        del st.query_params["adapter"]


def start(words: Words, values: dict[str, Any]) -> None:
    """Queue a session and open it, or say why it was refused."""
    named = values | {"kind": "chat", "name": f"chat-{short_id()}"}
    try:
        job = jobs.submit(parse_spec(named), actor=parts.actor(), project=settings().project)
    except GraftError as problem:
        parts.failure(problem, words)
        return
    address.go(id=job.id)
    st.rerun()


def listing(words: Words) -> None:
    """The reader's own sessions, the newest first."""
    with db.reading() as session:
        found, now = chats.sessions(session, parts.user(), LISTED), queries.now(session)
    if not found:
        return
    st.subheader(words("playground.mine"), anchor=False)
    config = st.column_config
    st.dataframe(
        [
            {
                "id": each.id,
                "state": words.code("state", each.state),
                "arms": ", ".join(talking.arms_of(each)),
                "created": moments.ago(each.created_at, now, words),
            }
            for each in found
        ],
        hide_index=True,
        height="content",
        column_config={
            "id": config.ButtonColumn(
                words("playground.session"), type="tertiary", on_click=open_session,
                key="playground.open", alignment="left",
            ),
            "state": words("jobs.state"),
            "arms": words("playground.arms"),
            "created": words("jobs.created"),
        },
        key="playground.table",
        alt=words("playground.mine"),
    )  # fmt: skip


def actions(words: Words, job: Job) -> None:
    """Stop a session, start one like it again, see its job."""
    with st.container(horizontal=True, vertical_alignment="center"):
        parts.state_badge(words, job.state)
        if not JobState(job.state).is_final:
            if st.button(words("playground.stop"), icon=":material/stop_circle:",
                         key="playground.stop"):  # fmt: skip
                jobs.cancel(job.id, actor=parts.actor())
                st.rerun()
        elif st.button(words("playground.again"), icon=":material/replay:", type="primary",
                       key="playground.again"):  # fmt: skip
            start(words, dict(job.spec))
        st.page_link(
            "app_pages/job.py", label=words("playground.job"), icon=":material/arrow_forward:",
            query_params={"id": job.id},
        )  # fmt: skip


def conversation(words: Words, job_id: str) -> None:
    """One session."""
    with db.reading() as session:
        job = jobs.find(session, job_id)
        asked = chats.turns(session, job.id)
    ended = JobState(job.state).is_final
    actions(words, job)
    st.toggle(words("playground.blind"), key="playground.blind", persist_state="session")
    pace = talking.pace(job, asked)
    st.fragment(run_every=pace)(talking.moving)(words, job.id, job.state, pace)
    question = st.chat_input(
        words("playground.ended.ask" if ended else "playground.ask"),
        key="playground.question", disabled=ended,
    )  # fmt: skip
    if question:
        with db.writing() as session:
            chats.ask(session, job.id, question, actor=parts.actor())
        st.rerun()


def main() -> None:
    """Draw the page."""
    words = language.words()
    wanted = st.query_params.get("id", "")
    parts.header(words("playground.title"), lead="" if wanted else words("playground.lead"))
    if wanted:
        parts.back(words("playground.other"))
        with parts.guard(words):
            conversation(words, wanted)
        return
    start_form(words)
    listing(words)


main()
