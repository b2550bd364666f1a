"""`graft jobs`, `show`, `logs`, `cancel`, `retry`."""

import json

import pytest
from sqlmodel import Session

from commands import Graft
from pools import claim_next
from shared import db, leases
from shared.cli import logs
from shared.errors import NoOp
from shared.tables import LogLine, Outcome, Share


@pytest.fixture
def three(stocked: Graft) -> Graft:
    """Three queued trainings: x of ann, y and z of bob."""
    for name in ("x", "y", "z"):
        stocked("submit", "train", "--name", name, "--base-model", "tiny", "--dataset", "colours")
    with db.writing() as session:
        session.connection().exec_driver_sql("UPDATE job SET \"user\" = 'bob' WHERE name != 'x'")
        session.add(Share(project="default", user="bob"))
    return stocked


def _names(graft: Graft, *words: str) -> list[str]:
    return [job["name"] for job in json.loads(graft("jobs", "ls", "--json", *words).stdout)]


def test_jobs_are_listed_newest_first_and_filtered(three: Graft) -> None:
    three("cancel", "y")
    assert _names(three) == ["z", "y", "x"]
    assert _names(three, "--state", "queued") == ["z", "x"]
    assert _names(three, "--mine") == ["x"]
    assert _names(three, "--user", "bob", "--state", "cancelled") == ["y"]
    assert _names(three, "--kind", "fuse") == []
    assert _names(three, "--limit", "1") == ["z"]
    assert _names(three, "--text", "x") == ["x"]


def test_a_list_read_by_a_program_has_no_colours_and_one_line_a_job(three: Graft) -> None:
    result = three("jobs")
    assert "\033" not in result.stdout
    assert len(result.stdout.splitlines()) == 4


def test_show_names_the_spec_the_place_and_why_it_failed(three: Graft) -> None:
    _end(Outcome.FAILED, NoOp(why="no module matched.").record())
    failed = three("show", "x").stdout
    assert "failed" in failed
    assert "NO-OP: no module matched." in failed
    waiting = json.loads(three("show", "z", "--json").stdout)
    assert waiting["position"] == 2
    assert waiting["spec"]["dataset"] == "colours"


def _end(outcome: Outcome, error: dict[str, object] | None = None) -> str:
    with db.writing() as session:
        claim = claim_next(session)
        assert claim is not None
        leases.commit(session, claim, outcome, error=error)
    return claim.job_id


def test_cancel_ends_queued_jobs_and_refuses_ended_ones(three: Graft) -> None:
    result = three("cancel", "x", "y")
    assert result.exit_code == 0
    assert len(result.stdout.split()) == 2
    again = three("cancel", "x", "--json")
    assert again.exit_code == 4
    assert json.loads(again.stderr)["error"]["code"] == "not-cancellable"


def test_several_are_cancelled_though_one_cannot_be(three: Graft) -> None:
    three("cancel", "x")
    result = three("cancel", "x", "nobody", "y", "z", "--json")
    assert result.exit_code == 4
    told = json.loads(result.stdout)
    assert [(each.get("name"), each.get("state")) for each in told[:2]] == [
        ("y", "cancelled"), ("z", "cancelled"),
    ]  # fmt: skip
    codes = [(each["id"], each["error"]["code"]) for each in told[2:]]
    assert codes == [("x", "not-cancellable"), ("nobody", "unknown-job")]
    assert _names(three, "--state", "queued") == []


def test_several_are_moved_and_retried_though_one_cannot_be(three: Graft) -> None:
    three("cancel", "x", "y")
    moved = three("priority", "9", "x", "z")
    assert moved.exit_code == 4
    assert "x: " in moved.stderr
    assert len(moved.stdout.split()) == 1
    again = three("retry", "z", "x", "y")
    assert again.exit_code == 4
    assert len(again.stdout.split()) == 2


def test_retry_queues_a_failed_job_again_and_refuses_a_queued_one(three: Graft) -> None:
    old = _end(Outcome.FAILED)
    result = three("retry", "x", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["retry_of"] == old
    assert three("retry", "z").exit_code == 4


def test_an_unknown_job_is_refused(three: Graft) -> None:
    result = three("show", "qqq")
    assert result.exit_code == 4
    assert 'There is no job "qqq"' in result.stderr


def _write(session: Session, job_id: str, *texts: str) -> None:
    session.add_all(LogLine(job_id=job_id, epoch=1, text=text, at=1.0) for text in texts)


def test_logs_print_every_line_once_and_follow_until_the_end(
    three: Graft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "PAGE", 2)
    with db.writing() as session:
        claim = claim_next(session)
        assert claim is not None
        _write(session, claim.job_id, "one", "two", "three")

    def end_meanwhile(_seconds: float) -> None:
        with db.writing() as session:
            _write(session, claim.job_id, "four")
            leases.commit(session, claim, Outcome.SUCCEEDED)

    monkeypatch.setattr(logs.time, "sleep", end_meanwhile)
    result = three("logs", "-f", "x", "--json")
    assert result.exit_code == 0
    lines = [json.loads(line)["text"] for line in result.stdout.splitlines()]
    assert lines == ["one", "two", "three", "four"]


def test_an_ambiguous_id_asks_for_more_of_it(three: Graft) -> None:
    with db.writing() as session:
        connection = session.connection()
        for name in ("y", "z"):
            connection.exec_driver_sql(
                f"UPDATE job SET id = 'abc{name}' || substr(id, 5) WHERE name = '{name}'"
            )
    result = three("show", "abc")
    assert result.exit_code == 2
    assert "fits several jobs" in result.stderr
