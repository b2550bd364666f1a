"""The main job as specs, what is reused of an earlier run, and what counts as a failure."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import Session, select

import filled
import pools
from infra.local import real
from infra.local.outcome import broken_promises
from infra.local.play import Played
from infra.local.reuse import made_before
from infra.local.stage import next_run
from infra.local.story import Cast, Step, story
from shared import comparisons, db
from shared.errors import NoOp
from shared.specs import parse_spec
from shared.tables import Adapter, Job, JobState

CAST = Cast(
    donor_base="a", host_base="b", english="en", chinese="zh", both="both", prompts="ask",
    benchmarks=["quiz"], training={"rank": 2}, refresh={"rows": 5}, evaluation={"limit": 7},
)  # fmt: skip


def test_the_story_holds_the_whole_main_job_in_an_order_that_can_be_submitted() -> None:
    steps = story(CAST, "run-1")
    made: set[str] = set()
    for step in steps:
        needs = getattr(step.spec, "adapters", [])
        assert made.issuperset(needs), step.role
        made.add(step.name)
        assert step.name.endswith("-run-1")
    assert [step.role for step in steps if step.fails_with] == ["copy"]
    kinds = [step.spec.kind for step in steps]
    assert (kinds.count("train"), kinds.count("fuse"), kinds.count("evaluate")) == (3, 3, 2)


def test_what_is_known_is_not_made_again_but_used() -> None:
    steps = story(CAST, "run-2", {"donor-en": "donor-en-run-1", "transfer": "transfer-run-1"})
    roles = {step.role: step.spec for step in steps}
    assert "donor-en" not in roles
    assert "transfer" not in roles
    assert roles["fused"].model_dump()["adapters"] == ["donor-en-run-1", "donor-zh-run-2"]
    assert roles["compare-host"].model_dump()["adapters"] == ["native-run-2", "transfer-run-1"]


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A pool with finished jobs; see filled.py."""
    pools.use(monkeypatch, tmp_path / "home")
    filled.fill(tmp_path)
    with Session(db.engine(), expire_on_commit=False) as session:
        yield session
    pools.forget()


def _again(**changes: object) -> list[Step]:
    spec = filled.train_spec("native").model_dump() | {"name": "other"} | changes
    return [Step("native", parse_spec(spec))]


def test_an_adapter_of_the_same_spec_and_base_is_reused(pool: Session) -> None:
    assert made_before(pool, _again())["native"] in ("native", "second")
    assert made_before(pool, _again(seed=9)) == {}
    assert made_before(pool, _again(base_model=filled.DONOR_BASE))["native"] == "donor"


def test_an_adapter_of_a_base_that_has_changed_is_not_reused(pool: Session) -> None:
    for adapter in pool.exec(select(Adapter)):
        adapter.base_fingerprint = "another"
    pool.flush()
    assert made_before(pool, _again()) == {}


def test_runs_are_numbered_after_the_highest(pool: Session) -> None:
    assert next_run(pool, "demo") == "demo-1"
    for name in ("native-demo-9", "native-demo-10", "native-demo-x"):
        pool.add(Job(kind="train", name=name))
    pool.flush()
    assert next_run(pool, "demo") == "demo-11"


def _played(role: str, state: JobState, error: dict[str, object] | None = None) -> Played:
    step = next(step for step in story(CAST, "run-1") if step.role == role)
    return Played(step, Job(id="j", kind=step.spec.kind, name=role, state=state, error=error))


def test_a_copy_must_fail_as_no_op_and_nothing_else_may_fail() -> None:
    no_op = NoOp(why="nothing fits.").record()
    assert broken_promises([_played("copy", JobState.FAILED, no_op)], []) == []
    assert len(broken_promises([_played("copy", JobState.SUCCEEDED)], [])) == 1
    other = {"code": "internal", "params": {"detail": "x"}}
    assert len(broken_promises([_played("copy", JobState.FAILED, other)], [])) == 1
    (sentence,) = broken_promises([_played("fused", JobState.FAILED, no_op)], [])
    assert "fused" in sentence
    assert "nothing fits" in sentence


def test_a_native_that_is_not_better_on_every_benchmark_breaks_the_promise(pool: Session) -> None:
    made = [comparisons.build(pool, filled.COMPARISON)]
    assert broken_promises([_played("native", JobState.SUCCEEDED)], made) == []
    weak = [comparisons.build(pool, filled.COMPARISON, baseline="native")]
    played = _played("native", JobState.SUCCEEDED)
    refreshed = Played(played.step, played.job.model_copy(update={"name": "refreshed"}))
    assert len(broken_promises([refreshed], weak)) == len(filled.BENCHMARKS)


def _alpaca(count: int, mark: str) -> list[dict[str, str]]:
    chance = random.Random(mark)
    return [
        {"instruction": f"{mark} {n}", "input": "", "output": "o" * chance.randint(1, 900)}
        for n in range(count)
    ]


def test_rows_of_the_real_run_are_short_seeded_and_prompts_are_others() -> None:
    english, chinese = _alpaca(200, "en"), _alpaca(200, "zh")
    first = real.draw(english, chinese, 40)
    assert first == real.draw(english, chinese, 40)
    for_english, for_chinese, prompts = first
    assert (len(for_english), len(for_chinese), len(prompts)) == (40, 40, 40)
    used = {json.dumps(row) for row in [*for_english, *for_chinese]}
    assert used.isdisjoint(json.dumps(row) for row in prompts)
    assert max(sum(map(len, row.values())) for part in first for row in part) <= real.LONGEST


def test_two_benchmarks_become_one_whose_every_head_is_half_and_half() -> None:
    assert real.in_turn([1, 2, 3, 4], ["a", "b", "c"]) == [1, "a", 2, "b", 3, "c"]
