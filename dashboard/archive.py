"""A folder of the artifact store as one file to download."""

import io
import zipfile
from pathlib import Path


def zipped(folder: Path, name: str) -> bytes:
    """A folder as a zip that unpacks into one folder of its name."""
    out = io.BytesIO()
    # Weights do not compress; storing them is a hundred times faster.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"{name}/{path.relative_to(folder).as_posix()}")
    return out.getvalue()
