"""Specs kept under a name, and as files: saved, loaded into the form, shared, deleted."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import drafting, parts
from dashboard.forms import Offers
from dashboard.language import Words
from dashboard.sweep_fields import Grid
from shared import db, saved_specs, sweeps
from shared.errors import GraftError, InvalidSpec, NotJson, both
from shared.people.permissions import Action, may
from shared.specs import SPECS, parse_spec
from shared.tables import SavedSpec

_LOAD, _FILE, _ROUND = "shelf.load", "shelf.file", "shelf.round"
_REFUSED, _SAVED = "shelf.refused", "shelf.saved"


def take(words: Words, offered: Offers) -> None:
    """Fill the form in from what was pressed in the shelf, before its fields are drawn."""
    refused = st.session_state.pop(_REFUSED, None)
    if isinstance(refused, GraftError):
        parts.failure(refused, words)
    if (name := st.session_state.pop(_SAVED, None)) is not None:
        st.session_state["shelf.name"] = ""
        text = words("shelf.done", name=parts.plain(name))
        st.toast(text, icon=":material/bookmark_added:")
    with parts.guard(words):
        if (asked := st.session_state.pop(_LOAD, None)) is not None:
            owner, name = asked
            _load(words, owner, name, offered)
        if (file := st.session_state.pop(_FILE, None)) is not None:
            name, content, kind = file
            _read(words, name, content, kind, offered)


def shelf(words: Words, kind: str, values: Mapping[str, Any], grid: Grid) -> None:
    """The saved specs of a kind, and the form as it stands to be saved or downloaded."""
    parts.upload_words(words)
    with st.popover(words("shelf.title"), icon=":material/bookmarks:"):
        _saved(words, kind)
        st.text_input(
            words("shelf.name"), key="shelf.name", max_chars=saved_specs.LONGEST,
            placeholder=words("submit.text"),
        )  # fmt: skip
        st.toggle(words("shelf.team"), key="shelf.team", help=words("shelf.team.help"))
        # No callback: it would save the values of the run before.
        if st.button(words("shelf.save"), icon=":material/save:", key="shelf.save"):
            with parts.guard(words):
                _save(kind, values, grid)
        st.divider()
        _download(words, kind, values, grid)
        key = f"shelf.upload.{st.session_state.get(_ROUND, 0)}"
        st.file_uploader(
            words("shelf.upload"), type=["json"], key=key, on_change=_uploaded, args=(key, kind),
            max_upload_size=1,
        )  # fmt: skip


def _download(words: Words, kind: str, values: Mapping[str, Any], grid: Grid) -> None:
    """The form as `graft submit -f` takes it: an object, or a line for each job of a grid."""
    name = values.get("name") or kind
    if not grid:
        st.download_button(
            words("job.spec.save"), json.dumps(values, ensure_ascii=False, indent=2),
            f"{name}.json", "application/json", icon=":material/download:", on_click="ignore",
            key="shelf.download",
        )  # fmt: skip
        return
    try:
        specs = sweeps.expand(parse_spec(dict(values)).model_dump(mode="json"), grid)
    except GraftError:
        st.caption(words("shelf.unfinished"))
        return
    st.download_button(
        words("shelf.lines", count=len(specs)),
        "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in specs),
        f"{name}.jsonl", "application/jsonl", icon=":material/download:", on_click="ignore",
        key="shelf.download",
    )  # fmt: skip


def _saved(words: Words, kind: str) -> None:
    actor = parts.actor()
    with db.reading() as session:
        found = saved_specs.listing(session, actor.user, kind)
    if not found:
        st.caption(words("shelf.none"))
    for each in found:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                _label(each, actor.user), type="tertiary",
                key=f"shelf.load.{each.user}.{each.name}",
                icon=":material/group:" if each.team else ":material/bookmark:",
                help=words("shelf.load"), on_click=_ask, args=(each.user, each.name),
            )  # fmt: skip
            if may(actor, Action.FORGET_SPEC, owner=each.user):
                st.button(
                    words("shelf.forget"), type="tertiary", icon=":material/close:",
                    key=f"shelf.forget.{each.user}.{each.name}",
                    on_click=_forget, args=(each.user, each.name),
                )  # fmt: skip


def _label(each: SavedSpec, user: str) -> str:
    return parts.plain(each.name if each.user == user else f"{each.name} · {each.user}")


def _ask(owner: str, name: str) -> None:
    st.session_state[_LOAD] = owner, name


def _load(words: Words, owner: str, name: str, offered: Offers) -> None:
    """The saved spec into the form; it may have been deleted meanwhile."""
    with db.reading() as session:
        found = saved_specs.find(session, owner, name, actor=parts.actor())
    text = words("shelf.loaded", name=name)
    values = drafting.whole(found.kind, found.values)
    drafting.begin(words, found.kind, values, offered, text, found.grid)


def _save(kind: str, values: Mapping[str, Any], grid: Grid) -> None:
    """Save the form without the job's name, which no second job could have."""
    name = str(st.session_state["shelf.name"]).strip()
    kept = {key: value for key, value in values.items() if key != "name"}
    team = bool(st.session_state["shelf.team"])
    with db.writing() as session:
        saved_specs.keep(session, name, kind, kept, grid, team=team, actor=parts.actor())
    st.session_state[_SAVED] = name
    st.rerun()


def _forget(owner: str, name: str) -> None:
    try:
        with db.writing() as session:
            saved_specs.forget(session, owner, name, actor=parts.actor())
    except GraftError as problem:
        st.session_state[_REFUSED] = problem


def _uploaded(key: str, kind: str) -> None:
    file = st.session_state[key]
    if file is not None:
        st.session_state[_FILE] = file.name, file.getvalue(), kind
        # An uploader with another key is an empty one.
        st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1


def _read(words: Words, name: str, content: bytes, kind: str, offered: Offers) -> None:
    """A spec file into the form. Raises NotJson, or InvalidSpec for a kind that is none."""
    try:
        values = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as wrong:
        line = wrong.lineno if isinstance(wrong, json.JSONDecodeError) else 1
        raise NotJson(file=name, line=line, problem=str(wrong)) from None
    if not isinstance(values, dict):
        raise NotJson(file=name, line=1, problem=both("not an object", "不是对象"))
    found = values.get("kind", kind)
    if found not in SPECS:
        choices = ", ".join(SPECS)
        raise InvalidSpec(field="kind", problem=both(f"one of {choices}", f"须为 {choices} 之一"))
    text = words("shelf.loaded", name=Path(name).name)
    drafting.begin(words, found, drafting.whole(found, values), offered, text)
    if found == "chat":
        st.switch_page("app_pages/playground.py")
    st.query_params["kind"] = found
