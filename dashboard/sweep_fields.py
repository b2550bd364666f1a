"""Several values for a field of the form: a job for each, and for several fields a grid."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard import filling
from dashboard.forms import Offers
from dashboard.language import Words
from shared.specs import FUSION_METHODS, SPECS
from shared.specs.parameters import Parameter, parameters

#: By field: the values it shall have, one job for each.
Grid = Mapping[str, Sequence[Any]]
#: Single names that a field picks; a mixture's commas could not be told from those between values.
_PICKS = ("base_model", "dataset", "mixture")


def offered_fields(kind: str, method: str | None) -> dict[str, Parameter]:
    """The fields of a kind of job that may have several values: numbers and choices."""
    declared = parameters(SPECS[kind])
    if kind == "fuse" and method in FUSION_METHODS:
        declared = [*parameters(FUSION_METHODS[method]), *declared]
    return {each.name: each for each in reversed(declared) if _can_vary(each)}


def _can_vary(each: Parameter) -> bool:
    choosing = each.choices or each.picks in _PICKS or each.type in (bool, int, float)
    return bool(choosing) and not each.many


def read(kind: str, method: str | None) -> dict[str, list[Any]]:
    """The grid that the form asks for, as it stands before its fields are drawn."""
    fields = offered_fields(kind, method)
    chosen = [name for name in st.session_state.get(_chosen(kind)) or [] if name in fields]
    for name in chosen:
        if _key(kind, name) not in st.session_state:
            _seed(kind, method, fields[name])
    return {
        name: _values(fields[name], st.session_state.get(_key(kind, name))) for name in chosen
    }  # fmt: skip


def _seed(kind: str, method: str | None, each: Parameter) -> None:
    """Begin a field's values with the one it has."""
    own = method in FUSION_METHODS and each.name in FUSION_METHODS[method].model_fields
    prefix = f"{kind}.{method}" if own else kind
    now = st.session_state.get(f"draft.{prefix}.{each.name}", filling.blank(each))
    st.session_state[_key(kind, each.name)] = _shown(each, [] if now is None else [now])


def _shown(each: Parameter, values: Sequence[Any]) -> Any:
    """What the widget of a field's values holds: a text for numbers, else the values."""
    return ", ".join(map(_written, values)) if _is_typed(each) else list(values)


def _is_typed(each: Parameter) -> bool:
    return each.type in (int, float) and not each.choices


def _values(each: Parameter, held: Any) -> list[Any]:
    """What stands in the widget of a field's values; a text that is no number stays a text."""
    if not isinstance(held, str):
        return list(held or [])
    return [_number(each, text) for text in filling.typed(held)]


def _number(each: Parameter, text: str) -> Any:
    try:
        return each.type(text)
    except ValueError:
        return text


def draw(words: Words, kind: str, method: str | None, offered: Offers) -> None:
    """The fold in which fields are chosen and their values given."""
    fields = offered_fields(kind, method)
    known = sorted(fields, key=lambda name: fields[name].title(words.language).lower())
    _drop(_chosen(kind), known)
    with st.expander(
        words("sweep.title"), icon=":material/grid_view:",
        expanded=bool(st.session_state.get(_chosen(kind))), key=f"draft.{kind}.sweep",
    ):  # fmt: skip
        st.caption(words("sweep.lead"))
        titles = {name: f"{fields[name].title(words.language)} · {name}" for name in fields}
        chosen = st.multiselect(
            words("sweep.fields"), known, format_func=titles.__getitem__, key=_chosen(kind),
            placeholder=words("submit.choose"), persist_state="session",
        )  # fmt: skip
        with st.grid(min_column_width=250, gap="small", vertical_alignment="top"):
            for name in chosen:
                _widget(words, kind, fields[name], offered)


def _widget(words: Words, kind: str, each: Parameter, offered: Offers) -> None:
    """One field's values: typed numbers, or some of the choices."""
    key = _key(kind, each.name)
    common: dict[str, Any] = {
        "label": words("sweep.values", field=each.title(words.language)), "key": key,
        "persist_state": "session",
    }  # fmt: skip
    if _is_typed(each):
        st.text_input(placeholder=words("submit.list"), **common)
        return
    options = _options(each, offered)
    _drop(key, options)
    st.multiselect(
        options=options, placeholder=words("submit.choose"),
        format_func=lambda value: _said(words, each, value), **common,
    )  # fmt: skip


def _drop(key: str, options: Sequence[Any]) -> None:
    """Take what is no longer offered out of a multiple choice."""
    held = st.session_state.get(key) or []
    kept = [value for value in held if value in options]
    if kept != held:
        st.session_state[key] = kept


def _options(each: Parameter, offered: Offers) -> list[Any]:
    if each.type is bool:
        return [False, True]
    return list(each.choices) or [choice.name for choice in offered.get(each.picks or "", ())]


def _said(words: Words, each: Parameter, value: Any) -> str:
    if isinstance(value, bool):
        return words("sweep.on" if value else "sweep.off")
    return words.code(f"choice.{each.name}", str(value))


def fill(kind: str, grid: Grid, method: str | None) -> list[str]:
    """Set the fields and values of a grid; returns what no field can hold."""
    fields = offered_fields(kind, method)
    st.session_state[_chosen(kind)] = [name for name in grid if name in fields]
    for name, values in grid.items():
        if name in fields:
            st.session_state[_key(kind, name)] = _shown(fields[name], values)
    return [f"{name}: {', '.join(map(str, values))}" for name, values in grid.items()
            if name not in fields]  # fmt: skip


def count(grid: Grid) -> int:
    """How many jobs a grid makes; 1 without a field in it."""
    return math.prod(len(values) for values in grid.values())


def total(words: Words, grid: Grid) -> None:
    """The sum of it: 3 × 2 = 6 jobs."""
    if grid:
        terms = " × ".join(str(len(values)) for values in grid.values())
        sides = f"{terms} = {count(grid)}" if len(grid) > 1 else terms
        st.caption(":material/grid_view: " + words("sweep.total", count=sides), width="content")


def _written(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _chosen(kind: str) -> str:
    return f"draft.{kind}.vary"


def _key(kind: str, name: str) -> str:
    return f"draft.{kind}.vary.{name}"
