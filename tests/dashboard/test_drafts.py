"""What somebody fills in outlives the page, and a job's spec comes back into the form."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import filled
from dashboard import drafting
from dashboard.language import Words
from pages import Open
from shared import db, drafts, jobs
from shared.clock import db_now
from shared.errors import InvalidSpec
from shared.names import fresh_name
from shared.specs import FUSION_METHODS, SPECS, EvaluationSpec, parse_spec
from shared.specs.parameters import parameters
from shared.tables import Dataset, JobState


@pytest.fixture
def small(empty_pool: Path) -> Path:
    """A pool of this test's own, for tests that submit."""
    filled.fill(empty_pool, items=3, arms=("base", "native"))
    return empty_pool


def _queue(spec: Any) -> str:
    """A job with this spec; its id."""
    with db.writing() as session:
        now = session.scalar(filled.select(db_now())) or 0.0
        return filled.add_job(session, spec, now, JobState.QUEUED).id


def _send(app: AppTest, kind: str) -> AppTest:
    return app.button(key=f"submit.send.{kind}").click().run()


def _newest() -> dict[str, Any]:
    with db.reading() as session:
        return jobs.listing(session, limit=1)[0].spec


def _unlike_defaults(spec: type[Any]) -> dict[str, Any]:
    """A value for every parameter that a form can hold and that is not its default."""
    found: dict[str, Any] = {}
    for each in parameters(spec):
        low, high = each.minimum, each.maximum
        if each.picks or each.required or each.name in ("method", "profile", "saved_modules"):
            continue
        if each.many:
            found[each.name] = list(each.choices[:1]) if each.choices else []
        elif each.choices:
            found[each.name] = each.choices[-1]
        elif each.type is bool:
            found[each.name] = not each.default
        elif each.type in (int, float):
            middle = each.type((each.default or 0) + 1)
            found[each.name] = middle if high is None or middle <= high else each.type(low or 0)
    return found


def test_a_reload_shows_the_form_as_it_was_left(small: Path, open_page: Open) -> None:
    app = open_page("submit", kind="fuse")
    app.selectbox(key="draft.fuse.method").set_value("refresh").run()
    app.text_input(key="draft.fuse.name").set_value("half-done")
    app.multiselect(key="draft.fuse.adapters").set_value(["donor"])
    app.number_input(key="draft.fuse.refresh.rank").set_value(3).run()
    # A new session is what a reload is.
    app = open_page("submit", "zh", kind="fuse")
    assert app.selectbox(key="draft.fuse.method").value == "refresh"
    assert app.text_input(key="draft.fuse.name").value == "half-done"
    assert app.multiselect(key="draft.fuse.adapters").value == ["donor"]
    assert app.number_input(key="draft.fuse.refresh.rank").value == 3
    # Each kind has a draft of its own.
    assert open_page("submit", kind="train").text_input(key="draft.train.name").value == ""


def test_a_draft_is_its_owners_alone(small: Path, open_page: Open) -> None:
    open_page("submit").text_input(key="draft.train.name").set_value("mine").run()
    with db.reading() as session:
        assert drafts.of(session, "somebody", "train") is None
        mine = drafts.of(session, filled.USER, "train")
    assert mine is not None
    assert mine.values["name"] == "mine"


def test_looking_at_a_form_keeps_nothing(small: Path, open_page: Open) -> None:
    for kind in ("train", "fuse", "evaluate"):
        open_page("submit", kind=kind).run()
        with db.reading() as session:
            assert drafts.of(session, filled.USER, kind) is None


def test_starting_over_empties_the_form_for_good_and_can_be_undone(
    small: Path, open_page: Open
) -> None:
    app = open_page("submit")
    app.text_input(key="draft.train.name").set_value("half-done")
    app.number_input(key="draft.train.rank").set_value(3).run()
    app.button(key="submit.over").click().run()
    assert app.text_input(key="draft.train.name").value == ""
    app = open_page("submit")
    assert app.number_input(key="draft.train.rank").value == 8
    app.number_input(key="draft.train.rank").set_value(5).run()
    app.button(key="submit.over").click().run()
    app.button(key="submit.undo").click().run()
    assert app.number_input(key="draft.train.rank").value == 5


def test_a_draft_that_names_what_is_gone_is_shown_without_it(small: Path, open_page: Open) -> None:
    app = open_page("submit", kind="evaluate")
    app.multiselect(key="draft.evaluate.benchmarks").set_value(["capitals", "endings"]).run()
    with db.writing() as session:
        session.delete(session.get_one(Dataset, "endings"))
    app = open_page("submit", kind="evaluate")
    assert app.multiselect(key="draft.evaluate.benchmarks").value == ["capitals"]
    assert not app.exception


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_a_clone_has_every_value_of_the_job_and_a_new_name(
    small: Path, open_page: Open, kind: str
) -> None:
    names: dict[str, Any] = {"base_model": filled.HOST_BASE}
    names |= {"dataset": filled.TRAINING} if kind == "train" else {"benchmarks": ["capitals"]}
    values = _unlike_defaults(SPECS[kind]) | {"template": "plain"}
    values.pop("adapter_type", None)
    spec = parse_spec({"kind": kind, "name": "pattern"} | names | _accepted(kind, names, values))
    app = open_page("submit", like=_queue(spec))
    assert not app.warning
    assert app.query_params["kind"] == kind
    assert "like" not in app.query_params
    app = _send(app, kind)
    assert not app.error
    assert _newest() == spec.model_dump(mode="json") | {"name": "pattern-2"}


def _accepted(kind: str, names: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Those values that a spec takes together."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        try:
            parse_spec({"kind": kind, "name": "x"} | names | found | {name: value})
        except InvalidSpec:
            continue
        found[name] = value
    return found


@pytest.mark.parametrize("method", FUSION_METHODS)
def test_the_form_can_hold_every_parameter_of_every_method(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = SimpleNamespace(session_state={})
    monkeypatch.setattr("dashboard.forms.st", page)
    monkeypatch.setattr("dashboard.drafting.st", page)
    own = FUSION_METHODS[method]
    values = _unlike_defaults(own) | {"method": method}
    assert drafting.fill(Words("en"), "fuse", {"params": values}, {}) == []
    held = {each.name: page.session_state.get(f"draft.fuse.{method}.{each.name}")
            for each in parameters(own)}  # fmt: skip
    for name, value in values.items():
        if name != "method":
            assert held[name] == (value or held[name] if value != [] else ""), name


def test_a_cloned_transfer_is_submitted_as_it_was(small: Path, open_page: Open) -> None:
    spec = filled.fuse_spec(
        "pattern", ["donor"], filled.HOST_BASE, method="refresh", dataset=filled.TRAINING, rank=3
    )
    app = _send(open_page("submit", like=_queue(spec)), "fuse")
    assert not app.error
    assert _newest() == spec.model_dump(mode="json") | {"name": "pattern-2"}


def test_a_clone_says_what_is_no_longer_there_and_gives_the_former_draft_back(
    small: Path, open_page: Open
) -> None:
    spec = EvaluationSpec(
        name="old", base_model=filled.HOST_BASE, adapters=["native", "deleted"],
        benchmarks=["capitals"], knowledge="notes@1",
    )  # fmt: skip
    app = open_page("submit", kind="evaluate")
    app.text_input(key="draft.evaluate.name").set_value("before").run()
    app = open_page("submit", "zh", like=_queue(spec))
    assert "适配器: deleted" in app.warning[0].value.replace("\\", "")
    assert app.multiselect(key="draft.evaluate.adapters").value == ["native"]
    assert app.selectbox(key="draft.evaluate.knowledge").value == "notes@1"
    app.button(key="submit.undo").click().run()
    assert app.text_input(key="draft.evaluate.name").value == "before"
    assert not app.warning


def test_a_session_of_the_playground_is_cloned_there(small: Path, open_page: Open) -> None:
    spec = parse_spec({"kind": "chat", "name": "chat-1", "base_model": filled.HOST_BASE,
                       "adapters": ["native"], "max_new_tokens": 17})  # fmt: skip
    app = open_page("playground", like=_queue(spec))
    assert app.multiselect(key="draft.chat.adapters").value == ["native"]
    assert app.number_input(key="draft.chat.max_new_tokens").value == 17
    assert open_page("playground").number_input(key="draft.chat.max_new_tokens").value == 17


def test_an_unknown_job_to_clone_is_named_and_the_form_is_still_there(
    small: Path, open_page: Open
) -> None:
    app = open_page("submit", like="nothing-like-it")
    assert "nothing-like-it" in app.error[0].value.replace("\\", "")
    assert app.text_input(key="draft.train.name").value == ""


def test_the_job_page_links_to_the_form_with_its_id(small: Path, open_page: Open) -> None:
    job = _queue(filled.train_spec("pattern"))
    [link] = [each for each in open_page("job", id=job).get("page_link")
              if each.proto.label == "Clone and edit"]  # fmt: skip
    assert (link.proto.page, link.proto.query_string) == ("submit", f"like={job}")


def test_a_fresh_name_counts_on_and_never_is_one_that_is_there(small: Path) -> None:
    for name in ("new", "new-2", "newer-3"):
        _queue(filled.train_spec(name))
    with db.reading() as session:
        assert fresh_name(session, "new") == "new-3"
        assert fresh_name(session, "new-2") == "new-3"
        assert fresh_name(session, "native") == "native-2"
        assert len(fresh_name(session, "n" * 64)) == 64
