"""The comparison page: verdicts, intervals, the chosen baseline, and the items behind them."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import filled
from dashboard.language import Words
from dashboard.score_table import score_table
from pages import Open, texts
from shared import comparisons, db, judges, votes
from shared.comparisons import ComparisonTable
from shared.errors import Language
from shared.specs import BASE_ARM, JudgeSpec
from shared.verdicts import Verdict


def _table(app: AppTest) -> str:
    """The scores: the one HTML block with a table of that class."""
    found = (each.proto.body for each in app.get("html"))
    return next(body for body in found if 'class="scores"' in body)


def _built(baseline: str | None = None) -> ComparisonTable:
    with db.reading() as session:
        return comparisons.build(session, filled.COMPARISON, baseline)


@pytest.mark.parametrize(("language", "better"), [("en", "▲ better"), ("zh", "▲ 更好")])
def test_the_table_has_every_arm_its_interval_and_its_verdict(
    pool: Path, open_page: Open, language: Language, better: str
) -> None:
    html = _table(open_page("compare", language, name=filled.COMPARISON))
    found = _built().arm("native").cells["capitals/accuracy/all"].difference
    assert found is not None
    assert f"[{found.low * 100:+.1f}, {found.high * 100:+.1f}]" in html
    assert better in html
    assert f"{found.fixed} " in html
    for arm in ("base", "native", "fused", "refreshed", "naive-copy"):
        assert f'<th scope="row">{arm}<br>' in html


def test_a_no_op_fusion_is_a_row_that_says_why(pool: Path, open_page: Open) -> None:
    app = open_page("compare", "zh", name=filled.COMPARISON)
    assert "无效果（NO-OP）：供体没有模块适合宿主底座。" in _table(app)
    assert "在此底座上没有改变任何东西" in texts(app)


def test_each_arm_gets_a_sentence_against_the_baseline(pool: Path, open_page: Open) -> None:
    page = texts(open_page("compare", name=filled.COMPARISON))
    assert "native is better than base on 3 of 3 benchmarks." in page


def test_another_baseline_changes_the_page_and_its_address(pool: Path, open_page: Open) -> None:
    app = open_page("compare", name=filled.COMPARISON)
    app.selectbox(key=f"compare.baseline.{filled.COMPARISON}").set_value("native").run()
    assert app.query_params["baseline"] == "native"
    assert "fused is worse than native on 3 of 3 benchmarks." in texts(app)
    assert "▼ worse" in _table(app)
    linked = open_page("compare", "zh", name=filled.COMPARISON, baseline="native")
    assert "fused 劣于 native（3 个评测集中的 3 个）。" in texts(linked)


def test_a_baseline_in_the_address_that_is_no_arm_is_named(pool: Path, open_page: Open) -> None:
    app = open_page("compare", name=filled.COMPARISON, baseline="nobody")
    assert "nobody is none of the arms" in app.error[0].value


def test_languages_can_be_read_apart(pool: Path, open_page: Open) -> None:
    app = open_page("compare", name=filled.COMPARISON)
    assert "Chinese" not in _table(app)
    app.button_group(key="compare.languages").set_value(["all", "zh"]).run()
    assert ">Chinese<" in _table(app)
    assert ">English<" not in _table(app)


def test_items_can_be_read_by_how_they_changed(pool: Path, open_page: Open) -> None:
    app = open_page("compare", name=filled.COMPARISON)
    found = _built().arm("native").cells["capitals/accuracy/all"].difference
    assert found is not None
    counted = {"fixed": found.fixed, "broken": found.broken}
    chooser = app.button_group(key="compare.flip.native.capitals")
    for flip, count in counted.items():
        assert f"{flip} {count}" in [option.content for option in chooser.proto.options]
    chooser.select("broken").run()
    badges = [each.value for each in app.markdown if each.value.endswith("-badge[broken]")]
    assert len(badges) == min(counted["broken"], 10)
    assert len(app.get("pagination")) == (1 if counted["broken"] > 10 else 0)


def test_what_a_model_wrote_is_shown_as_it_wrote_it(pool: Path, open_page: Open) -> None:
    app = open_page("compare", name=filled.COMPARISON)
    app.selectbox(key="compare.items.benchmark").set_value("summaries").run()
    hostile = "*I* do not know <b>that</b>."
    bodies = [each.proto.body for each in app.get("html") if 'class="diff"' in each.proto.body]
    assert any("&lt;b&gt;" in body for body in bodies)
    assert not any("<b>" in body for body in bodies)
    assert not any(hostile in each.value for each in app.markdown)


def test_values_in_the_table_are_escaped(pool: Path) -> None:
    table = _built()
    arm = comparisons.NoOpArm(
        name="<script>alert(1)</script>", method="copy", job_id="1",
        error={"code": "no-op", "params": {"why": "<img src=x onerror=y>"}},
    )  # fmt: skip
    table.no_ops.append(arm)
    html = score_table(table, table.columns, Words("en"))
    assert "<script>" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_evaluations_that_cannot_be_compared_say_so(empty_pool: Path, open_page: Open) -> None:
    filled.fill(empty_pool, items=3, arms=("base", "native"))
    with db.writing() as session:
        spec = filled.EvaluationSpec(
            name="mixed", base_model=filled.HOST_BASE, adapters=["native"],
            benchmarks=["capitals"],
        )  # fmt: skip
        job = filled.add_job(session, spec, 1.0, filled.JobState.SUCCEEDED)
        parts = [
            filled.part(session, "base", "capitals"),
            filled.part(session, "native", "capitals", dtype="bf16"),
        ]
        filled.record(session, job, spec, parts)
    app = open_page("compare", name="mixed")
    assert "Not comparable: on capitals the dtype of native" in app.error[0].value.replace("\\", "")
    assert "▲" not in _table(app)


def test_two_answers_are_judged_blind_and_the_names_come_after(
    empty_pool: Path, open_page: Open
) -> None:
    filled.fill(empty_pool, items=9, arms=("base", "native"))
    app = open_page("compare", name=filled.COMPARISON)
    for _ in range(3):
        app.button("votes.first").click().run()
    with db.reading() as session:
        cast = votes.votes(session, filled.COMPARISON)
    assert [(vote.outcome, vote.user) for vote in cast] == [("first", filled.USER)] * 3
    last = cast[-1]
    assert f"A was {last.first}, B was {last.second}" in app.info[0].value
    assert "3 votes so far" in app.info[0].value
    tables = [each.proto.body for each in app.get("html")]
    share = sum(vote.first == "native" for vote in cast) / 3
    assert any(f"{share:.0%} [" in table for table in tables)


def test_items_of_one_language_the_worst_first(pool: Path, open_page: Open) -> None:
    app = open_page("compare", name=filled.COMPARISON)
    key = "native.capitals"
    app.button_group(key=f"compare.spoken.{key}").set_value("zh").run()
    app.toggle(key=f"compare.worst.{key}").set_value(True).run()
    badges = [each.value for each in app.markdown if "-badge[" in each.value]
    assert badges[-10].endswith("-badge[broken]")
    shown = [each.value for each in app.caption if each.value.startswith("c")]
    assert len([each for each in shown if each.endswith("Chinese")]) == 10


def test_items_as_a_table_carry_texts_that_no_spreadsheet_runs() -> None:
    pair = comparisons.ItemPair(
        item_hash="h", item_id="1", language="zh", prompt="=1+1", references=["二"],
        baseline_output="-", arm_output="二", baseline_value=0.0, arm_value=1.0,
        flip=comparisons.Flip.FIXED, changed=True, baseline_samples=[], arm_samples=[],
    )  # fmt: skip
    content = comparisons.items_csv([pair], "base", "own")
    assert content.startswith(b"\xef\xbb\xbf")
    row = content.decode("utf-8-sig").splitlines()[1]
    assert row == "1,zh,fixed,'=1+1,二,0.0,1.0,'-,二"


def test_what_each_arm_cost_stands_on_the_page(pool: Path, open_page: Open) -> None:
    app = open_page("compare", name=filled.COMPARISON)
    costs = app.dataframe[-1].value
    assert set(costs["Seconds"]) == {1.5}
    assert len(costs) == len(filled.SKILL) * len(filled.BENCHMARKS)


def test_what_an_adapter_took_to_make_counts_all_that_it_came_from(
    pool: Path, open_page: Open
) -> None:
    with db.reading() as session:
        table = comparisons.build(session, filled.COMPARISON)
        made = {each.arm: each for each in comparisons.makings(session, table)}
    assert set(made) == set(filled.SKILL) - {BASE_ARM}
    # Each job of the filled pool took a minute; `fused` came from two trainings.
    assert (made["native"].seconds, made["native"].whole) == (60.0, 60.0)
    assert (made["fused"].seconds, made["fused"].whole) == (60.0, 180.0)
    shown = open_page("compare", name=filled.COMPARISON).dataframe[-2].value
    assert list(shown["GPU-hours, with all it came from"]) == [0.017, 0.05, 0.033]


def test_a_judge_stands_apart_from_people_and_says_how_often_it_contradicts_itself(
    pool: Path, open_page: Open
) -> None:
    spec = JudgeSpec(name="j", comparison=filled.COMPARISON, base_model="wise")
    with db.writing() as session:
        pairs = judges.asked(session, spec)
        said = [
            Verdict(
                benchmark=each.benchmark, item_hash=each.item_hash, first=each.first,
                second=each.second, margins=(1.0, 1.0),
            )
            for each in pairs
        ]  # fmt: skip
        judges.record(session, spec, said)
    app = open_page("compare", "zh", name=filled.COMPARISON)
    assert not app.exception
    assert any("由 wise 评判" in each.value for each in app.markdown)
    [warned] = [each.value for each in app.warning if "自相矛盾" in each.value]
    assert "100%" in warned
