"""Links that fill a form in: `?like=JOB`, and `?adapter=NAME` from an adapter's page."""

from typing import Any

import streamlit as st

from dashboard import drafting, parts
from dashboard.forms import Offers
from dashboard.language import Words
from shared import db, jobs
from shared.names import fresh_name


def take(words: Words, offered: Offers, page: str = "submit") -> None:
    """Fill in what the address asks for, once: a reload shows the form as it was left."""
    like = st.query_params.pop("like", "")
    if like:
        with parts.guard(words):
            clone(words, str(like), offered, page)


def clone(words: Words, like: str, offered: Offers, page: str) -> None:
    """The form as that job was submitted, under a new name. Raises UnknownJob."""
    with db.reading() as session:
        job = jobs.find(session, like)
        name = fresh_name(session, job.name)
    home = "playground" if job.kind == "chat" else "submit"
    if page != home:
        st.switch_page(f"app_pages/{home}.py", query_params={"like": job.id})
    values: dict[str, Any] = dict(job.spec) | {"name": name}
    if page == "submit":
        # The form follows the address, which says the kind.
        st.query_params["kind"] = job.kind
    text = words("submit.from.job", name=job.name)
    drafting.begin(words, job.kind, drafting.whole(job.kind, values), offered, text)
