"""Dev and test halves of a benchmark, and how often the test half was looked at."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import Session

import filled
import pools
from shared import comparisons, db
from shared.halves import half_of
from shared.specs import EvaluationSpec
from shared.tables import JobState


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    pools.use(monkeypatch, tmp_path / "home")
    filled.fill(tmp_path, items=3, arms=("base", "native"))
    with Session(db.engine(), expire_on_commit=False) as opened:
        yield opened
    pools.forget()


def compared(session: Session, name: str, half: str) -> comparisons.ComparisonTable:
    """One more comparison on `capitals`, of that half."""
    spec = EvaluationSpec(
        name=name, base_model=filled.HOST_BASE, adapters=["native"], benchmarks=["capitals"]
    )
    job = filled.add_job(session, spec, 1.0, JobState.SUCCEEDED)
    parts = [filled.part(session, arm, "capitals", half=half) for arm in ("base", "native")]
    filled.record(session, job, spec, parts)
    return comparisons.build(session, name)


def test_halves_hold_half_and_a_group_stays_together() -> None:
    halves = [half_of(f"item {n}", None) for n in range(2000)]
    assert 900 < halves.count("dev") < 1100
    assert halves == [half_of(f"item {n}", None) for n in range(2000)]
    assert len({half_of(f"item {n}", "one passage") for n in range(50)}) == 1


def test_only_looks_at_test_items_count_and_a_later_one_counts_not_before(
    session: Session,
) -> None:
    first = comparisons.build(session, filled.COMPARISON)
    before = {look.benchmark: look.times for look in first.looks}["capitals"]
    assert before == 1
    dev = compared(session, "dev-look", "dev")
    assert [(look.half, look.times) for look in dev.looks] == [("dev", 1)]
    assert [(look.half, look.times) for look in compared(session, "two", "test").looks] == [
        ("test", 2)
    ]
    assert [look.times for look in compared(session, "three", "all").looks] == [3]
    again = comparisons.build(session, filled.COMPARISON)
    assert {look.benchmark: look.times for look in again.looks}["capitals"] == before


def test_a_reader_is_told_in_both_languages(session: Session) -> None:
    compared(session, "one", "dev")
    text = comparisons.as_text(compared(session, "two", "test"))
    assert "capitals: its test items have been looked at twice" in text
    table = comparisons.build(session, "one")
    assert "the dev half alone; the test half has been looked at once" in comparisons.as_markdown(
        table
    )
    assert "只用了 dev 一半" in comparisons.as_text(table, "zh")
    assert comparisons.as_dict(table)["looks"] == [
        {"benchmark": "capitals", "half": "dev", "times": 1}
    ]
    assert "looked at" not in comparisons.as_text(comparisons.build(session, filled.COMPARISON))
