"""A request's body as a file on this machine, gone when the request has been answered."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Query, Request

#: A name as people's files have them; only shown, and its endings say how the file is read.
FileName = Annotated[str, Query(pattern=r"^[^/\\\x00-\x1f\x7f]{1,60}$")]


#: The OpenAPI description of a body that is a file.
FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def received(request: Request, filename: FileName = "upload.jsonl") -> AsyncIterator[Path]:
    """The body's file, in a folder of its own."""
    name = "upload.jsonl" if filename.strip(". ") == "" else filename
    with tempfile.TemporaryDirectory(prefix="graft-upload-") as folder:
        path = Path(folder) / name
        with path.open("wb") as file:
            async for chunk in request.stream():
                file.write(chunk)
        yield path


Received = Annotated[Path, Depends(received)]
