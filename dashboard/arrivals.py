"""Links that fill a form in: `?like=JOB`, `?adapter=NAME` from an adapter's page, and
`?comparison=NAME` from a comparison's, for its judge."""

from typing import Any

import streamlit as st

from dashboard import asks, drafting, parts
from dashboard.forms import Offers
from dashboard.language import Words
from shared import db, jobs
from shared.names import fresh_name
from shared.specs import FUSION_METHODS, TRANSFERS


def take(words: Words, offered: Offers, page: str = "submit") -> None:
    """Fill in what the address asks for, once: a reload shows the form as it was left."""
    like = st.query_params.pop("like", "")
    if like:
        with parts.guard(words):
            clone(words, str(like), offered, page)
    elif page == "submit" and (names := st.query_params.get_all("adapter")):
        method = st.query_params.pop("method", "")
        del st.query_params["adapter"]
        use(words, names, str(method), offered)
    elif page == "submit" and (name := st.query_params.pop("comparison", "")):
        drafting.restore(words, "judge", offered)
        st.query_params["kind"] = "judge"
        text = words("submit.from.comparison", name=name)
        drafting.begin(words, "judge", {"comparison": name}, offered, text, keep_grid=True)


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
    if job.kind == "train":
        asks.put(job.gpus)
    text = words("submit.from.job", name=job.name)
    drafting.begin(words, job.kind, drafting.whole(job.kind, values), offered, text)


def use(words: Words, names: list[str], method: str, offered: Offers) -> None:
    """Put adapters into the form of an evaluation or a fusion; its other fields stay."""
    kind = "fuse" if st.query_params.get("kind") == "fuse" else "evaluate"
    drafting.restore(words, kind, offered)
    values: dict[str, Any] = {"adapters": names}
    if kind == "evaluate":
        bases = {each.name: each.base for each in offered["adapter"]}
        if base := bases.get(names[0]):
            values["base_model"] = base
    elif wanted := method or _same_base(kind):
        values["params"] = {"method": wanted}
    st.query_params["kind"] = kind
    text = words("submit.from.adapter", name=", ".join(names))
    drafting.begin(words, kind, values, offered, text, keep_grid=True)


def _same_base(kind: str) -> str:
    """A method for adapters of one base, where the form has a transfer chosen."""
    chosen = FUSION_METHODS.get(drafting.method(kind) or "")
    return "weighted_sum" if chosen is not None and issubclass(chosen, TRANSFERS) else ""
