"""Knowledge bases: browse, search, add, edit, expire, approve, and try a question."""

import streamlit as st

from dashboard import address, moments, parts, queries
from dashboard.frame import framed
from dashboard.language import Words
from dashboard.sample_forms import add_form, edit_form, proposal_cards, say_done
from shared import db, knowledge
from shared.errors import GraftError
from shared.retrieval import Found
from shared.templates import language_of, render

PAGE = 50
LANGUAGES = ("", "en", "zh")


def open_base() -> None:
    """Show the knowledge base whose name was clicked."""
    click = st.session_state.get("knowledge.open")
    if click is not None:
        address.go(name=str(click["label"]))


def open_sample() -> None:
    """Edit the sample whose id was clicked."""
    click = st.session_state.get("knowledge.sample")
    if click is not None:
        st.query_params["sample"] = str(click["label"])


def new_form(words: Words) -> None:
    """The form that makes an empty knowledge base."""
    with st.form("knowledge.new", border=True, enter_to_submit=False):
        name = st.text_input(
            words("knowledge.name"), placeholder="my-notes", key="knowledge.new.name", max_chars=64
        )
        sent = st.form_submit_button(words("knowledge.new"), type="primary", icon=":material/add:")
    if not sent:
        return
    try:
        with db.writing() as session:
            knowledge.create(session, name, actor=parts.actor())
    except GraftError as problem:
        parts.failure(problem, words)
        return
    address.go(name=name)
    st.rerun()


def listing(words: Words) -> None:
    """Every knowledge base with its newest revision."""
    with db.reading() as session:
        found, now = knowledge.listing(session), queries.now(session)
        counts = {each.name: knowledge.sample_count(session, each.name) for each in found}
        waiting = {each.name: len(knowledge.proposals(session, each.name)) for each in found}
    if not found:
        parts.empty(words("knowledge.empty"))
        return
    config = st.column_config
    st.dataframe(
        [
            {
                "name": each.name,
                "samples": counts[each.name],
                "revision": each.revision,
                "proposals": waiting[each.name],
                "user": each.user,
                "created": moments.ago(each.created_at, now, words),
            }
            for each in found
        ],
        hide_index=True,
        height="content",
        column_config={
            "name": config.ButtonColumn(
                words("knowledge.name"), type="tertiary", on_click=open_base,
                key="knowledge.open", alignment="left",
            ),
            "samples": config.NumberColumn(words("knowledge.samples"), format="localized"),
            "revision": words("knowledge.revision"),
            "proposals": words("knowledge.proposals"),
            "user": words("jobs.user"),
            "created": words("jobs.created"),
        },
        key="knowledge.table",
        alt=words("knowledge.title"),
    )  # fmt: skip


def browse(words: Words, name: str) -> None:
    """The samples of the newest revision, searched and paged; a click edits one."""
    with st.container(horizontal=True, vertical_alignment="top"):
        text = st.text_input(
            words("knowledge.search"), key=address.seed_text("knowledge", "text"), width=320,
            icon=":material/search:",
        )  # fmt: skip
        lang = st.segmented_control(
            words("compare.languages"), LANGUAGES, default="", required=True,
            format_func=lambda code: words.code("language", code or "all"), key="knowledge.lang",
        )  # fmt: skip
    address.keep("knowledge", "text", [text] if text else [])
    with db.reading() as session:
        total = knowledge.sample_count(session, name, text=text, lang=lang or "")
        pages = max(1, -(-total // PAGE))
        page = st.pagination(pages, key=f"knowledge.page.{text}.{lang}") if pages > 1 else 1
        found = knowledge.samples(
            session, name, text=text, lang=lang or "", first=(page - 1) * PAGE, most=PAGE
        )
    if not found:
        parts.empty(words("knowledge.nothing" if text or lang else "knowledge.none"))
        return
    st.caption(words("jobs.shown", first=(page - 1) * PAGE + 1,
                     last=(page - 1) * PAGE + len(found), total=f"{total:,}"))  # fmt: skip
    config = st.column_config
    st.dataframe(
        [
            {
                "id": each.sample_id,
                "question": f"{each.instruction}\n{each.input}".strip(),
                "answer": each.output,
                "source": words.code("source", each.source),
                "since": each.since,
                "expires": moments.clock(each.expires_at) if each.expires_at else "",
            }
            for each in found
        ],
        hide_index=True,
        height="content" if len(found) <= 16 else 560,
        column_config={
            "id": config.ButtonColumn(
                words("knowledge.sample"), type="tertiary", on_click=open_sample,
                key="knowledge.sample", alignment="left",
            ),
            "question": words("knowledge.question"),
            "answer": words("knowledge.answer"),
            "source": words("knowledge.source"),
            "since": words("knowledge.since"),
            "expires": words("knowledge.expires"),
        },
        key="knowledge.samples",
        alt=words("knowledge.samples"),
    )  # fmt: skip


def ask(words: Words, name: str, revision: int) -> None:
    """Which samples a question finds, and the prompt with and without them."""
    st.caption(words("knowledge.try.lead"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        question = st.text_input(
            words("knowledge.question"), key="knowledge.try.question", width="stretch"
        )
        count = st.number_input(
            words("knowledge.count"), min_value=1, max_value=16, value=4, key="knowledge.try.count",
            width=120,
        )  # fmt: skip
        asked = st.number_input(
            words("knowledge.revision"), min_value=0, max_value=revision, value=revision,
            key="knowledge.try.revision", width=140,
        )  # fmt: skip
    if not question.strip():
        return
    with db.reading() as session:
        found = knowledge.query(session, name, question, int(count), revision=int(asked))
    if not found.hits:
        st.info(words("knowledge.try.nothing"), icon=":material/search_off:")
    for hit in reversed(found.hits):
        with st.container(border=True):
            st.caption(f"{hit.sample.version} · {hit.score:.2f}")
            left, right = st.columns(2)
            left.text(hit.sample.question, width="stretch")
            right.text(hit.sample.output, width="stretch")
    without, along = st.columns(2)
    without.caption(words("knowledge.try.without"))
    without.code(render("auto", question), language=None, wrap_lines=True)
    along.caption(words("knowledge.try.with"))
    along.code(prompt_with(question, found), language=None, wrap_lines=True)


def prompt_with(question: str, found: Found) -> str:
    """The prompt after its samples, the most similar last, as a reader sees it."""
    lang = language_of(question)
    shown = [
        render("auto", hit.sample.instruction, hit.sample.input, lang=lang) + hit.sample.output
        for hit in found.hits
    ]
    return "\n\n".join([*shown, render("auto", question, lang=lang)])


def history(words: Words, name: str) -> None:
    """Every revision: who did what to how many samples."""
    with db.reading() as session:
        found, now = knowledge.revisions(session, name), queries.now(session)
    if not found:
        parts.empty(words("knowledge.none"))
        return
    st.dataframe(
        [
            {
                words("knowledge.revision"): f"{name}@{each.revision}",
                words("knowledge.action"): words.code("edit", each.action),
                words("knowledge.changed"): each.changed,
                words("knowledge.samples"): each.samples,
                words("jobs.user"): each.user,
                words("jobs.created"): moments.ago(each.created_at, now, words),
            }
            for each in found
        ],
        hide_index=True,
        height="content" if len(found) <= 16 else 560,
        alt=words("knowledge.revisions"),
    )


def detail(words: Words, name: str) -> None:
    """One knowledge base."""
    with db.reading() as session:
        base = knowledge.find(session, name)
        waiting = len(knowledge.proposals(session, name))
    say_done()
    if sample := st.query_params.get("sample", ""):
        edit_form(words, name, sample)
    samples, trying, adding, proposed, revisions = st.tabs(
        [
            words("knowledge.samples"), words("knowledge.try"), words("knowledge.add"),
            words("knowledge.proposals.count", count=waiting), words("knowledge.revisions"),
        ],
        key="knowledge.tabs",
    )  # fmt: skip
    with samples:
        browse(words, name)
    with trying:
        ask(words, name, base.revision)
    with adding:
        add_form(words, name)
    with proposed:
        proposal_cards(words, name)
    with revisions:
        history(words, name)


def form_and_listing(words: Words) -> None:
    """The form for a new one, and below it every knowledge base."""
    new_form(words)
    listing(words)


framed("knowledge", listing=form_and_listing, detail=detail)
