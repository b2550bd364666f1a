"""The artifact store: attempts write in folders of their own; publishing is a manifest and a row.

A folder is complete when its `manifest.json` exists: the manifest is written last, and lists each
file's size and sha256. The store is a local folder (or one that hosts share), or an fsspec URL such
as `s3://bucket/graft`, where the manifest is the last object put: objects appear whole or not at
all, so the same rule holds without renaming.
"""

import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from shared.config import settings
from shared.errors import BadData, StoreAway, both

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


def sync_entries(folder: Path) -> None:
    """Force which names a folder holds to disk, not what is in them: others may remove some."""
    descriptor = os.open(folder, os.O_RDONLY)
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


def damage(folder: Path) -> str:
    """What is wrong with a sealed folder's files by its manifest; empty when they are whole."""
    try:
        for entry in json.loads((folder / MANIFEST).read_text())["files"]:
            if file_sha256(folder / entry["path"]) != entry["sha256"]:
                return f"{folder.name}/{entry['path']}"
    except (OSError, ValueError, KeyError) as wrong:
        return f"{folder.name} ({wrong})"
    return ""


class Store:
    """Where datasets, adapters and attempts live; keys are relative paths made of ids.

    Everything that reaches a remote store raises StoreAway when it does not answer.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self.url = url
        self.local = Path(url.removeprefix("file://")) if _is_local(url) else None
        self.cache = cache
        self.remote: Any = None
        if self.local is None:
            with self._reaching():
                self.remote, self.prefix = fsspec.core.url_to_fs(
                    url,
                    use_listings_cache=False,  # other hosts write too
                )
        else:
            self.local.mkdir(parents=True, exist_ok=True)

    @property
    def attempts(self) -> Path:
        """The folder of all jobs' attempts on this machine."""
        return (self.local if self.local is not None else self.cache) / "jobs"

    def attempt_folder(self, job_id: str, epoch: int) -> Path:
        """The folder only this attempt writes to, on this machine."""
        return self.attempts / job_id / f"a{epoch}"

    def publish(self, folder: Path, key: str) -> str:
        """Make a sealed folder readable under `key`; return its URI. Local folders stay put."""
        if self.local is not None:
            return folder.relative_to(self.local).as_posix()
        manifest = folder / MANIFEST
        files = [path for path in folder.rglob("*") if path.is_file() and path != manifest]
        for path in [*sorted(files), manifest]:
            self._put(path, f"{key}/{path.relative_to(folder).as_posix()}")
        return key

    def put_file(self, path: Path, key: str) -> str:
        """Store one file under `key` (content-addressed, so an existing one is the same)."""
        if self.local is not None:
            target = self.local / key
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                draft = _draft_of(target)
                shutil.copyfile(path, draft)
                draft.rename(target)
            return key
        with self._reaching():
            known = self.remote.exists(f"{self.prefix}/{key}")
        if not known:
            self._put(path, key)
        return key

    def open_path(self, uri: str) -> Path:
        """A local path of a stored file or folder, fetched first where the store is remote.

        Raises StoreAway, and BadData for a path that leads out of the store.
        """
        if self.local is not None:
            return _within(self.local, uri)
        path = _within(self.cache, uri)
        if not path.exists():
            self._fetch(uri, path)
        return path

    def listing(self) -> list[tuple[str, str]]:
        """Every (job, attempt folder's name) in the store."""
        if self.local is not None:
            found = self.attempts.glob("*/*")
            return sorted((path.parent.name, path.name) for path in found if path.is_dir())
        with self._reaching():
            if not self.remote.exists(f"{self.prefix}/jobs"):
                return []
            names = [
                entry.rstrip("/").split("/")[-2:]
                for job in self.remote.ls(f"{self.prefix}/jobs", detail=False)
                for entry in self.remote.ls(job, detail=False)
            ]
        return sorted((job, attempt) for job, attempt in names)

    def remove(self, key: str) -> None:
        """Delete a folder and all in it, the manifest first; nothing happens where it is not."""
        if self.local is not None:
            shutil.rmtree(_within(self.local, key), ignore_errors=True)
            return
        where = f"{self.prefix}/{key}"
        with self._reaching():
            if self.remote.exists(f"{where}/{MANIFEST}"):
                self.remote.rm_file(f"{where}/{MANIFEST}")
            if self.remote.exists(where):
                self.remote.rm(where, recursive=True)

    def _put(self, path: Path, key: str) -> None:
        where = f"{self.prefix}/{key}"
        with self._reaching():
            # Object stores have no folders; shared file systems do.
            self.remote.makedirs(where.rpartition("/")[0], exist_ok=True)
            self.remote.put_file(str(path), where)

    def _fetch(self, uri: str, path: Path) -> None:
        """Bring a file or a folder here; it appears whole, also beside others who fetch it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = _draft_of(path)
        try:
            with self._reaching():
                self.remote.get(f"{self.prefix}/{uri}", str(draft), recursive=True)
            if draft.is_dir() and (wrong := damage(draft)):
                raise StoreAway(
                    url=self.url,
                    problem=both(f"{uri} arrived damaged: {wrong}", f"{uri} 传输后已损坏：{wrong}"),
                )
            try:
                draft.rename(path)
            except OSError:
                # Somebody else's copy came first.
                if not path.exists():
                    raise
        finally:
            _remove(draft)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except _away_errors() as wrong:
            if isinstance(wrong, OSError) and wrong.errno is not None and wrong.filename:
                # This machine's own disk, not the store.
                raise
            raise StoreAway(url=self.url, problem=str(wrong)) from wrong


def _away_errors() -> tuple[type[Exception], ...]:
    """What clients of remote stores raise; botocore's are no OSErrors and need not be installed."""
    botocore = sys.modules.get("botocore.exceptions")
    return (OSError, botocore.BotoCoreError) if botocore is not None else (OSError,)


def _within(root: Path, uri: str) -> Path:
    path = (root / uri).resolve()
    if not path.is_relative_to(root.resolve()):
        raise BadData(
            file=uri, problem=both("the path leads out of the artifact store", "路径越出了制品库")
        )
    return path


def _draft_of(path: Path) -> Path:
    """A name beside a path that no other thread, process or dead process uses."""
    return path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_local(url: str) -> bool:
    return "://" not in url or url.startswith("file://")


def store() -> Store:
    """The store of this process's settings."""
    return Store(settings().store, settings().root / "cache")
