"""The form that somebody fills in: kept on the server, filled from elsewhere, begun again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard import asks, parts, sweep_fields
from dashboard.forms import Form, Offers
from dashboard.language import Words
from dashboard.sweep_fields import Grid
from shared import db, drafts
from shared.specs import FUSION_METHODS, SPECS
from shared.specs.parameters import parameters

_NOTE = "drafting.note"
METHOD = "draft.fuse.method"


@dataclass(frozen=True)
class Note:
    """What filled the form in, what it could not take, and what stood there before."""

    kind: str
    text: str
    left: tuple[str, ...] = ()
    before: tuple[Mapping[str, Any], Grid] | None = None


def fill(words: Words, kind: str, values: Mapping[str, Any], offered: Offers) -> list[str]:
    """Set the fields that a spec's values name; returns what no field can hold."""
    own = {name: value for name, value in values.items() if name not in ("kind", "params")}
    left = Form(SPECS[kind], kind, words, offered).fill(own)
    params = values.get("params")
    if kind != "fuse" or not isinstance(params, Mapping):
        return left
    chosen = params.get("method")
    if chosen not in FUSION_METHODS:
        return [*left, f"{words('submit.method')}: {chosen}"]
    st.session_state[METHOD] = chosen
    form = Form(FUSION_METHODS[chosen], f"fuse.{chosen}", words, offered)
    return left + form.fill({name: value for name, value in params.items() if name != "method"})


def whole(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for every field of a kind: those given, and None, the default, for the others."""
    found = dict.fromkeys(each.name for each in parameters(SPECS[kind])) | dict(values)
    if kind == "fuse":
        params = values.get("params")
        given = dict(params) if isinstance(params, Mapping) else {}
        chosen = given.setdefault("method", next(iter(FUSION_METHODS)))
        declared = parameters(FUSION_METHODS[chosen]) if chosen in FUSION_METHODS else []
        found["params"] = dict.fromkeys(each.name for each in declared) | given
    return found


def method(kind: str) -> str | None:
    """The chosen fusion method, where the form has one."""
    return st.session_state.get(METHOD) or next(iter(FUSION_METHODS)) if kind == "fuse" else None


def begin(
    words: Words, kind: str, values: Mapping[str, Any], offered: Offers, text: str,
    grid: Grid | None = None, *, keep_grid: bool = False,
) -> None:  # fmt: skip
    """Fill the form in with these values, say what did, and remember what stood there before."""
    with db.reading() as session:
        old = drafts.of(session, parts.user(), kind)
    before = None if old is None else (dict(old.values), dict(old.grid))
    left = fill(words, kind, values, offered)
    if not keep_grid:
        left += sweep_fields.fill(kind, grid or {}, method(kind))
    st.session_state[_NOTE] = Note(kind, text, tuple(left), before)
    # Not yet kept, though nobody has typed anything.
    st.session_state[_kept(kind)] = ""


def restore(words: Words, kind: str, offered: Offers) -> None:
    """What was being filled in when the page was left, in a window that has not shown it yet."""
    if _kept(kind) in st.session_state:
        return
    with db.reading() as session:
        found = drafts.of(session, parts.user(), kind)
    if found is not None:
        fill(words, kind, whole(kind, found.values), offered)
        sweep_fields.fill(kind, found.grid, method(kind))


def keep(kind: str, values: Mapping[str, Any], grid: Grid | None = None) -> None:
    """Keep what the form holds now, where it has changed."""
    text = json.dumps([values, grid or {}], sort_keys=True)
    known = st.session_state.get(_kept(kind))
    st.session_state[_kept(kind)] = text
    if known in (None, text):
        return
    with db.writing() as session:
        drafts.keep(session, kind, values, grid or {}, actor=parts.actor())


def start_over(words: Words, kind: str, offered: Offers) -> None:
    """Give every field its default again; what was there can be brought back."""
    begin(words, kind, whole(kind, {}), offered, words("submit.over.done"))
    st.session_state.pop("draft.recipe", None)
    asks.put(1)


def note(words: Words, kind: str, offered: Offers) -> None:
    """What filled the form in, with a button that takes it back."""
    found: Note | None = st.session_state.get(_NOTE)
    if found is None or found.kind != kind:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="submit.note"):
        st.caption(":material/edit_note: " + parts.plain(found.text), width="content")
        if found.before is not None and st.button(
            words("submit.undo"), icon=":material/undo:", type="tertiary", key="submit.undo"
        ):
            values, grid = found.before
            begin(words, kind, whole(kind, values), offered, words("submit.undone"), grid)
            st.rerun()
    if found.left:
        st.warning(
            parts.plain(words("submit.left", fields="; ".join(found.left))),
            icon=":material/warning:",
        )


def forget_note() -> None:
    """The form has gone its way: what filled it in is no longer of interest."""
    st.session_state.pop(_NOTE, None)


def _kept(kind: str) -> str:
    return f"drafting.kept.{kind}"
