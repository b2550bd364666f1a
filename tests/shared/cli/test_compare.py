"""`graft compare`: a stored comparison in every format, and as a gate for scripts."""

import csv
import io
import json

import pytest

from commands import Graft
from shared import db, judges
from shared.specs import JudgeSpec
from shared.tables import Comparison, Evaluation, ItemResult, Job
from shared.verdicts import Verdict

ITEMS = 120


@pytest.fixture
def compared(graft: Graft) -> Graft:
    """`verdicts`: on 120 items the base has 60 right, `good` 110 and `bad` 10."""
    graft("db", "upgrade")
    with db.writing() as session:
        session.add(Job(id="j", kind="evaluate", name="verdicts"))
        session.flush()
        for arm, right in (("base", 60), ("good", 110), ("bad", 10)):
            session.add(
                Evaluation(
                    id=arm, job_id="j", arm=arm, base_model="tiny", benchmark="quiz",
                    benchmark_sha256="s", shape="choice", items=ITEMS, created_at=1.0,
                )
            )  # fmt: skip
            session.flush()
            for number in range(ITEMS):
                values = {"accuracy": float(number < right), "accuracy_bytes": 1.0, "margin": 0.5}
                session.add(
                    ItemResult(
                        evaluation_id=arm, item_hash=f"{number:03}", language="en", values=values
                    )
                )
        session.add(
            Comparison(
                name="verdicts", job_id="j", baseline="base", evaluations=["base", "good", "bad"]
            )
        )
    return graft


def test_a_comparison_is_listed_and_printed(compared: Graft) -> None:
    (listed,) = json.loads(compared("compare", "--json").stdout)
    assert listed["name"] == "verdicts"
    text = compared("compare", "verdicts").stdout
    assert "good" in text
    assert "quiz" in text


def test_every_format_holds_every_arm(compared: Graft) -> None:
    table = json.loads(compared("compare", "verdicts", "--format", "json").stdout)
    assert {arm["name"] for arm in table["arms"]} == {"base", "good", "bad"}
    assert table == json.loads(compared("compare", "verdicts", "--json").stdout)
    text = compared("compare", "verdicts", "--format", "csv").stdout.removeprefix("\ufeff")
    arms = {row["arm"] for row in csv.DictReader(io.StringIO(text))}
    assert arms == {"base", "good", "bad"}
    assert "| good" in compared("compare", "verdicts", "--format", "md").stdout


def test_the_table_is_chinese_on_request(compared: Graft) -> None:
    english = compared("compare", "verdicts").stdout
    chinese = compared("compare", "verdicts", "--lang", "zh").stdout
    assert english.isascii() or "基线" not in english
    assert "准确率" in chinese


def test_a_worse_arm_fails_the_gate_and_names_itself(compared: Graft) -> None:
    assert compared("compare", "verdicts").exit_code == 0
    gate = compared("compare", "verdicts", "--fail-if-worse")
    assert gate.exit_code == 1
    assert "bad is worse than base on quiz" in gate.stderr
    assert "good is worse" not in gate.stderr
    turned = compared("compare", "verdicts", "--fail-if-worse", "--baseline", "bad")
    assert turned.exit_code == 0


def test_an_unknown_comparison_or_baseline_is_refused(compared: Graft) -> None:
    wrong = compared("compare", "verdict")
    assert wrong.exit_code == 4
    assert "Did you mean verdicts?" in wrong.stderr
    baseline = compared("compare", "verdicts", "--baseline", "best", "--json")
    assert baseline.exit_code == 2
    assert json.loads(baseline.stderr)["error"]["params"]["field"] == "baseline"


def test_a_margin_lets_a_small_loss_pass_and_no_large_one(compared: Graft) -> None:
    # `bad` has 10 of 120 right, the base 60: the loss is 0.42, its interval well beyond 0.2.
    gate = ("compare", "verdicts", "--fail-if-worse", "--margin")
    assert compared(*gate, "0.2").exit_code == 1
    assert compared(*gate, "0.9").exit_code == 0


def test_arms_that_cannot_be_compared_fail_the_gate(compared: Graft) -> None:
    with db.writing() as session:
        session.get_one(Evaluation, "good").benchmark_sha256 = "other"
        session.get_one(Evaluation, "bad").benchmark_sha256 = "other"
    done = compared("compare", "verdicts", "--fail-if-worse")
    assert done.exit_code == 1
    assert "Not comparable" in done.stderr


def test_judges_are_printed_apart_from_people(compared: Graft) -> None:
    said = [
        Verdict(benchmark="b", item_hash=str(n), first="base", second="good", margins=(1.0, each))
        for n, each in enumerate((-1.0, -1.0, 1.0, 1.0))
    ]
    with db.writing() as session:
        spec = JudgeSpec(name="j", comparison="verdicts", base_model="wise")
        judges.record(session, spec, said)
    told = compared("compare", "verdicts", "--votes")
    assert told.exit_code == 0
    assert "no votes" in told.stdout.split("judge:wise")[0]
    assert "75% [30%, 95%]" in told.stdout
    assert "This judge is inconsistent" in told.stdout
    [judge] = json.loads(compared("compare", "verdicts", "--votes", "--json").stdout)["judges"]
    assert (judge["judge"], judge["flips"]["value"], judge["consistent"]) == ("wise", 0.5, False)
