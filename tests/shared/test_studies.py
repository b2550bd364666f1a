"""A study becomes jobs that wait for each other, and its comparison says what was recovered."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

import filled
import pools
from shared import comparisons, db, hopeless, jobs
from shared.errors import InvalidSpec, UnknownDataset
from shared.people.actors import Actor
from shared.queueing import Request
from shared.specs import EvaluationSpec, FusionSpec
from shared.specs.study import StudySpec
from shared.storage import store
from shared.studies import jobs_of, submit_study
from shared.tables import JobDependency, JobState
from worker.ordering import order_for

REQUEST = Request(actor=Actor.admin("ann"))


def study(**more: Any) -> StudySpec:
    asked = {
        "name": "move", "adapter": "donor", "host_base": filled.HOST_BASE,
        "dataset": filled.TRAINING, "benchmarks": ["capitals"], "off_task": ["endings"],
    }  # fmt: skip
    return StudySpec.model_validate(asked | more)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    pools.use(monkeypatch, tmp_path / "home")
    filled.fill(tmp_path)
    with Session(db.engine(), expire_on_commit=False) as opened:
        yield opened
    pools.forget()


def test_every_control_is_a_job_and_the_evaluation_names_them_all() -> None:
    made, evaluation = jobs_of(study(methods=["refresh"], draws=2))
    names = [spec.name for spec in made]
    assert names == [
        "move-native", "move-few", "move-refresh", "move-copied", "move-shifted", "move-noise1",
        "move-noise2",
    ]  # fmt: skip
    assert evaluation.adapters == names
    assert evaluation.native == ["move-native"]
    assert evaluation.controls == names[3:]
    assert (evaluation.benchmarks, evaluation.off_task) == (["capitals", "endings"], ["endings"])


def test_other_tasks_donors_are_moved_likewise_and_their_natives_are_averaged() -> None:
    asked = study(methods=["refresh", "ridge"], other_donors=["x", "y"], other_natives=["m", "n"])
    made, evaluation = jobs_of(asked)
    by_name = {spec.name: spec for spec in made if isinstance(spec, FusionSpec)}
    for number, donor in ((1, "x"), (2, "y")):
        for method in ("refresh", "ridge"):
            spec = by_name[f"move-other{number}-{method}"]
            own = by_name[f"move-{method}"]
            assert spec.adapters == [donor]
            assert (spec.params, spec.host_base) == (own.params, own.host_base)
            assert spec.name in evaluation.controls
    mean = by_name["move-mean"]
    assert (mean.adapters, mean.params.method, mean.host_base) == (["m", "n"], "weighted_sum", "")
    assert "move-mean" in evaluation.controls


def test_the_learning_of_natives_and_transfers_is_the_same() -> None:
    made, _ = jobs_of(study(methods=["refresh", "procrustes"], rank=4, learning_rate=1e-3, seed=7))
    by_name = {spec.name: spec for spec in made}
    native, moved = by_name["move-native"], by_name["move-refresh"]
    assert isinstance(moved, FusionSpec)
    for field in ("rank", "learning_rate", "seed", "epochs", "max_length", "dataset"):
        assert getattr(native, field) == getattr(moved.params, field)
    assert by_name["move-few"].model_dump()["rows"] == 100


def test_seeds_repeat_what_is_trained_and_nothing_else() -> None:
    made, evaluation = jobs_of(study(methods=["ridge", "refresh"], seeds=2, labels=0))
    names = [spec.name for spec in made if "noise" not in spec.name]
    assert names == [
        "move-native-seed0", "move-native-seed1", "move-ridge", "move-refresh-seed0",
        "move-refresh-seed1", "move-copied", "move-shifted",
    ]  # fmt: skip
    assert evaluation.native == names[:2]


def test_a_method_that_moves_nothing_is_refused_with_those_that_do() -> None:
    with pytest.raises(InvalidSpec, match=r"ties moves no adapter.*refresh"):
        jobs_of(study(methods=["ties"]))


def test_one_submission_queues_the_whole_and_the_evaluation_waits_for_it(session: Session) -> None:
    made = submit_study(study(adapter="native", methods=["refresh"]), REQUEST)
    assert len({job.sweep for job in made}) == 1
    needs = {job.name for job in jobs.needs(session, made[-1].id)}
    assert needs == {job.name for job in made[:-1]}


def test_the_same_key_returns_the_same_study(session: Session) -> None:
    asked = Request(actor=Actor.admin("ann"), idempotency_key="k")
    first = submit_study(study(adapter="native"), asked)
    again = submit_study(study(adapter="native"), asked)
    assert [job.id for job in again] == [job.id for job in first]


def test_an_unknown_benchmark_leaves_no_half_of_a_study(session: Session) -> None:
    before = len(jobs.listing(session))
    session.rollback()
    with pytest.raises(UnknownDataset, match="nothing-such"):
        submit_study(study(adapter="native", benchmarks=["nothing-such"]), REQUEST)
    assert len(jobs.listing(session)) == before


def test_an_arm_that_could_not_be_made_is_left_out_not_waited_for(session: Session) -> None:
    spec = EvaluationSpec(
        name="later", base_model=filled.HOST_BASE, adapters=["native", "gone"],
        benchmarks=["capitals"], missing="skip",
    )  # fmt: skip
    failed = filled.add_job(session, filled.train_spec("gone"), 1.0, JobState.FAILED)
    waiting = filled.add_job(session, spec, 2.0, JobState.QUEUED)
    session.add(JobDependency(job_id=waiting.id, needs_id=failed.id))
    session.commit()
    assert waiting.id not in hopeless.cancel_all(session)
    session.commit()
    claim = pools.claim_next(session)
    assert claim is not None
    assert claim.job_id == waiting.id
    order = order_for(session, claim, store(), "cpu")
    assert [each.name for each in order.adapters] == ["native"]


def recorded(session: Session) -> comparisons.ComparisonTable:
    spec = EvaluationSpec(
        name="moved", base_model=filled.HOST_BASE, adapters=["native", "fused", "refreshed"],
        benchmarks=["capitals", "endings"], native=["native"], controls=["refreshed"],
        off_task=["endings"],
    )  # fmt: skip
    job = filled.add_job(session, spec, 1.0, JobState.SUCCEEDED)
    parts = [
        filled.part(session, arm, benchmark)
        for benchmark in spec.benchmarks
        for arm in ("base", *spec.adapters)
    ]
    filled.record(session, job, spec, parts)
    return comparisons.build(session, "moved")


def test_a_comparison_with_native_arms_says_what_was_recovered(session: Session) -> None:
    table = recorded(session)
    assert table.study is not None
    rows = {row.arm: row for row in table.study.gains["capitals"]}
    assert rows.keys() == {"fused", "refreshed"}
    assert rows["fused"].gain.finding == "supported"
    assert 0.4 < rows["fused"].gain.value < 1.1
    assert rows["refreshed"].role == "control"
    assert [each.arm for each in table.study.forgotten["endings"]] == [
        "native", "fused", "refreshed",
    ]  # fmt: skip


def test_the_study_is_in_every_form_of_the_report(session: Session) -> None:
    table = recorded(session)
    assert "SUPPORTED" in comparisons.as_text(table)
    assert "### 增益恢复率 · capitals" in comparisons.as_markdown(table, "zh")
    assert "| 有效 |" in comparisons.as_markdown(table, "zh")
    told = json.loads(comparisons.as_json(table))["study"]["gains"]["capitals"]
    assert {row["arm"]: row["finding"] for row in told}["fused"] == "supported"


def test_a_comparison_without_native_arms_has_no_study(session: Session) -> None:
    table = comparisons.build(session, filled.COMPARISON)
    assert table.study is None
    assert "SUPPORTED" not in comparisons.as_markdown(table)
