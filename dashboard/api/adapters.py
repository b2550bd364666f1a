"""`/v1/adapters`."""

import tempfile
from collections.abc import Sequence
from pathlib import Path as File
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from dashboard.api.callers import Caller
from dashboard.api.jobs import Text
from dashboard.api.uploads import FILE, Received
from shared.api.asked import CardText, Label, Tag
from shared.api.packing import pack
from shared.api.things import AdapterAnswer
from shared.specs.training import TemplateName

router = APIRouter(tags=["adapters"])
Name = Annotated[Label, Path()]


@router.get("/adapters", operation_id="adapters")
def listed(
    pool: Caller,
    base: Text = "",
    text: Text = "",
    tag: Annotated[Sequence[Tag], Query()] = (),
) -> list[AdapterAnswer]:
    """Published adapters that hold the text and have all of the tags, newest first."""
    return list(pool.adapters.list(base=base, text=text, tags=tag))


@router.get("/adapters/{name}", operation_id="adapter")
def one(pool: Caller, name: Name) -> AdapterAnswer:
    """One adapter with its lineage."""
    return pool.adapters.get(name)


@router.put("/adapters/{name}/card", operation_id="describe")
def describe(pool: Caller, name: Name, asked: CardText) -> AdapterAnswer:
    """Write its note and tags, or make it the version to use; what is left out stays."""
    return pool.adapters.describe(name, asked)


@router.get(
    "/adapters/{name}/download",
    operation_id="download",
    response_class=FileResponse,
    responses={200: {"content": {"application/zip": {"schema": {"type": "string"}}}}},
)
def download(pool: Caller, name: Name) -> FileResponse:
    """Its folder in PEFT's format, as a zip."""
    folder = pool.adapters.folder(name)
    with tempfile.NamedTemporaryFile(prefix="graft-download-", delete=False) as file:
        path = File(file.name)
    try:
        pack(folder, name, path)
    except BaseException:
        path.unlink()
        raise
    return FileResponse(
        path, media_type="application/zip", filename=f"{name}.zip",
        background=BackgroundTask(path.unlink),
    )  # fmt: skip


@router.put(
    "/adapters/{name}",
    status_code=201,
    operation_id="upload_adapter",
    openapi_extra=FILE,
)
def upload(
    pool: Caller,
    name: Name,
    base: Annotated[Label, Query(description="The base it was made for.")],
    file: Received,
    template: Annotated[TemplateName, Query()] = "auto",
) -> AdapterAnswer:
    """Register an adapter made elsewhere: a zip of a PEFT folder, safetensors only, checked."""
    return pool.adapters.upload(name, file, base=base, template=template)
