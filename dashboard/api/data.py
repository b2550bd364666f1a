"""`/v1/datasets` (training rows and benchmark items)."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from dashboard.api.callers import Caller
from dashboard.api.uploads import FILE, Received
from shared.api.asked import Label
from shared.api.data import Kind
from shared.api.things import DatasetAnswer, PreviewAnswer

router = APIRouter(tags=["data"])
Name = Annotated[Label, Path()]


@router.get("/datasets", operation_id="datasets")
def listed(pool: Caller, kind: Annotated[Kind | None, Query()] = None) -> list[DatasetAnswer]:
    """Registered files of training rows and benchmark items."""
    return list(pool.data.list(kind=kind))


@router.get("/datasets/{name}", operation_id="dataset")
def one(pool: Caller, name: Name, kind: Annotated[Kind, Query()] = "training") -> DatasetAnswer:
    """One file with what was found in it."""
    return pool.data.get(name, kind=kind)


@router.get("/datasets/{name}/preview", operation_id="preview")
def preview(
    pool: Caller,
    name: Name,
    kind: Annotated[Kind, Query()] = "training",
    rows: Annotated[int, Query(ge=1, le=100)] = 5,
) -> PreviewAnswer:
    """The first rows as they will be read."""
    return pool.data.preview(name, kind=kind, rows=rows)


@router.put(
    "/datasets/{name}",
    status_code=201,
    operation_id="upload_dataset",
    openapi_extra=FILE,
)
def upload(
    pool: Caller,
    name: Name,
    file: Received,
    kind: Annotated[Kind, Query()] = "training",
    format: Annotated[str, Query(pattern=r"^[a-z-]{0,40}$")] = "",
    skip_bad: Annotated[bool, Query()] = False,
) -> DatasetAnswer:
    """Check a file and register it. Wrong rows are listed with their numbers in `params.each`."""
    return pool.data.upload(name, file, kind=kind, format=format, skip_bad=skip_bad)
