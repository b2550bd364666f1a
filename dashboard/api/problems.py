"""Errors as RFC 9457 problems: a stable code, its facts, a sentence in the caller's language."""

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from dashboard.api.languages import reader
from shared import errors
from shared.errors import Both, GraftError, Language, both, spoken
from shared.specs.problems import in_words

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    #: `urn:graft:problem:CODE`.
    type: str
    title: str
    status: int
    #: The sentence for a person: the thing's name, and the remedy.
    detail: str
    instance: str
    #: The stable name of the error, e.g. `unknown-base`.
    code: str
    #: The facts in the sentence; wrong rows of a file are in `each`.
    params: dict[str, Any] = Field(default_factory=dict)


_CONFLICTS = (
    errors.AmbiguousJob,
    errors.NameTaken,
    errors.KeyReused,
    errors.NotCancellable,
    errors.NotQueued,
    errors.NotRetryable,
    errors.RankTooLarge,
    errors.SampleKnown,
    errors.WrongBase,
)
#: The status of an error and of its children; the first that fits.
_STATUS: tuple[tuple[int, tuple[type[GraftError], ...]], ...] = (
    (401, (errors.Unauthenticated,)),
    (403, (errors.Forbidden,)),
    (409, _CONFLICTS),
    (413, (errors.TooLarge,)),
    (429, (errors.QueueFull,)),
    (503, (errors.NotReachable, errors.StoreAway, errors.SchemaOutdated)),
    (507, (errors.DiskFull,)),
)
_TITLES = {
    400: "Bad request", 401: "Not signed in", 403: "Not allowed", 404: "Not found",
    405: "Method not allowed", 409: "Conflict", 413: "Too large", 415: "Unknown media type",
    422: "Cannot be processed", 429: "Too many", 500: "Mistake of Graft", 503: "Not reachable",
    507: "Disk full",
}  # fmt: skip
#: What every operation may answer beside its success; goes into the OpenAPI description.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": "A problem (RFC 9457).",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status in ("4XX", "5XX")
}


def status_of(error: GraftError) -> int:
    """The HTTP status of an error."""
    for status, kinds in _STATUS:
        if isinstance(error, kinds):
            return status
    if type(error).__name__.startswith("Unknown") and not isinstance(error, errors.UnknownFormat):
        return 404
    return 422 if isinstance(error, errors.UserError) else 500


def graft_problem(request: Request, error: Exception) -> JSONResponse:
    """The answer to an error that Graft names."""
    assert isinstance(error, GraftError)
    language = reader(request)
    status = status_of(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    params = {name: spoken(value, language) for name, value in error.params.items()}
    return _answer(request, status, error.code(), error.message(language), params, headers)


def invalid_problem(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that does not fit its description."""
    assert isinstance(error, RequestValidationError)
    language = reader(request)
    wrong = [
        {"where": ".".join(map(str, each["loc"])), "problem": in_words(each)[language]}
        for each in error.errors()
    ]
    detail = "; ".join(f"{each['where']}: {each['problem']}" for each in wrong[:5])
    return _answer(request, 422, "invalid-request", detail, {"each": wrong})


_HTTP: dict[int, Both] = {
    404: both("There is nothing at this address.", "此地址下没有内容。"),
    405: both("This address does not take this method.", "此地址不支持该方法。"),
}


def http_problem(request: Request, error: Exception) -> JSONResponse:
    """The answer to an address or a method that does not exist."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    words = _HTTP.get(error.status_code)
    detail = words[reader(request)] if words else str(error.detail)
    return _answer(request, error.status_code, "http", detail, {}, headers)


def database_problem(request: Request, error: Exception) -> JSONResponse:
    """The answer while the database is away; where it is stays the pool's own business."""
    assert isinstance(error, OperationalError)
    problem = str(error.orig or error).strip().split("\n")[0]
    away = errors.NotReachable(what=both("The database", "数据库"), where="-", problem=problem)
    return graft_problem(request, away)


def unexpected_problem(request: Request, error: Exception) -> JSONResponse:
    """The answer to a mistake of ours; its traceback is in the log, not in the answer."""
    detail = _INTERNAL[reader(request)]
    return _answer(request, 500, "internal", detail, {})


_INTERNAL: dict[Language, str] = {
    "en": "Graft made a mistake; the server's log has the details.",
    "zh": "Graft 内部错误；详情见服务器日志。",
}


def _answer(
    request: Request,
    status: int,
    code: str,
    detail: str,
    params: dict[str, Any],
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    problem = Problem(
        type=f"urn:graft:problem:{code}", title=_TITLES.get(status, "Problem"), status=status,
        detail=detail, instance=request.url.path, code=code, params=params,
    )  # fmt: skip
    more = {"Content-Language": reader(request), "Vary": "Accept-Language"}
    return JSONResponse(
        problem.model_dump(mode="json"), status, more | (headers or {}), media_type=MEDIA_TYPE
    )


def _methods(request: Request) -> set[str]:
    """Every method that some route at this address takes; one route knows its own only."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= set(getattr(route, "methods", None) or ())
    return found
