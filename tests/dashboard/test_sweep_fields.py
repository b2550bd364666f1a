"""Several values for a field of the form: planned, counted and submitted as one grid."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import filled
from dashboard import sweep_fields
from pages import Open, texts
from shared import db, jobs, plans
from shared.people.actors import Actor
from shared.queueing import Request
from shared.specs import FUSION_METHODS, SPECS, parse_spec
from shared.specs.command_line import command_line
from shared.sweeps import points
from shared.tables import Job

TRAIN = {"kind": "train", "name": "n", "base_model": filled.HOST_BASE, "dataset": filled.TRAINING}


@pytest.fixture
def small(empty_pool: Path) -> Path:
    """A pool of this test's own, for tests that submit."""
    filled.fill(empty_pool, items=3, arms=("base", "native"))
    return empty_pool


def _vary(app: AppTest, **values: Any) -> AppTest:
    """Give these fields of a training these values: a text, or a list of choices."""
    app.multiselect(key="draft.train.vary").set_value(list(values)).run()
    for name, given in values.items():
        key = f"draft.train.vary.{name}"
        if isinstance(given, str):
            app.text_input(key=key).set_value(given)
        else:
            app.multiselect(key=key).set_value(given)
    return app.run()


def _fill(app: AppTest, name: str) -> AppTest:
    app.text_input(key="draft.train.name").set_value(name)
    app.selectbox(key="draft.train.base_model").set_value(filled.HOST_BASE)
    app.selectbox(key="draft.train.dataset").set_value(filled.TRAINING)
    return app.run()


def _grid_jobs() -> list[Job]:
    with db.reading() as session:
        found = [job for job in jobs.listing(session, limit=20) if job.sweep]
    return sorted(found, key=lambda job: job.created_at)


def test_a_grid_is_counted_planned_and_submitted_as_one(small: Path, open_page: Open) -> None:
    app = _vary(_fill(open_page("submit"), "grid"), rank="4, 8", schedule=["cosine", "linear"])
    assert app.number_input(key="draft.train.rank").disabled
    assert app.button(key="submit.send.train").label == "Submit 4 jobs"
    assert "2 × 2 = 4 jobs" in texts(app)
    [command] = [each.value for each in app.code]
    assert command.endswith("--sweep=rank=4,8 --sweep=schedule=cosine,linear")
    app = app.button(key="submit.plan.train").click().run()
    assert not app.error
    assert "4th – 7th" in texts(app)
    assert not _grid_jobs()
    app = app.button(key="submit.send.train").click().run()
    assert not app.error
    made = _grid_jobs()
    assert [(job.spec["rank"], job.spec["schedule"]) for job in made] == [
        (4, "cosine"), (4, "linear"), (8, "cosine"), (8, "linear"),
    ]  # fmt: skip
    assert [job.name for job in made] == ["grid-1", "grid-2", "grid-3", "grid-4"]
    assert "4 jobs. grid-1: queued, 4th" in texts(app).replace("\\", "")


def test_a_field_that_is_chosen_begins_with_its_own_value(small: Path, open_page: Open) -> None:
    app = open_page("submit")
    app.number_input(key="draft.train.learning_rate").set_value(0.005).run()
    app.multiselect(key="draft.train.vary").set_value(["learning_rate", "gradient_checkpointing"])
    app = app.run()
    assert app.text_input(key="draft.train.vary.learning_rate").value == "0.005"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("much, little", "rank"),
        ("8, 8", "a value is given twice"),
        ("8, 0", "rank"),
        ("", "Fill in first: Values of rank."),
    ],
)
def test_values_that_cannot_be_are_refused_and_nothing_is_queued(
    small: Path, open_page: Open, values: str, said: str
) -> None:
    app = _vary(_fill(open_page("submit"), "grid"), rank=values)
    app = app.button(key="submit.send.train").click().run()
    assert said in app.error[0].value.replace("\\", "")
    assert not _grid_jobs()


def test_a_grid_is_part_of_the_draft_and_of_a_saved_spec(small: Path, open_page: Open) -> None:
    app = _vary(_fill(open_page("submit"), "grid"), rank="4, 8", dataset=[filled.TRAINING])
    app.text_input(key="shelf.name").set_value("ranks")
    app.button(key="shelf.save").click().run()
    app = open_page("submit", "zh")
    assert app.text_input(key="draft.train.vary.rank").value == "4, 8"
    app.button(key="submit.over").click().run()
    assert app.multiselect(key="draft.train.vary").value == []
    app.button(key=f"shelf.load.{filled.USER}.ranks").click().run()
    assert app.text_input(key="draft.train.vary.rank").value == "4, 8"
    assert app.multiselect(key="draft.train.vary.dataset").value == [filled.TRAINING]
    assert app.button(key="submit.send.train").label == "提交 2 个任务"


def test_a_fusions_own_numbers_may_be_varied_and_go_with_the_method(
    small: Path, open_page: Open
) -> None:
    app = open_page("submit", kind="fuse")
    app.selectbox(key="draft.fuse.method").set_value("ties").run()
    app.multiselect(key="draft.fuse.vary").set_value(["density"]).run()
    app.text_input(key="draft.fuse.vary.density").set_value("0.3, 0.6").run()
    assert app.button(key="submit.send.fuse").label == "Submit 2 jobs"
    app.selectbox(key="draft.fuse.method").set_value("copy").run()
    assert not app.exception
    assert app.multiselect(key="draft.fuse.vary").value == []
    assert app.button(key="submit.send.fuse").label == "Submit"


def test_every_field_that_may_be_varied_takes_its_default_back() -> None:
    grids = [(kind, None) for kind in SPECS] + [("fuse", name) for name in FUSION_METHODS]
    for kind, method in grids:
        for each in sweep_fields.offered_fields(kind, method).values():
            assert not each.many
            assert each.name != "name"
            if each.type in (int, float) and not each.choices and each.default is not None:
                held = sweep_fields._shown(each, [each.default])
                assert sweep_fields._values(each, held) == [each.default]


def test_a_plan_of_a_grid_is_of_all_its_jobs(small: Path) -> None:
    specs = points(TRAIN, {"max_length": [64, 4096], "seed": [1, 2, 3]})
    request = Request(actor=Actor.admin(filled.USER))
    with db.reading() as session:
        found = plans.plan_grid(session, specs, request)
        [alone] = plans.plan(session, specs[:1], request)
    assert alone.place == found.first.place
    assert (found.jobs, found.last_place) == (6, (alone.place or 0) + 5)
    assert found.least_mb == alone.vram_mb < found.most_mb
    assert not _grid_jobs()


def test_the_command_of_a_grid_asks_for_the_same_grid() -> None:
    grid = {"dataset": ["a", "b"], "learning_rate": [1e-4, 2e-4], "train_on_prompt": [True, False]}
    text = command_line(TRAIN | {"learning_rate": 1e-4}, grid)
    assert "--learning-rate" not in text
    # The command line wants a dataset, whatever is swept.
    assert f"--dataset={filled.TRAINING}" in text
    assert "--sweep=train_on_prompt=true,false" in text
    assert "--sweep=learning_rate=0.0001,0.0002" in text


def test_specs_of_a_grid_are_saved_a_line_each(small: Path, open_page: Open) -> None:
    app = _vary(_fill(open_page("submit"), "grid"), rank="4, 8")
    labels = [each.proto.label for each in app.get("download_button")]
    assert labels == ["Save 2 specs as JSON lines"]
    expected = [
        parse_spec(TRAIN | {"rank": rank, "name": f"n-{n}"}) for n, rank in ((1, 4), (2, 8))
    ]
    made = points(TRAIN, {"rank": [4, 8]})
    assert [json.loads(each.model_dump_json()) for each in made] == [
        each.model_dump(mode="json") for each in expected
    ]
