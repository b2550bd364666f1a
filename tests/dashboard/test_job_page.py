"""A job's page: its curves read bit by bit, its log searched, its spec held against another's."""

from pathlib import Path

import pytest

import filled
from dashboard import curves, job_log, spec_diff
from dashboard.language import Words
from dashboard.series import MOST, Course, Curve
from pages import Open, texts
from shared import db, jobs
from shared.tables import JobState, LogLine, MetricPoint


def _points(job_id: str, epoch: int, steps: range, value: float) -> None:
    with db.writing() as session:
        for step in steps:
            values = {"loss": value, "grad_norm": 1.0, "broken": float("nan")}
            session.add(MetricPoint(job_id=job_id, epoch=epoch, step=step, values=values, at=step))


def _look(course: Course, job_id: str, epoch: int) -> Course:
    with db.reading() as session:
        return course.look(session, job_id, epoch)


@pytest.fixture
def job_id(empty_pool: Path) -> str:
    with db.writing() as session:
        return filled.add_job(session, filled.train_spec("a"), 1.0, JobState.RUNNING).id


def test_curves_grow_by_what_is_new_and_numbers_that_are_none_are_left_out(job_id: str) -> None:
    course = Course()
    _points(job_id, 1, range(1, 4), 2.0)
    _look(course, job_id, 1)
    _points(job_id, 1, range(4, 8), 1.0)
    found = _look(course, job_id, 1).curves
    assert found["loss"].line() == [(1, 2), (2, 2), (3, 2), (4, 1), (5, 1), (6, 1), (7, 1)]
    assert found.keys() == {"loss", "grad_norm"}
    assert course.seconds_left(done=7, total=17) == pytest.approx(10.0)


def test_a_new_attempt_replaces_the_steps_it_does_again(job_id: str) -> None:
    course = Course()
    _points(job_id, 1, range(1, 6), 2.0)
    _look(course, job_id, 1)
    _points(job_id, 2, range(3, 5), 9.0)
    found = _look(course, job_id, 2).curves["loss"].line()
    assert found == [(1, 2), (2, 2), (3, 9), (4, 9), (5, 2)]


def test_fifty_thousand_points_are_drawn_by_six_hundred_with_every_peak() -> None:
    curve = Curve()
    for step in range(50_000):
        curve.add(step, {12_345: 99.0, 40_001: -5.0}.get(step, 1.0))
    line = curve.line()
    assert len(line) <= MOST + 60
    assert {(12_345, 99.0), (40_001, -5.0), (49_999, 1.0)} <= set(line)
    assert line == sorted(line)


def test_the_losses_share_a_chart_and_the_smoothed_line_starts_at_the_first_value() -> None:
    loss, held_out = Curve(), Curve()
    for step in range(1, 100):
        loss.add(step, 4.0 + step % 2)
    held_out.add(50, 3.0)
    spec = curves.large(Words("zh"), {"loss": loss, "eval_loss": held_out})
    names = [series["name"] for series in spec["series"]]
    assert names == ["损失", "损失 · 平滑", "留出集损失"]
    assert spec["series"][1]["data"][0] == [1, 5.0]
    assert spec["series"][2]["lineStyle"]["type"] == "dashed"


def test_the_log_finds_words_of_both_languages_and_is_saved_whole(job_id: str) -> None:
    with db.writing() as session:
        for n in range(500):
            session.add(LogLine(job_id=job_id, epoch=1, text=f"row {n}", zh=f"第 {n} 行", at=n))
    with db.reading() as session:
        assert [line.text for line in job_log.tail(session, job_id, "ROW 49")] == [
            "row 49", *(f"row 49{n}" for n in range(10))
        ]  # fmt: skip
        assert [line.text for line in job_log.tail(session, job_id, "第 7 行")] == ["row 7"]
        assert len(job_log.tail(session, job_id, "")) == job_log.LINES


def test_only_what_differs_is_shown_under_the_names_of_the_form() -> None:
    mine = filled.train_spec("a").model_dump(mode="json")
    other = filled.train_spec("b", rank=16, target_modules=["q_proj"]).model_dump(mode="json")
    found = spec_diff.differences(mine, other, "en")
    assert {(row.field, row.other) for row in found} == {
        ("rank", "16"), ("target_modules", "q_proj")
    }  # fmt: skip
    assert {row.title for row in found} >= {"LoRA rank"} or any("ank" in row.title for row in found)


def test_parameters_of_another_fusion_method_are_told_apart() -> None:
    one = filled.fuse_spec("a", ["x", "y"], method="weighted_sum", weights=[1, 2])
    two = filled.fuse_spec("b", ["x", "y"], method="ties")
    fields = {
        row.field: (row.mine, row.other)
        for row in spec_diff.differences(one.model_dump(), two.model_dump(), "zh")
    }
    assert fields["params.method"] == ("weighted_sum", "ties")
    assert fields["params.density"][0] == "–"


def test_the_page_holds_its_spec_against_another_job(pool: Path, open_page: Open) -> None:
    app = open_page("job", id="native")
    with db.reading() as session:
        other = jobs.find(session, "donor")
    app.selectbox(key="job.diff").set_value(other.id).run()
    rows = [table.value for table in app.dataframe if len(table.value.columns) == 3]
    assert [row.to_dict("records")[0] for row in rows][-1].popitem()[1] == filled.DONOR_BASE
    assert "native" in texts(app)
