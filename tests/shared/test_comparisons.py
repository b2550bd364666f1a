"""A stored comparison becomes a table, a text, a file, and items side by side."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import Session, select

import filled
import pools
from shared import comparisons, db
from shared.comparisons import Flip
from shared.errors import InvalidSpec, NoOp, UnknownComparison
from shared.specs import EvaluationSpec
from shared.storage import store
from shared.tables import Dataset, Evaluation, ItemResult, Job, JobState


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    pools.use(monkeypatch, tmp_path / "home")
    filled.fill(tmp_path)
    with Session(db.engine(), expire_on_commit=False) as opened:
        yield opened
    pools.forget()


def _small(session: Session, name: str, **engine: str) -> comparisons.ComparisonTable:
    """Another comparison, whose arm `native` was scored by an engine with these facts."""
    spec = EvaluationSpec(
        name=name, base_model=filled.HOST_BASE, adapters=["native"], benchmarks=["capitals"]
    )
    job = filled.add_job(session, spec, 1.0, JobState.SUCCEEDED)
    parts = [
        filled.part(session, "base", "capitals"),
        filled.part(session, "native", "capitals", **engine),
    ]
    filled.record(session, job, spec, parts)
    return comparisons.build(session, name)


def test_the_baseline_is_the_first_row_and_has_no_difference(session: Session) -> None:
    table = comparisons.build(session, filled.COMPARISON)
    assert [arm.name for arm in table.arms] == ["base", "native", "fused", "refreshed"]
    assert [arm.method for arm in table.arms] == ["base", "train", "weighted_sum", "refresh"]
    assert all(cell.difference is None for cell in table.arms[0].cells.values())
    assert table.comparable


def test_each_benchmark_has_a_column_for_all_and_for_each_language(session: Session) -> None:
    table = comparisons.build(session, filled.COMPARISON)
    assert [(column.benchmark, column.language) for column in table.columns] == [
        (name, language)
        for name in ("capitals", "summaries", "endings")
        for language in ("all", "en", "zh")
    ]


def test_a_cell_holds_the_score_that_the_evaluation_stored(session: Session) -> None:
    table = comparisons.build(session, filled.COMPARISON)
    rows = session.exec(
        select(ItemResult).join(Evaluation).where(
            Evaluation.arm == "native", Evaluation.benchmark == "capitals"
        )
    ).all()  # fmt: skip
    chinese = [row.values["accuracy"] for row in rows if row.language == "zh"]
    cell = table.arm("native").cells["capitals/accuracy/zh"]
    assert cell.estimate.n == len(chinese) == filled.ITEMS // 3
    assert cell.estimate.value == pytest.approx(sum(chinese) / len(chinese))
    assert cell.verdict == "too_few"


def test_a_clear_gain_is_better_whichever_way_the_metric_counts(session: Session) -> None:
    table = comparisons.build(session, filled.COMPARISON)
    for key in ("capitals/accuracy/all", "endings/bits_per_byte/all"):
        cell = table.arm("native").cells[key]
        assert cell.difference is not None
        assert cell.verdict == "better"
        assert cell.difference.fixed > cell.difference.broken
    accuracy = table.arm("native").cells["capitals/accuracy/all"].difference
    bits = table.arm("native").cells["endings/bits_per_byte/all"].difference
    assert accuracy is not None
    assert bits is not None
    assert accuracy.low > 0
    assert bits.high < 0


def test_p_values_are_adjusted_over_the_primary_cells_and_the_rest_apart(
    session: Session,
) -> None:
    table = comparisons.build(session, filled.COMPARISON)
    for primary in (True, False):
        cells = [
            cell
            for column in table.columns
            if column.primary is primary
            for arm in table.arms
            if (cell := arm.cells[column.key]).difference is not None
        ]
        smallest = min(cells, key=lambda cell: cell.difference.p if cell.difference else 2)
        assert smallest.difference is not None
        assert smallest.p_adjusted == pytest.approx(smallest.difference.p * len(cells))


def test_another_baseline_turns_the_difference_around(session: Session) -> None:
    ours = comparisons.build(session, filled.COMPARISON)
    turned = comparisons.build(session, filled.COMPARISON, "native")
    forth = ours.arm("native").cells["capitals/accuracy/all"].difference
    back = turned.arm("base").cells["capitals/accuracy/all"].difference
    assert forth is not None
    assert back is not None
    assert turned.arms[0].name == "native"
    assert back.value == pytest.approx(-forth.value)
    assert (back.fixed, back.broken) == (forth.broken, forth.fixed)


def test_a_baseline_that_is_no_arm_is_refused_with_the_arms(session: Session) -> None:
    with pytest.raises(InvalidSpec, match="nobody is none of the arms: base, native"):
        comparisons.build(session, filled.COMPARISON, "nobody")


def test_an_unknown_comparison_is_refused_with_the_known_ones(session: Session) -> None:
    with pytest.raises(UnknownComparison, match=filled.COMPARISON):
        comparisons.build(session, "nothing")


def test_arms_scored_by_different_engines_are_not_compared(session: Session) -> None:
    table = _small(session, "mixed", dtype="bf16")
    assert not table.comparable
    assert [(found.fact, found.here, found.baseline) for found in table.conflicts] == [
        ("dtype", "bf16", "fp32")
    ]
    assert all(cell.difference is None for cell in table.arm("native").cells.values())
    assert table.arm("native").cells["capitals/accuracy/all"].estimate.value > 0.5
    assert "Not comparable: on capitals the dtype" in comparisons.as_text(table, "en")
    assert "不可比：capitals" in comparisons.as_text(table, "zh")


def test_how_long_an_evaluation_took_does_not_matter(session: Session) -> None:
    assert _small(session, "slower", seconds="99").comparable


def test_arms_scored_on_different_files_are_not_compared(session: Session) -> None:
    _small(session, "files")
    table = comparisons.build(session, "files")
    changed = session.get_one(Evaluation, table.arm("native").evaluations["capitals"])
    changed.benchmark_sha256 = "f" * 64
    session.add(changed)
    session.flush()
    table = comparisons.build(session, "files")
    assert [found.fact for found in table.conflicts] == ["content"]


def test_arms_scored_on_different_items_are_not_compared(session: Session) -> None:
    table = _small(session, "fewer")
    evaluation = table.arm("native").evaluations["capitals"]
    row = session.exec(select(ItemResult).where(ItemResult.evaluation_id == evaluation)).first()
    session.delete(row)
    session.flush()
    assert [found.fact for found in comparisons.build(session, "fewer").conflicts] == ["items"]


def test_a_no_op_fusion_onto_the_base_is_a_row_with_its_reason(session: Session) -> None:
    table = comparisons.build(session, filled.COMPARISON)
    assert [(arm.name, arm.method) for arm in table.no_ops] == [("naive-copy", "copy")]
    assert "naive-copy (copy): NO-OP: no module of the donor" in comparisons.as_text(table)
    assert "naive-copy (copy): 无效果（NO-OP）" in comparisons.as_text(table, "zh")


def test_a_no_op_onto_another_base_or_with_another_error_is_no_row(session: Session) -> None:
    for job in session.exec(select(Job).where(Job.state == JobState.FAILED)):
        if job.error and job.error["code"] == NoOp.code():
            job.spec = job.spec | {"host_base": filled.DONOR_BASE}
            session.add(job)
    session.flush()
    assert comparisons.build(session, filled.COMPARISON).no_ops == []


def test_the_text_of_both_languages_has_every_arm_and_an_interval(session: Session) -> None:
    table = comparisons.build(session, filled.COMPARISON)
    english, chinese = comparisons.as_text(table, "en"), comparisons.as_text(table, "zh")
    for text in (english, chinese):
        for arm in table.arms:
            assert text.count(f"\n{arm.name}") >= len(table.columns)
        cell = table.arm("native").cells["capitals/accuracy/all"].difference
        assert cell is not None
        assert f"{cell.value * 100:+.1f} pp [{cell.low * 100:+.1f}, {cell.high * 100:+.1f}]" in text
    assert "better" in english
    assert "更好" in chinese


def test_json_has_every_number_unrounded_and_no_nan(session: Session) -> None:
    table = comparisons.build(session, filled.COMPARISON)
    read = json.loads(comparisons.as_json(table))
    cell = read["arms"][1]["cells"]["capitals/accuracy/all"]
    ours = table.arm("native").cells["capitals/accuracy/all"]
    assert cell["value"] == ours.estimate.value
    assert cell["difference"]["verdict"] == "better"
    assert read["no_ops"][0]["name"] == "naive-copy"


def test_one_item_has_a_score_but_no_interval_anywhere(session: Session) -> None:
    table = _small(session, "single")
    for arm in table.arms:
        evaluation = arm.evaluations["capitals"]
        rows = session.exec(select(ItemResult).where(ItemResult.evaluation_id == evaluation)).all()
        for row in sorted(rows, key=lambda each: each.item_hash)[1:]:
            session.delete(row)
    session.flush()
    table = comparisons.build(session, "single")
    cell = json.loads(comparisons.as_json(table))["arms"][1]["cells"]["capitals/accuracy/all"]
    assert (cell["n"], cell["low"], cell["difference"]["low"]) == (1, None, None)
    assert "nan" not in comparisons.as_text(table)
    assert "nan" not in comparisons.as_csv(table).decode()


def test_csv_opens_in_excel_and_runs_no_formula(session: Session) -> None:
    table = comparisons.build(session, filled.COMPARISON)
    data = comparisons.as_csv(table)
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    assert len(rows) == len(table.arms) * len(table.columns) + 1
    assert rows[-1]["verdict"] == "no_op"
    first = next(row for row in rows if row["arm"] == "native")
    assert float(first["score"]) == table.arm("native").cells[table.columns[0].key].estimate.value


def test_markdown_shows_names_as_they_are(session: Session) -> None:
    text = comparisons.as_markdown(comparisons.build(session, filled.COMPARISON), "en")
    assert "| native | 120 |" in text
    assert r"template\_sha256" in text


def test_pairs_hold_prompt_references_and_both_outputs(session: Session) -> None:
    table = comparisons.build(session, filled.COMPARISON)
    pairs = comparisons.item_pairs(session, table, "native", "capitals")
    fixed = next(pair for pair in pairs if pair.flip is Flip.FIXED)
    assert fixed.arm_output == fixed.references[0]
    assert fixed.baseline_output not in fixed.references
    assert fixed.baseline_output in fixed.prompt
    found = table.arm("native").cells["capitals/accuracy/all"].difference
    counted = comparisons.counted(pairs)
    assert found is not None
    assert (counted["fixed"], counted["broken"]) == (found.fixed, found.broken)
    assert sum(counted[flip.value] for flip in Flip) == len(pairs) == filled.ITEMS


def test_pairs_of_a_metric_where_less_is_better_call_less_fixed(session: Session) -> None:
    table = comparisons.build(session, filled.COMPARISON)
    pairs = comparisons.item_pairs(session, table, "native", "endings")
    assert all(pair.arm_value < pair.baseline_value for pair in pairs if pair.flip is Flip.FIXED)
    assert abs(pairs[0].arm_value - pairs[0].baseline_value) == max(
        abs(pair.arm_value - pair.baseline_value) for pair in pairs
    )


def test_outputs_stay_readable_when_the_benchmark_file_is_gone(session: Session) -> None:
    table = comparisons.build(session, filled.COMPARISON)
    dataset = session.get_one(Dataset, "capitals")
    store().open_path(dataset.uri).unlink()
    pairs = comparisons.item_pairs(session, table, "native", "capitals")
    assert len(pairs) == filled.ITEMS
    assert {pair.prompt for pair in pairs} == {""}
