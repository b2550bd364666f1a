"""Checkpoint folders of every engine: whole or not there, the newest few kept."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.storage import seal, sync_entries

_DRAFT = ".tmp-"


@contextmanager
def kept(folder: Path, kind: str, step: int, *, most: int) -> Iterator[Path]:
    """A draft folder that becomes `folder/KIND-STEP` when the block ends; yields the draft.

    It is sealed and synced before it gets its name; one of the same name makes way. Of its kind
    the newest `most` stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = checkpoint_path(folder, kind, step)
    draft = folder / (_DRAFT + target.name)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    yield draft
    seal(draft)
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
    sync_entries(folder)
    for old in sorted(folder.glob(f"{kind}-*"))[:-most]:
        shutil.rmtree(old, ignore_errors=True)  # its worker may be at it too


def checkpoint_path(folder: Path, kind: str, step: int) -> Path:
    """Where `kept` puts the checkpoint of that step; names sort as steps do."""
    return folder / f"{kind}-{step:08d}"
