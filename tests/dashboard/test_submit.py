"""Forms drawn from the specs: what is typed becomes the job's spec, or a sentence says why not."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import filled
from dashboard.forms import Form
from dashboard.language import Words
from dashboard.queries import Choice
from pages import Open, fill_training, newest, send, texts
from shared.errors import LANGUAGES, Language
from shared.specs import FUSION_METHODS, SPECS, TRANSFERS, parse_spec
from shared.specs.parameters import parameters
from shared.specs.recipes import RECIPES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_parameter_of_every_spec_is_a_field_with_its_flag(
    small: Path, open_page: Open, language: Language
) -> None:
    for kind, spec in SPECS.items():
        page = "playground" if kind == "chat" else "submit"
        app = open_page(page, language, kind=kind)
        if kind == "fuse":
            app.selectbox(key="draft.fuse.method").set_value("refresh").run()
        drawn = {w.key: w for w in _widgets(app) if w.key and w.key.startswith("draft.")}
        # A session of the playground gets its name from the page.
        for each in (p for p in parameters(spec) if (kind, p.name) != ("chat", "name")):
            widget = drawn[f"draft.{kind}.{each.name}"]
            assert each.title(language) in widget.label
            assert f"`{each.flag}`" in widget.help


def _widgets(app: AppTest) -> list[Any]:
    kinds = (app.text_input, app.number_input, app.selectbox, app.multiselect, app.toggle)
    return [widget for kind in kinds for widget in kind]


@pytest.mark.parametrize("method", FUSION_METHODS)
def test_a_fusion_method_draws_its_own_parameters(
    small: Path, open_page: Open, method: str
) -> None:
    app = open_page("submit", kind="fuse")
    app.selectbox(key="draft.fuse.method").set_value(method).run()
    drawn = {widget.key for widget in _widgets(app)}
    wanted = {f"draft.fuse.{method}.{each.name}" for each in parameters(FUSION_METHODS[method])}
    assert wanted <= drawn
    assert ("draft.fuse.host_base" in drawn) == issubclass(FUSION_METHODS[method], TRANSFERS)


def test_a_training_form_left_as_it_is_makes_the_specs_defaults(
    small: Path, open_page: Open
) -> None:
    app = send(fill_training(open_page("submit"), "made-here"), "train")
    assert not app.error
    wanted = {"name": "made-here", "base_model": filled.HOST_BASE, "dataset": filled.TRAINING}
    job = newest()
    assert job.spec == parse_spec(wanted | {"kind": "train"}).model_dump(mode="json")
    assert job.user == filled.USER
    assert "made-here: queued, 4th" in texts(app)


def test_changed_values_reach_the_spec_with_their_types(small: Path, open_page: Open) -> None:
    app = fill_training(open_page("submit", "zh"), "changed")
    app.number_input(key="draft.train.rank").set_value(4)
    app.number_input(key="draft.train.learning_rate").set_value(0.005)
    app.text_input(key="draft.train.target_modules").set_value("q_proj， v_proj")
    app.selectbox(key="draft.train.schedule").set_value("constant")
    app = send(app.run(), "train")
    spec = newest().spec
    assert (spec["rank"], spec["learning_rate"]) == (4, 0.005)
    assert spec["target_modules"] == ["q_proj", "v_proj"]
    assert spec["schedule"] == "constant"
    assert "changed：排队中，第 4 位" in texts(app)


def test_a_recipe_fills_the_form_in_and_names_its_source(small: Path, open_page: Open) -> None:
    app = fill_training(open_page("submit"), "by-recipe")
    app.number_input(key="draft.train.rank").set_value(4)
    app = app.selectbox(key="draft.recipe").set_value("belle-lora").run()
    assert "From LianjiaTech/BELLE" in texts(app)
    app = send(app, "train")
    spec = newest().spec
    wanted = RECIPES["belle-lora"].values
    assert {name: spec[name] for name in wanted} == wanted
    assert (spec["name"], spec["dataset"]) == ("by-recipe", filled.TRAINING)


def test_a_mixture_of_datasets_can_be_typed_and_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "draft.train.dataset"
    drawn: dict[str, Any] = {}
    page = SimpleNamespace(
        session_state={key: "a:2,b:1"}, selectbox=lambda **given: drawn.update(given)
    )
    monkeypatch.setattr("dashboard.forms.st", page)
    offered = {"mixture": [Choice("a"), Choice("b")]}
    form = Form(SPECS["train"], "train", Words("en"), offered)
    dataset = next(each for each in parameters(SPECS["train"]) if each.name == "dataset")
    form._widget(dataset, None)
    assert drawn["accept_new_options"]
    assert page.session_state[key] == "a:2,b:1"


def test_what_is_missing_is_named_by_its_title(small: Path, open_page: Open) -> None:
    app = send(open_page("submit", "en"), "train")
    assert app.error[0].value == "Fill in first: Adapter name, Base model, Dataset."
    app = send(open_page("submit", "zh"), "train")
    assert app.error[0].value == "请先填写：适配器名称, 底座模型, 数据集。"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "not a name!", "name: it must start with a letter"),
        ("name", "native", 'The adapter name "native" is already in use'),
        ("rank", 65, "Rank 65 is above the width of the base model"),
        ("alpha", 0.0, "alpha: it must be above 0"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_the_reason_and_no_job(
    small: Path, open_page: Open, field: str, value: Any, said: str
) -> None:
    before = newest().id
    app = fill_training(open_page("submit"), "fresh")
    widget = app.text_input if field == "name" else app.number_input
    widget(key=f"draft.train.{field}").set_value(value)
    app = send(app.run(), "train")
    assert said in app.error[0].value.replace("\\", "")
    assert newest().id == before


def test_the_reason_comes_in_chinese_too(small: Path, open_page: Open) -> None:
    app = send(fill_training(open_page("submit", "zh"), "native"), "train")
    assert "已被占用" in app.error[0].value


def test_a_weighted_sum_takes_its_weights(small: Path, open_page: Open) -> None:
    app = open_page("submit", kind="fuse")
    app.text_input(key="draft.fuse.name").set_value("both")
    app.multiselect(key="draft.fuse.adapters").set_value(["native", "second"])
    app.text_input(key="draft.fuse.weighted_sum.weights").set_value("0.7, 0.3")
    app = send(app.run(), "fuse")
    assert not app.error
    wanted = {"method": "weighted_sum", "weights": [0.7, 0.3], "rank": 0}
    assert wanted.items() <= newest().spec["params"].items()


def test_weights_that_are_no_numbers_or_too_few_are_refused(small: Path, open_page: Open) -> None:
    app = open_page("submit", kind="fuse")
    app.text_input(key="draft.fuse.name").set_value("both")
    app.multiselect(key="draft.fuse.adapters").set_value(["native", "second"])
    app.text_input(key="draft.fuse.weighted_sum.weights").set_value("much, little")
    app = send(app.run(), "fuse")
    assert "params.weights.0" in app.error[0].value.replace("\\", "")
    app.text_input(key="draft.fuse.weighted_sum.weights").set_value("1")
    app = send(app.run(), "fuse")
    assert "2 weights" in app.error[0].value


def test_a_transfer_needs_a_host_base_and_takes_one_donor(small: Path, open_page: Open) -> None:
    app = open_page("submit", kind="fuse")
    app.selectbox(key="draft.fuse.method").set_value("copy").run()
    app.text_input(key="draft.fuse.name").set_value("copied")
    app.multiselect(key="draft.fuse.adapters").set_value(["donor"])
    app = send(app.run(), "fuse")
    assert app.error[0].value == "Fill in first: Host base."
    app.selectbox(key="draft.fuse.host_base").set_value(filled.HOST_BASE)
    app = send(app.run(), "fuse")
    assert not app.error
    assert newest().spec["host_base"] == filled.HOST_BASE


def test_an_evaluation_offers_the_adapters_of_its_base_and_they_may_be_the_baseline(
    small: Path, open_page: Open
) -> None:
    app = open_page("submit", kind="evaluate")
    app.selectbox(key="draft.evaluate.base_model").set_value(filled.HOST_BASE)
    app.run()
    offered = app.multiselect(key="draft.evaluate.adapters").options
    assert not any("donor" in option for option in offered)
    assert any("longer" in option and "on its way" in option for option in offered)
    app.multiselect(key="draft.evaluate.adapters").set_value(["native", "second"]).run()
    app.text_input(key="draft.evaluate.name").set_value("again")
    app.multiselect(key="draft.evaluate.benchmarks").set_value(["capitals"])
    app.selectbox(key="draft.evaluate.baseline").set_value("second")
    app = send(app.run(), "evaluate")
    assert not app.error
    spec = newest().spec
    assert (spec["adapters"], spec["baseline"]) == (["native", "second"], "second")


def test_a_draft_survives_a_look_at_another_page(small: Path, open_page: Open) -> None:
    app = fill_training(open_page("submit"), "half-done")
    app.number_input(key="draft.train.rank").set_value(3).run()
    app.switch_page("app_pages/hosts.py").run()
    app.switch_page("app_pages/submit.py").run()
    assert app.text_input(key="draft.train.name").value == "half-done"
    assert app.selectbox(key="draft.train.base_model").value == filled.HOST_BASE
    assert app.number_input(key="draft.train.rank").value == 3


def test_the_name_is_empty_again_after_submitting_and_the_rest_stays(
    small: Path, open_page: Open
) -> None:
    app = send(fill_training(open_page("submit"), "one"), "train")
    assert app.text_input(key="draft.train.name").value == ""
    assert app.selectbox(key="draft.train.dataset").value == filled.TRAINING


def test_a_link_to_another_kind_of_job_is_followed_within_a_session(
    small: Path, open_page: Open
) -> None:
    app = open_page("submit")
    assert app.button_group(key="address.submit.kind").value == "train"
    app.query_params["kind"] = "evaluate"
    app.run()
    assert app.button_group(key="address.submit.kind").value == "evaluate"
    app.button_group(key="address.submit.kind").set_value("fuse").run()
    assert app.query_params["kind"] == "fuse"
    assert app.button_group(key="address.submit.kind").value == "fuse"
