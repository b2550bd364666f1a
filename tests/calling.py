"""Calling the API in this process, as a program of this machine or of another one."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette

from dashboard.api import mounted
from dashboard.sign_in import ROUTES
from processes import until


class Caller:
    """Sends requests to the API as if from an address, to a dashboard of that name."""

    def __init__(self, address: str, host: str, under: str = "/api/v1/") -> None:
        self._app = Starlette(routes=[mounted(), *ROUTES])
        self._address = address
        self._base = f"http://{host}{under}"

    def __call__(self, method: str, path: str, **request: Any) -> httpx.Response:
        return asyncio.run(self._send(method, path, request))

    async def _send(self, method: str, path: str, request: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, client=(self._address, 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=self._base) as client:
            return await client.request(method, path, **request)

    def get(self, path: str, **request: Any) -> httpx.Response:
        return self("GET", path, **request)

    def post(self, path: str, **request: Any) -> httpx.Response:
        return self("POST", path, **request)

    def put(self, path: str, **request: Any) -> httpx.Response:
        return self("PUT", path, **request)


@contextmanager
def serving() -> Iterator[str]:
    """The API on a port of this machine's loopback, served by a thread; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(Starlette(routes=[mounted()]), log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            until(lambda: server.started, "the API answers")
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
