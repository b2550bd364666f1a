"""`graft doctor`, `db upgrade`, and what happens when the database or a setting is wrong."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import pools
from commands import Graft
from shared import schema
from shared.cli import checks
from shared.cli.failures import report_unexpected


def _states(result: Any) -> dict[str, str]:
    return {check["name"]: check["state"] for check in json.loads(result.stdout)}


def test_a_new_data_folder_needs_an_upgrade_and_then_is_well(new_graft: Graft) -> None:
    before = new_graft("doctor", "--json")
    assert before.exit_code == 1
    assert _states(before)["database"] == "fail"
    assert "graft db upgrade" in before.stdout
    assert new_graft("db", "upgrade").exit_code == 0
    after = new_graft("doctor", "--json")
    assert after.exit_code == 0
    assert _states(after)["database"] == "ok"
    assert _states(after)["workers"] == "warn"


def test_the_first_command_in_a_new_data_folder_makes_the_database(new_graft: Graft) -> None:
    first = new_graft("jobs", "--json")
    assert first.exit_code == 0
    assert schema.current() == schema.head()


def test_a_silent_broker_is_a_warning_that_shows_no_password(
    graft: Graft, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pools.use(monkeypatch, tmp_path, broker_url="redis://ann:secret@127.0.0.1:1/0")
    graft("db", "upgrade")
    result = graft("doctor")
    assert "warn  broker: redis://127.0.0.1:1/0" in result.stdout
    assert "secret" not in result.stdout
    assert result.exit_code == 0


def test_a_running_broker_is_well(
    graft: Graft, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str
) -> None:
    pools.use(monkeypatch, tmp_path, broker_url=redis_url)
    assert _states(graft("doctor", "--json"))["broker"] == "ok"


def test_a_store_that_cannot_be_written_fails(
    graft: Graft, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    pools.use(monkeypatch, tmp_path, store_url=str(tmp_path / "file" / "store"))
    graft("db", "upgrade")
    result = graft("doctor", "--json")
    assert result.exit_code == 1
    assert _states(result)["store"] == "fail"


def test_a_database_that_is_away_is_exit_code_3(
    graft: Graft, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = "postgresql://ann:secret@127.0.0.1:1/graft?connect_timeout=2"
    pools.use(monkeypatch, tmp_path, database_url=url)
    result = graft("jobs", "--json")
    assert result.exit_code == 3
    error = json.loads(result.stderr)["error"]
    assert error["code"] == "not-reachable"
    assert "secret" not in result.stderr


def test_a_wrong_setting_is_named(
    graft: Graft, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pools.use(monkeypatch, tmp_path, cpu_slots="many")
    result = graft("jobs")
    monkeypatch.delenv("GRAFT_CPU_SLOTS")
    assert result.exit_code == 2
    assert "GRAFT_CPU_SLOTS" in result.stderr


def test_gpus_are_listed_and_a_broken_driver_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks.shutil, "which", lambda _name: "/bin/nvidia-smi")

    def lists(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, stdout="Card A, 81559 MiB\n")

    def breaks(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        raise subprocess.CalledProcessError(9, command)

    assert checks.gpus(lists).detail == "Card A, 81559 MiB"
    assert checks.gpus(breaks).state == "warn"


def test_a_mistake_of_ours_is_one_line_and_a_traceback_in_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError as error:
        report_unexpected(type(error), error, error.__traceback__)
    (file,) = tmp_path.glob("graft-error-*.txt")
    assert str(file) in capsys.readouterr().err
    assert "by nothing" in file.read_text()
