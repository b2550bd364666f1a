"""Starting the dashboard: without torch, on the configured address, on a database that is there."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import dashboard
from dashboard import __main__ as start
from shared import schema
from shared.config import settings

FOLDER = Path(dashboard.__file__).parent
_IMPORT_ALL = """
import ast, importlib, pathlib, sys
sys.modules.update(dict.fromkeys({blocked!r}))
folder = pathlib.Path({folder!r})
for path in folder.rglob("*.py"):
    if path.parent == folder and path.name not in ("app.py", "__main__.py"):
        importlib.import_module("dashboard." + path.stem)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            importlib.import_module(node.module)
        elif isinstance(node, ast.Import):
            for each in node.names:
                importlib.import_module(each.name)
"""


def test_nothing_the_dashboard_imports_needs_torch() -> None:
    """A name that is None in sys.modules cannot be imported: as if it were not installed."""
    blocked = ["torch", "transformers", "peft", "safetensors", "worker"]
    script = _IMPORT_ALL.format(blocked=blocked, folder=str(FOLDER))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_command_serves_the_configured_address_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRAFT_DASHBOARD_PORT", "9123")
    settings.cache_clear()
    command = start.command()
    settings.cache_clear()
    assert command[command.index("--server.address") + 1] == "127.0.0.1"
    assert command[command.index("--server.port") + 1] == "9123"


def test_a_database_without_its_tables_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAFT_DATABASE_URL", f"sqlite:///{tmp_path / 'graft.db'}")
    # Not refused, this process would become the dashboard.
    monkeypatch.delattr("os.execv")
    settings.cache_clear()
    with pytest.raises(SystemExit) as ended:
        start.main()
    settings.cache_clear()
    assert ended.value.code == 3
    assert "graft db upgrade" in capsys.readouterr().err


def test_a_current_database_becomes_streamlit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_DATABASE_URL", f"sqlite:///{tmp_path / 'graft.db'}")
    settings.cache_clear()
    schema.upgrade()
    became: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda program, arguments: became.append(arguments))
    start.main()
    settings.cache_clear()
    assert became[0][1:4] == ["-m", "streamlit", "run"]


def test_the_settings_that_keep_it_fast_and_private_are_set() -> None:
    config = tomllib.loads((FOLDER / ".streamlit" / "config.toml").read_text())
    assert config["runner"]["postScriptGC"] is False
    assert config["browser"]["gatherUsageStats"] is False
