"""A transfer study from the form of a transfer: several ways and every control, one submission."""

from typing import Any

import streamlit as st

from dashboard import parts
from dashboard.forms import Form, Offers
from dashboard.language import Words
from dashboard.queries import Choice
from shared.config import settings
from shared.errors import GraftError
from shared.queueing import Request
from shared.specs.study import STUDIED, StudySpec
from shared.studies import study_of, submit_study


def show(words: Words, offered: Offers) -> None:
    """A switch; what it shows is drawn from the study's own declaration."""
    if not st.toggle(words("study.title"), help=words("study.lead"), key="study.open"):
        return
    with st.container(border=True):
        st.caption(words("study.lead"))
        ways = [Choice(method) for method in STUDIED]
        form = Form(StudySpec, "study", words, {**offered, "methods": ways})
        st.session_state.setdefault(form.key("methods"), StudySpec.model_fields["methods"].default)
        values = form.basic()
        with st.expander(words("submit.advanced"), icon=":material/tune:", key="study.advanced"):
            values |= form.advanced()
        sent = st.button(
            words("study.send"), type="primary", icon=":material/science:", key="study.send"
        )
    if sent and form.missing:
        fields = ", ".join(form.missing)
        st.error(words("submit.missing", fields=fields), icon=":material/error:")
    elif sent:
        send(words, values)


def send(words: Words, values: dict[str, Any]) -> None:
    """Queue the study, or say what is wrong with it."""
    try:
        request = Request(actor=parts.actor(), project=settings().project)
        made = submit_study(study_of(values), request)
    except GraftError as problem:
        parts.failure(problem, words)
        return
    evaluation = made[-1]
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        text = words("study.sent", name=evaluation.name, count=len(made))
        st.badge(parts.plain(text), icon=":material/check:", color="green")
        st.page_link(
            "app_pages/jobs.py", label=words("submit.open.all"), icon=":material/arrow_forward:",
            query_params={"sweep": evaluation.sweep or ""},
        )  # fmt: skip
