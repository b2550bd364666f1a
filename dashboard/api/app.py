"""The API's application: its routes, its limits, and what an error looks like."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.routing import Mount

from dashboard.api import adapters, comparisons, data, jobs, knowledge, machines
from dashboard.api.limits import Limits
from dashboard.api.problems import (
    RESPONSES,
    Problem,
    database_problem,
    graft_problem,
    http_problem,
    invalid_problem,
    unexpected_problem,
)
from shared.errors import GraftError


class _Described(FastAPI):
    """Puts the problem's schema where the responses of every operation point."""

    def openapi(self) -> dict[str, Any]:
        schema = super().openapi()
        schema["components"].setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
        return schema


def create() -> FastAPI:
    """The API, to be mounted at `/api`. It has no page of its own: those load scripts from afar."""
    app = _Described(
        title="Graft", version="1", docs_url=None, redoc_url=None, redirect_slashes=False,
        description="Train, fuse and judge LoRA adapters on a shared pool. Times are seconds since "
        "1970; errors are RFC 9457 problems in English, or in Chinese with `Accept-Language: zh`.",
    )  # fmt: skip
    for part in (jobs, adapters, data, machines, comparisons, knowledge):
        app.include_router(part.router, prefix="/v1", responses=RESPONSES)
    app.add_middleware(Limits)
    app.add_exception_handler(GraftError, graft_problem)
    app.add_exception_handler(RequestValidationError, invalid_problem)
    app.add_exception_handler(HTTPException, http_problem)
    app.add_exception_handler(OperationalError, database_problem)
    app.add_exception_handler(Exception, unexpected_problem)
    return app


def mounted() -> Mount:
    """The API at `/api` of another application."""
    mount = Mount("/api", create())
    # Any path below is the API's to answer, one with a line break in it too.
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    return mount
