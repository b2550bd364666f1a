"""New job: train, fuse or evaluate, from a form drawn from the spec."""

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import (
    address,
    arrivals,
    asks,
    drafting,
    language,
    parts,
    planning,
    queries,
    sending,
    shelf,
    study_form,
    sweep_fields,
)
from dashboard.forms import Form, Offers, fold
from dashboard.language import Words
from dashboard.queries import Choice
from dashboard.sweep_fields import Grid
from shared import db, results
from shared.specs import FUSION_METHODS, SPECS, TRANSFERS, EvaluationSpec
from shared.specs.recipes import RECIPES

#: The kind of job that makes what a form needs.
_MAKES = {"adapter": "train", "comparison": "evaluate"}


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
            "comparison": [Choice(each.name) for each in results.comparisons(session)],
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
        "judge": (("base_model", "models"), ("comparison", "submit")),
    }[kind]
    for thing, page in wanted:
        if not offered[thing]:
            parts.empty(
                words(f"submit.needs.{thing}"),
                page=f"app_pages/{page}.py",
                action=words(f"submit.needs.{thing}.action"),
                query={"kind": _MAKES[thing]} if page == "submit" else None,
            )
            return False
    return True


def train(words: Words, offered: Offers, grid: Grid) -> tuple[dict[str, Any], list[str]]:
    """The form of a training; a recipe fills it in."""
    form = Form(SPECS["train"], "train", words, offered, grid)
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


def fuse(words: Words, offered: Offers, grid: Grid) -> tuple[dict[str, Any], list[str]]:
    """The form of a fusion; the method decides which parameters it has."""
    chosen = st.selectbox(
        words("submit.method"),
        list(FUSION_METHODS),
        format_func=words.codes("method"),
        key=drafting.METHOD,
        persist_state="session",
    )
    st.caption(words(f"method.{chosen}.help"))
    transfer = issubclass(FUSION_METHODS[chosen], TRANSFERS)
    form = Form(SPECS["fuse"], "fuse", words, offered, grid)
    own = Form(FUSION_METHODS[chosen], f"fuse.{chosen}", words, offered, grid)
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


def evaluate(words: Words, offered: Offers, grid: Grid) -> tuple[dict[str, Any], list[str]]:
    """The form of an evaluation; it offers the adapters of the chosen base."""
    base = st.session_state.get("draft.evaluate.base_model")
    mine = [each for each in offered["adapter"] if not base or each.base in ("", base)]
    own = {"adapter": mine, "baseline": [Choice(arm) for arm in drafted_arms()]}
    form = Form(SPECS["evaluate"], "evaluate", words, {**offered, **own}, grid)
    values = form.basic() | fold(words, "evaluate", form)["evaluate"]
    return values | {"kind": "evaluate"}, form.missing


def drafted_arms() -> list[str]:
    """The arms of the evaluation that is being filled in."""
    fields = ("adapters", "knowledge", "knowledge_arms")
    draft = {name: st.session_state.get(f"draft.evaluate.{name}") for name in fields}
    given = {name: value for name, value in draft.items() if value}
    return list(EvaluationSpec(name="x", base_model="x", benchmarks=["x"], **given).arms())


def judge(words: Words, offered: Offers, grid: Grid) -> tuple[dict[str, Any], list[str]]:
    """The form of a judging."""
    form = Form(SPECS["judge"], "judge", words, offered, grid)
    values = form.basic() | fold(words, "judge", form)["judge"]
    return values | {"kind": "judge"}, form.missing


FORMS = {"train": train, "fuse": fuse, "evaluate": evaluate, "judge": judge}


def bar(words: Words) -> tuple[str, DeltaGenerator, bool]:
    """The kind of job, a place for the shelf, and whether to start over."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        kind = choose_kind(words)
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            place = st.container(width="content")
            over = st.button(
                words("submit.over"), icon=":material/restart_alt:", type="tertiary",
                key="submit.over",
            )  # fmt: skip
    return kind, place, over


def form(
    words: Words, kind: str, offered: Offers
) -> tuple[dict[str, Any], Grid, int, list[str]]:  # fmt: skip
    """The fields and their values, the grid, the cards, and the titles of what is missing."""
    method = drafting.method(kind)
    grid = sweep_fields.read(kind, method)
    with st.container(border=True):
        values, missing = FORMS[kind](words, offered, grid)
        # The method may have been changed by this very run.
        sweep_fields.draw(words, kind, drafting.method(kind), offered)
        gpus = asks.cards(words, kind)
    missing += [words("sweep.values", field=name) for name, given in grid.items() if not given]
    return values, grid, gpus, missing


def ask(
    words: Words, kind: str, values: dict[str, Any], grid: Grid, gpus: int, missing: list[str]
) -> None:  # fmt: skip
    """Submit, or plan first; several jobs are counted on the button."""
    count = sweep_fields.count(grid)
    label = words("submit.send.many", count=count) if grid else words("submit.send")
    with st.container(horizontal=True, vertical_alignment="center"):
        sent = st.button(
            label, type="primary", icon=":material/send:", key=f"submit.send.{kind}"
        )  # fmt: skip
        planned = st.button(
            words("plan.show"), icon=":material/query_stats:", key=f"submit.plan.{kind}"
        )
        sweep_fields.total(words, grid)
    if (sent or planned) and missing:
        st.error(words("submit.missing", fields=", ".join(missing)), icon=":material/error:")
    elif sent:
        sending.send(words, values, grid, gpus)
    elif planned:
        planning.show(words, values, grid, gpus)


def main() -> None:
    """Draw the page."""
    words = language.words()
    parts.header(words("submit.title"), lead=words("submit.lead"))
    sending.clear_name()
    offered = offers()
    arrivals.take(words, offered)
    shelf.take(words, offered)
    kind, place, over = bar(words)
    sending.confirmation(words, kind)
    if not needs(words, kind, offered):
        return
    drafting.restore(words, kind, offered)
    if over:
        drafting.start_over(words, kind, offered)
    drafting.note(words, kind, offered)
    values, grid, gpus, missing = form(words, kind, offered)
    drafting.keep(kind, values, grid)
    with place:
        shelf.shelf(words, kind, values, grid)
    planning.command(words, values, grid, gpus)
    ask(words, kind, values, grid, gpus, missing)
    if kind == "fuse" and issubclass(FUSION_METHODS[values["params"]["method"]], TRANSFERS):
        study_form.show(words, offered)


main()
