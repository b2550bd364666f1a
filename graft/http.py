"""Requests to a REST API: JSON and files there and back, errors as GraftError classes."""

import json
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode

from shared.errors import GraftError, Language, NotReachable, both, from_record

#: Seconds without an answer after which a server is taken to be away.
_PATIENCE = 120.0


class Http:
    """One server, and who calls it."""

    def __init__(self, url: str, token: str | None, language: Language) -> None:
        self._base = f"{url.rstrip('/')}/api/v1"
        self._headers = {"Accept-Language": language}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def get(self, *path: str, **query: Any) -> Any:
        """The JSON at a path; parts of the path may hold anything."""
        return json.loads(self.bytes(*path, **query))

    def bytes(self, *path: str, **query: Any) -> bytes:
        """The body at a path."""
        with self._open(self._request("GET", path, query)) as answer:
            return answer.read()

    def save(self, target: Path, *path: str) -> None:
        """Write the body at a path to a file."""
        with self._open(self._request("GET", path, {})) as answer, target.open("wb") as file:
            shutil.copyfileobj(answer, file, 1 << 20)

    def send(self, method: str, *path: str, body: Any = None, key: str | None = None) -> Any:
        """Send JSON; the JSON that comes back."""
        request = self._request(method, path, {})
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if key is not None:
            request.add_header("Idempotency-Key", key)
        with self._open(request) as answer:
            return json.loads(answer.read())

    def put_file(self, file: Path, *path: str, **query: Any) -> Any:
        """Send a file, however large; the JSON that comes back."""
        request = self._request("PUT", path, query)
        request.add_header("Content-Type", "application/octet-stream")
        request.add_header("Content-Length", str(os.path.getsize(file)))
        with file.open("rb") as source:
            request.data = source
            with self._open(request) as answer:
                return json.loads(answer.read())

    def _request(
        self, method: str, path: tuple[str, ...], query: dict[str, Any]
    ) -> urllib.request.Request:
        url = "/".join([self._base, *(quote(part, safe="") for part in path)])
        given = {key: value for key, value in query.items() if value not in (None, "", [], ())}
        if given:
            url += "?" + urlencode(given, doseq=True)
        return urllib.request.Request(url, method=method, headers=self._headers)

    def _open(self, request: urllib.request.Request) -> IO[Any]:
        try:
            return urllib.request.urlopen(request, timeout=_PATIENCE)
        except urllib.error.HTTPError as refused:
            with refused:
                raise _error(refused.code, refused.read()) from None
        except OSError as wrong:
            problem = str(getattr(wrong, "reason", wrong))
            what = both("The dashboard", "控制台")
            raise NotReachable(what=what, where=self._base, problem=problem) from None


def _error(status: int, body: bytes) -> GraftError:
    """The error that a problem describes; one this version does not know keeps its sentence."""
    try:
        problem = json.loads(body)
        record = {"code": problem["code"], "params": problem["params"]}
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return GraftError(detail=f"HTTP {status}: {body[:200].decode(errors='replace')}")
    known = from_record(record)
    return known if type(known) is not GraftError else GraftError(detail=detail)
