"""`/v1/comparisons`."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from dashboard.api.callers import Caller
from shared.api.asked import Label
from shared.api.comparisons import Form
from shared.api.things import ComparisonAnswer

router = APIRouter(tags=["comparisons"])
Name = Annotated[Label, Path()]
Baseline = Annotated[Label | None, Query(description="Another arm to compare to.")]
_FORMS: dict[Form, str] = {"csv": "text/csv; charset=utf-8", "md": "text/markdown; charset=utf-8"}


@router.get("/comparisons", operation_id="comparisons")
def listed(pool: Caller) -> list[ComparisonAnswer]:
    """Stored comparisons, newest first."""
    return list(pool.comparisons.list())


@router.get("/comparisons/{name}", operation_id="comparison")
def one(pool: Caller, name: Name, baseline: Baseline = None) -> dict[str, Any]:
    """Every number of a comparison, unrounded: arms, columns, intervals, verdicts."""
    return pool.comparisons.get(name, baseline=baseline or "")


@router.get("/comparisons/{name}/votes", operation_id="votes")
def votes(pool: Caller, name: Name) -> dict[str, Any]:
    """Who is preferred to whom, by people and by each judge model, with intervals."""
    return pool.comparisons.votes(name)


@router.get(
    "/comparisons/{name}/export",
    operation_id="export",
    response_class=Response,
    responses={
        200: {
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                "text/markdown": {"schema": {"type": "string"}},
            }
        }
    },
)
def export(
    pool: Caller,
    name: Name,
    form: Annotated[Form, Query()] = "csv",
    baseline: Baseline = None,
) -> Response:
    """The table as CSV, or as Markdown in the caller's language."""
    written = pool.comparisons.export(name, form, baseline=baseline or "")
    return Response(written, media_type=_FORMS[form])
