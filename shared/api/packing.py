"""A folder as a zip file."""

import zipfile
from pathlib import Path


def pack(folder: Path, name: str, target: Path) -> None:
    """Write a folder as a zip that unpacks into one folder of its name."""
    # Weights do not compress; storing them is a hundred times faster.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"{name}/{path.relative_to(folder).as_posix()}")
