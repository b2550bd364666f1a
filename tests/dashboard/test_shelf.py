"""Specs saved under a name, for oneself or for the team, and as files that the command takes."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import filled
from dashboard import drafting, shelf
from dashboard.language import Words
from pages import Open, texts
from shared import db, saved_specs
from shared.errors import InvalidSpec, NotJson
from shared.people.actors import Actor, Role

ANN, BOB = Actor("ann", Role.MEMBER), Actor("bob", Role.MEMBER)


@pytest.fixture
def small(empty_pool: Path) -> Path:
    """A pool of this test's own, for tests that save."""
    filled.fill(empty_pool, items=3, arms=("base", "native"))
    return empty_pool


def _names(user: str, kind: str = "train") -> list[str]:
    with db.reading() as session:
        return [each.name for each in saved_specs.listing(session, user, kind)]


def _save(app: AppTest, name: str) -> AppTest:
    app.text_input(key="shelf.name").set_value(name)
    return app.button(key="shelf.save").click().run()


def test_a_form_is_saved_loaded_in_another_session_and_deleted(
    small: Path, open_page: Open
) -> None:
    app = open_page("submit")
    app.text_input(key="draft.train.name").set_value("first")
    app.selectbox(key="draft.train.dataset").set_value(filled.TRAINING)
    app.number_input(key="draft.train.rank").set_value(3)
    app = _save(app, "*small* 小")
    assert "is saved" in app.toast[0].value
    app.button(key="submit.over").click().run()
    app = open_page("submit", "zh")
    key = f"{filled.USER}.*small* 小"
    app.button(key=f"shelf.load.{key}").click().run()
    assert app.number_input(key="draft.train.rank").value == 3
    assert app.selectbox(key="draft.train.dataset").value == filled.TRAINING
    # A second job cannot have the first one's name.
    assert app.text_input(key="draft.train.name").value == ""
    app.button(key=f"shelf.forget.{key}").click().run()
    assert _names(filled.USER) == []


def test_a_name_that_cannot_be_is_refused_and_nothing_is_saved(
    small: Path, open_page: Open
) -> None:
    app = _save(open_page("submit"), "  ")
    assert "1 to 60 characters" in app.error[0].value
    assert _names(filled.USER) == []


def test_what_is_saved_for_the_team_is_loaded_by_all_and_the_rest_by_nobody_else(
    small: Path, open_page: Open
) -> None:
    with db.writing() as session:
        saved_specs.keep(session, "ours", "train", {"rank": 5}, {}, team=True, actor=ANN)
        saved_specs.keep(session, "mine", "train", {"rank": 6}, {}, actor=ANN)
        saved_specs.keep(session, "ours", "train", {"rank": 7}, {}, actor=BOB)
    assert _names("bob") == ["ours", "ours"]
    assert _names("ann") == ["mine", "ours"]
    with db.reading() as session, pytest.raises(InvalidSpec, match="mine"):
        saved_specs.find(session, "ann", "mine", actor=BOB)
    app = open_page("submit")
    assert "ours · ann" in texts(app)
    app.button(key="shelf.load.ann.ours").click().run()
    assert app.number_input(key="draft.train.rank").value == 5


def test_a_saved_spec_of_another_kind_is_not_offered(small: Path) -> None:
    with db.writing() as session:
        saved_specs.keep(session, "fusing", "fuse", {}, {}, team=True, actor=ANN)
    assert _names("bob") == []
    assert _names("bob", "fuse") == ["fusing"]


def _read(monkeypatch: pytest.MonkeyPatch, content: bytes) -> tuple[str, dict[str, Any]]:
    """The kind and the values that a file puts into the form."""
    took: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(drafting, "begin", lambda _w, kind, given, *_: took.append((kind, given)))
    monkeypatch.setattr(shelf.st, "query_params", {})
    shelf._read(Words("en"), "spec.json", content, "train", {})
    return took[0]


def test_a_file_as_the_command_takes_it_fills_the_form_in(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = filled.fuse_spec("both", ["a", "b"], method="weighted_sum").model_dump(mode="json")
    kind, values = _read(monkeypatch, b"\xef\xbb\xbf" + json.dumps(spec).encode())
    assert kind == "fuse"
    assert spec.items() <= values.items()


@pytest.mark.parametrize(
    ("content", "problem", "said"),
    [
        (b'{"rank": 8,\n "alpha"}', NotJson, "line 2"),
        (b"[1]", NotJson, "not an object"),
        (b"\xff\xfe", NotJson, "spec.json"),
        (b'{"kind": "bake"}', InvalidSpec, "one of train, fuse, evaluate, chat"),
    ],
)
def test_a_file_that_is_no_spec_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, content: bytes, problem: Any, said: str
) -> None:
    with pytest.raises(problem, match=said):
        _read(monkeypatch, content)


def test_the_form_is_downloaded_as_the_command_takes_it(small: Path, open_page: Open) -> None:
    app = open_page("submit")
    app.number_input(key="draft.train.rank").set_value(3).run()
    [button] = [each for each in app.get("download_button") if "JSON" in each.proto.label]
    assert button.proto.label == "Save as JSON"
