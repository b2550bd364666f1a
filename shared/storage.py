"""The artifact store: attempts write in folders of their own; publishing is a manifest and a row.

A folder is complete when its `manifest.json` exists: the manifest is written last, and lists each
file's size and sha256. The store is a local folder (or one that hosts share), or an fsspec URL.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import fsspec

from shared.config import settings
from shared.errors import BadData

MANIFEST = "manifest.json"


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Force a folder's files and its entries to disk, so that a crash cannot take them back."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def seal(folder: Path) -> str:
    """Write and sync the manifest of a finished folder; return the manifest's sha256."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    listed = [
        {
            "path": path.relative_to(folder).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": file_sha256(path),
        }
        for path in files
    ]
    draft = folder / (MANIFEST + ".tmp")
    draft.write_text(json.dumps({"files": listed}, indent=1))
    sync_folder(folder)
    draft.rename(folder / MANIFEST)
    sync_folder(folder)
    return file_sha256(folder / MANIFEST)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Store:
    """Where datasets, adapters and attempts live; keys are relative paths made of ids."""

    def __init__(self, url: str, cache: Path) -> None:
        self.url = url
        self.local = Path(url.removeprefix("file://")) if _is_local(url) else None
        self.cache = cache
        self.remote: Any = None
        if self.local is None:
            self.remote, self.prefix = fsspec.core.url_to_fs(url)
        else:
            self.local.mkdir(parents=True, exist_ok=True)

    def attempt_folder(self, job_id: str, epoch: int) -> Path:
        """The folder only this attempt writes to, on this machine."""
        root = self.local if self.local is not None else self.cache
        return root / "jobs" / job_id / f"a{epoch}"

    def publish(self, folder: Path, key: str) -> str:
        """Make a sealed folder readable under `key`; return its URI. Local folders stay put."""
        if self.local is not None:
            return folder.relative_to(self.local).as_posix()
        self.remote.put(f"{folder}/", f"{self.prefix}/{key}/", recursive=True)
        return key

    def put_file(self, path: Path, key: str) -> str:
        """Store one file under `key` (content-addressed, so an existing one is the same)."""
        if self.local is not None:
            target = self.local / key
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                draft = target.with_name(f"{target.name}.{os.getpid()}.tmp")
                shutil.copyfile(path, draft)
                draft.rename(target)
        elif not self.remote.exists(f"{self.prefix}/{key}"):
            self.remote.put_file(str(path), f"{self.prefix}/{key}")
        return key

    def open_path(self, uri: str) -> Path:
        """A local path of a stored file or folder, fetched first where the store is remote."""
        if self.local is not None:
            path = (self.local / uri).resolve()
            if not path.is_relative_to(self.local.resolve()):
                raise BadData(file=uri, problem="the path leads out of the artifact store")
            return path
        path = self.cache / uri
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
            self.remote.get(f"{self.prefix}/{uri}", str(draft), recursive=True)
            draft.rename(path)
        return path


def _is_local(url: str) -> bool:
    return "://" not in url or url.startswith("file://")


def store() -> Store:
    """The store of this process's settings."""
    return Store(settings().store, settings().root / "cache")
