"""LocalPool's dashboard: a port of its own, also when somebody takes the free one first."""

import http.server
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.local import pool as module
from infra.local.address import is_free
from infra.local.pool import LocalPool
from shared.config import settings
from shared.errors import AddressTaken, StartFailed

#: Answers 200 to everything at the port it is told, or dies as Streamlit does when it is taken.
SERVER = """
import http.server, os
class Yes(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
address = ("127.0.0.1", int(os.environ["GRAFT_DASHBOARD_PORT"]))
http.server.HTTPServer(address, Yes).serve_forever()
"""


class _Yes(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def _healthy_stranger() -> Iterator[int]:
    """The port of a server of somebody else's that says it is well."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Yes) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def pool(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalPool]:
    """A pool whose dashboard is the little server above."""
    monkeypatch.setattr(module, "DASHBOARD", (sys.executable, "-c", SERVER))
    pool = LocalPool(tell=lambda _text: None)
    pool.lock.take()
    yield pool
    pool.stop()


def _looks_free_once(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """The port is free when first asked, as it was a moment before the stranger took it."""
    asked: list[int] = []

    def free(address: str, other: int) -> bool:
        asked.append(other)
        return (other == port and asked.count(port) == 1) or is_free(address, other)

    monkeypatch.setattr(module, "is_free", free)


def _begin_at(pool: LocalPool, port: int) -> None:
    pool.settings = settings().model_copy(update={"dashboard_port": port})


def test_a_port_taken_meanwhile_is_left_to_its_taker_and_the_next_one_tried(
    pool: LocalPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _healthy_stranger() as taken:
        _looks_free_once(monkeypatch, taken)
        _begin_at(pool, taken)
        pool._start_dashboard()
        assert pool.port is not None
        assert taken < pool.port < taken + module.PORTS
        assert pool.url == f"http://127.0.0.1:{pool.port}/"
        assert [child.alive for child in pool.children] == [True]


def test_a_chosen_port_that_is_taken_meanwhile_is_an_error_and_not_another_port(
    pool: LocalPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _healthy_stranger() as taken:
        _looks_free_once(monkeypatch, taken)
        pool.port = taken
        with pytest.raises(AddressTaken) as told:
            pool._start_dashboard()
    assert f"127.0.0.1:{taken}." in told.value.message("en")
    assert pool.children == []


def test_a_dashboard_that_dies_of_something_else_is_not_tried_at_twenty_ports(
    pool: LocalPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DASHBOARD", (sys.executable, "-c", "raise SystemExit('no text')"))
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    _begin_at(pool, port)
    with pytest.raises(StartFailed, match="no text"):
        pool._start_dashboard()
    assert len(pool.children) == 1
