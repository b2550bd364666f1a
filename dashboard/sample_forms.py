"""Forms that change a knowledge base: add, import, edit, expire, approve."""

from collections.abc import Callable

import streamlit as st

from dashboard import parts, queries
from dashboard.language import Words
from shared import datasets, db, knowledge
from shared.alpaca import read_rows
from shared.errors import GraftError
from shared.knowledge import Text
from shared.storage import store

_DONE = "knowledge.done"


def add_form(words: Words, name: str) -> None:
    """One sample typed, or all rows of a registered dataset."""
    with st.form("knowledge.add", border=True, enter_to_submit=False, clear_on_submit=True):
        typed = _texts(words, "knowledge.add")
        days = st.number_input(
            words("knowledge.days"), min_value=1, value=None, key="knowledge.add.days", width=240,
            help=words("knowledge.days.help"),
        )  # fmt: skip
        sent = st.form_submit_button(words("knowledge.add"), type="primary", icon=":material/add:")
    if sent:
        _do(words, lambda: _add(words, name, typed, days))
    with db.reading() as session:
        offered = [each.name for each in queries.file_choices(session, "training")]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            words("knowledge.dataset"), offered, index=None, key="knowledge.dataset", width=320,
            placeholder=words("submit.choose" if offered else "submit.none"),
        )  # fmt: skip
        if st.button(words("knowledge.import"), disabled=chosen is None, key="knowledge.import"):
            _do(words, lambda: _import(words, name, str(chosen)))


def edit_form(words: Words, name: str, sample_id: str) -> None:
    """A sample being edited, with a button that takes it out."""
    with db.reading() as session:
        old = knowledge.sample(session, name, sample_id)
    key = f"knowledge.edit.{sample_id}.{old.since}"
    with st.form(key, border=True, enter_to_submit=False):
        st.caption(f"{sample_id}@{old.since} · {old.source} · {old.user}")
        typed = _texts(words, key, old.instruction, old.input, old.output)
        with st.container(horizontal=True):
            save = st.form_submit_button(
                words("knowledge.save"), type="primary", icon=":material/check:"
            )
            gone = st.form_submit_button(words("knowledge.expire"), icon=":material/delete:")
            close = st.form_submit_button(words("job.keep"))
    if save:
        _do(words, lambda: _edit(words, name, sample_id, typed), leave=True)
    if gone:
        _do(words, lambda: _expire(words, name, sample_id), leave=True)
    if close:
        st.query_params.pop("sample", None)
        st.rerun()


def proposal_cards(words: Words, name: str) -> None:
    """Proposed samples, each to be approved or rejected."""
    with db.reading() as session:
        found = knowledge.proposals(session, name)
    if not found:
        parts.empty(words("knowledge.proposals.empty"))
    for each in found:
        with st.container(border=True):
            left, right = st.columns(2)
            left.caption(each.user)
            left.text(f"{each.instruction}\n{each.input}".strip(), width="stretch")
            right.text(each.output, width="stretch")
            with st.container(horizontal=True):
                for verb, decide in (
                    ("approve", knowledge.approve), ("reject", knowledge.reject)
                ):  # fmt: skip
                    if st.button(words(f"knowledge.{verb}"), key=f"knowledge.{verb}.{each.id}"):
                        _do(words, lambda each=each, decide=decide: _decide(decide, name, each.id))


def _texts(
    words: Words, key: str, instruction: str = "", input: str = "", output: str = ""
) -> tuple[str, str, str]:
    """The three texts of a sample as they are typed."""
    left, right = st.columns(2)
    asked = left.text_area(
        words("knowledge.instruction"), value=instruction, key=f"{key}.instruction", height=110
    )
    more = left.text_area(words("knowledge.input"), value=input, key=f"{key}.input", height=80)
    answer = right.text_area(
        words("knowledge.answer"), value=output, key=f"{key}.output", height=190
    )
    return asked, more, answer


def _add(words: Words, name: str, typed: tuple[str, str, str], days: int | None) -> str:
    asked, more, answer = typed
    with db.writing() as session:
        made = knowledge.add(
            session, name, Text(asked, answer, more), actor=parts.actor(), days=days
        )  # fmt: skip
    return words("knowledge.done.add", sample=f"{made.sample_id}@{made.since}")


def _import(words: Words, name: str, dataset: str) -> str:
    with db.writing() as session:
        file = datasets.find(session, dataset, "training")
        rows = [Text(**row) for row in read_rows(store().open_path(file.uri))]
        added = knowledge.add_many(session, name, rows, actor=parts.actor(), source=dataset)
    return words("knowledge.done.import", count=f"{len(added.ids):,}", known=f"{added.known:,}")


def _edit(words: Words, name: str, sample_id: str, typed: tuple[str, str, str]) -> str:
    asked, more, answer = typed
    with db.writing() as session:
        made = knowledge.edit(
            session, name, sample_id, Text(asked, answer, more), actor=parts.actor()
        )
    return words("knowledge.done.edit", sample=f"{made.sample_id}@{made.since}")


def _expire(words: Words, name: str, sample_id: str) -> str:
    with db.writing() as session:
        revision = knowledge.expire(session, name, [sample_id], actor=parts.actor())
    return words("knowledge.done.expire", revision=f"{name}@{revision}")


def _decide(decide: Callable[..., object], name: str, proposal: str) -> str:
    with db.writing() as session:
        decide(session, name, proposal, actor=parts.actor())
    return ""


def _do(words: Words, work: Callable[[], str], *, leave: bool = False) -> None:
    """Run an edit and draw the page anew with what it did, or say why it was refused."""
    try:
        said = work()
    except GraftError as problem:
        parts.failure(problem, words)
        return
    st.session_state[_DONE] = said
    if leave:
        st.query_params.pop("sample", None)
    st.rerun()


def say_done() -> None:
    """What the last edit did."""
    if said := st.session_state.pop(_DONE, ""):
        st.success(said, icon=":material/check:")
