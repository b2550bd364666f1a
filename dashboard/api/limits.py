"""How large a request may be, and what JSON may not hold: checked before anything reads it."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.api.problems import graft_problem
from shared.errors import BadJson, GraftError, TooLarge, both

#: Bytes of a request's JSON, and of an uploaded file.
MOST_JSON = 4 << 20
MOST_FILE = 2 << 30
_METHODS = ("POST", "PUT", "PATCH", "DELETE")


class Limits:
    """Refuses bodies that are too large, and JSON with text that no database keeps."""

    def __init__(self, app: ASGIApp, *, most_json: int = MOST_JSON, most_file: int = MOST_FILE):
        self.app = app
        self.most_json = most_json
        self.most_file = most_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _METHODS:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        is_file = kind == "application/octet-stream"
        most = self.most_file if is_file else self.most_json
        try:
            _declared(request, most)
            counted = _counting(receive, most)
            if not is_file:
                counted = await _whole(counted)
            await self.app(scope, counted, send)
        except GraftError as error:
            await graft_problem(request, error)(scope, receive, send)


def _declared(request: Request, most: int) -> None:
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most:
        raise TooLarge(limit=most >> 20)


def _counting(receive: Receive, most: int) -> Receive:
    """`receive` that stops at the limit, whatever the request declared."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise TooLarge(limit=most >> 20)
        return message

    return counted


async def _whole(receive: Receive) -> Receive:
    """`receive` of a body that was read and looked at."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    _look(body)
    return _replay(body, receive)


def _replay(body: bytes, after: Receive) -> Callable[[], Awaitable[Message]]:
    sent = False

    async def replayed() -> Message:
        nonlocal sent
        if sent:
            return await after()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _look(body: bytes) -> None:
    """Raises BadJson for half a surrogate pair, NUL, or a number that is none, anywhere in it."""
    if not body:
        return
    try:
        value: Any = json.loads(body, parse_constant=_no_number, parse_int=_integer)
        text = json.dumps(value, ensure_ascii=False)
        text.encode()
    except (ValueError, RecursionError) as wrong:
        raise BadJson(problem=str(wrong)[:200]) from None
    if "\\u0000" in text:
        raise BadJson(problem=both("it holds a NUL character", "其中含有 NUL 字符"))


def _integer(digits: str) -> int:
    """A whole number of 64 bits: no column and no engine takes more."""
    number = int(digits)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{digits[:20]} has more than 64 bits")
    return number


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
