"""New job: train, fuse or evaluate, from a form drawn from the spec."""

from typing import Any

import streamlit as st

from dashboard import address, arrivals, drafting, language, parts, planning, queries, shelf
from dashboard.forms import Form, Offers, fold
from dashboard.language import Words
from dashboard.queries import Choice
from shared import db, jobs, why
from shared.config import settings
from shared.errors import GraftError
from shared.specs import FUSION_METHODS, SPECS, TRANSFERS, EvaluationSpec, parse_spec
from shared.specs.recipes import RECIPES

_DONE, _CLEAR = "submit.done", "submit.clear"


def offers() -> dict[str, list[Choice]]:
    """Everything registered that a form can pick."""
    with db.reading() as session:
        return {
            "base_model": queries.base_choices(session),
            "dataset": queries.file_choices(session, "training"),
            "mixture": queries.file_choices(session, "training"),
            "benchmark": queries.file_choices(session, "benchmark"),
            "adapter": queries.adapter_choices(session),
            "knowledge": queries.knowledge_choices(session),
        }


def choose_kind(words: Words) -> str:
    """Which kind of job; it stands in the address as `?kind=`."""
    kinds = list(FORMS)
    kind = st.segmented_control(
        words("submit.kind"),
        kinds,
        format_func=words.codes("kind"),
        key=address.seed_one("submit", "kind", kinds),
        required=True,
        label_visibility="collapsed",
        persist_state="session",
    )
    address.keep("submit", "kind", [kind or kinds[0]])
    return kind or kinds[0]


def needs(words: Words, kind: str, offered: Offers) -> bool:
    """Say what has to be there before this form makes sense; False when something is missing."""
    wanted = {
        "train": (("base_model", "models"), ("dataset", "datasets")),
        "fuse": (("adapter", "submit"),),
        "evaluate": (("base_model", "models"), ("benchmark", "datasets")),
    }[kind]
    for thing, page in wanted:
        if not offered[thing]:
            parts.empty(
                words(f"submit.needs.{thing}"),
                page=f"app_pages/{page}.py",
                action=words(f"submit.needs.{thing}.action"),
                query={"kind": "train"} if page == "submit" else None,
            )
            return False
    return True


def train(words: Words, offered: Offers) -> tuple[dict[str, Any], list[str]]:
    """The form of a training; a recipe fills it in."""
    form = Form(SPECS["train"], "train", words, offered)
    chosen = st.selectbox(
        words("submit.recipe"),
        list(RECIPES),
        index=None,
        placeholder=words("submit.recipe.none"),
        key="draft.recipe",
        on_change=fill_in,
        args=(form,),
        persist_state="session",
    )
    if chosen:
        found = RECIPES[chosen]
        st.caption(found.zh if words.language == "zh" else found.en)
        about = {"base": found.base, "format": found.format, "source": found.source}
        st.caption(words("submit.recipe.for", **about))
    values = form.basic() | fold(words, "train", form)["train"]
    return values | {"kind": "train"}, form.missing


def fill_in(form: Form) -> None:
    """Put the chosen recipe's values into the form; the others go back to their defaults."""
    chosen = st.session_state.get("draft.recipe")
    if chosen:
        form.put(RECIPES[chosen].values)


def fuse(words: Words, offered: Offers) -> tuple[dict[str, Any], list[str]]:
    """The form of a fusion; the method decides which parameters it has."""
    chosen = st.selectbox(
        words("submit.method"),
        list(FUSION_METHODS),
        format_func=words.codes("method"),
        key="draft.fuse.method",
        persist_state="session",
    )
    st.caption(words(f"method.{chosen}.help"))
    transfer = issubclass(FUSION_METHODS[chosen], TRANSFERS)
    form = Form(SPECS["fuse"], "fuse", words, offered)
    own = Form(FUSION_METHODS[chosen], f"fuse.{chosen}", words, offered)
    values = form.basic(
        leave_out=() if transfer else ("host_base",), only_one=("adapters",) if transfer else ()
    )
    if transfer and not values.get("host_base"):
        form.missing.append(words("submit.host_base"))
    st.caption(words("submit.params", method=words.code("method", chosen)))
    params = own.basic() | {"method": chosen}
    more = fold(words, "fuse", form, own)
    values |= more[form.prefix] | {"kind": "fuse", "params": params | more[own.prefix]}
    return values, form.missing + own.missing


def evaluate(words: Words, offered: Offers) -> tuple[dict[str, Any], list[str]]:
    """The form of an evaluation; it offers the adapters of the chosen base."""
    base = st.session_state.get("draft.evaluate.base_model")
    mine = [each for each in offered["adapter"] if not base or each.base in ("", base)]
    own = {"adapter": mine, "baseline": [Choice(arm) for arm in drafted_arms()]}
    form = Form(SPECS["evaluate"], "evaluate", words, {**offered, **own})
    values = form.basic() | fold(words, "evaluate", form)["evaluate"]
    return values | {"kind": "evaluate"}, form.missing


def drafted_arms() -> list[str]:
    """The arms of the evaluation that is being filled in."""
    fields = ("adapters", "knowledge", "knowledge_arms")
    draft = {name: st.session_state.get(f"draft.evaluate.{name}") for name in fields}
    given = {name: value for name, value in draft.items() if value}
    return list(EvaluationSpec(name="x", base_model="x", benchmarks=["x"], **given).arms())


FORMS = {"train": train, "fuse": fuse, "evaluate": evaluate}


def send(words: Words, values: dict[str, Any]) -> None:
    """Submit the spec, or say what is wrong with it."""
    try:
        job = jobs.submit(parse_spec(values), actor=parts.actor(), project=settings().project)
    except GraftError as problem:
        parts.failure(problem, words)
        return
    st.session_state[_DONE] = job.id
    st.session_state[_CLEAR] = f"draft.{job.kind}.name"
    drafting.forget_note()
    st.rerun()


def confirmation(words: Words, kind: str) -> None:
    """Where the job that this form just submitted stands."""
    job_id = st.session_state.get(_DONE)
    if job_id is None:
        return
    with db.reading() as session:
        job = jobs.find(session, job_id)
        place = why.place(session, job)
    if job.kind != kind:
        return
    text = (
        words("submit.running", name=job.name, state=words.code("state", job.state))
        if place is None
        else words("submit.queued", name=job.name, place=parts.ordinal(place, words))
    )
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        st.badge(text, icon=":material/check:", color="green")
        st.page_link(
            "app_pages/job.py",
            label=words("submit.open"),
            icon=":material/arrow_forward:",
            query_params={"id": job.id},
        )


def main() -> None:
    """Draw the page."""
    words = language.words()
    parts.header(words("submit.title"), lead=words("submit.lead"))
    if (key := st.session_state.pop(_CLEAR, None)) is not None:
        st.session_state[key] = ""
    offered = offers()
    arrivals.take(words, offered)
    shelf.take(words, offered)
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        kind = choose_kind(words)
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            kept = st.container(width="content")
            over = st.button(
                words("submit.over"), icon=":material/restart_alt:", type="tertiary",
                key="submit.over",
            )  # fmt: skip
    confirmation(words, kind)
    if not needs(words, kind, offered):
        return
    drafting.restore(words, kind, offered)
    if over:
        drafting.start_over(words, kind, offered)
    drafting.note(words, kind, offered)
    with st.container(border=True):
        values, missing = FORMS[kind](words, offered)
    drafting.keep(kind, values)
    with kept:
        shelf.shelf(words, kind, values)
    planning.command(words, values)
    with st.container(horizontal=True):
        sent = st.button(
            words("submit.send"), type="primary", icon=":material/send:", key=f"submit.send.{kind}"
        )
        planned = st.button(
            words("plan.show"), icon=":material/query_stats:", key=f"submit.plan.{kind}"
        )
    if (sent or planned) and missing:
        st.error(words("submit.missing", fields=", ".join(missing)), icon=":material/error:")
    elif sent:
        send(words, values)
    elif planned:
        planning.show(words, values)


main()
