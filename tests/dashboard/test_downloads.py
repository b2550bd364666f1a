"""A file is on the server until its browser has had the time to fetch it, whoever's pages run."""

import asyncio
from types import SimpleNamespace

import pytest
from streamlit import runtime
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from dashboard import downloads, serve


def test_the_ends_of_other_pages_runs_leave_a_new_file(monkeypatch: pytest.MonkeyPatch) -> None:
    files = MediaFileManager(MemoryMediaFileStorage("/media"))
    monkeypatch.setattr(runtime, "get_instance", lambda: SimpleNamespace(media_file_mgr=files))

    async def press() -> None:
        async with downloads.kept(serve.app):
            button = files.add_deferred(lambda: b"rows", "text/csv", "1.0", "rows.csv")
            made = files.execute_deferred(button).removeprefix("/media/")
            for _ in range(10):
                files.remove_orphaned_files()
            found = files.read_file(made)
            assert found is not None
            assert found.content == b"rows"

    asyncio.run(press())


def test_files_are_swept_once_they_had_their_time() -> None:
    swept: list[None] = []
    clock = iter([0.0, 1.0, downloads.STAYS, downloads.STAYS + 1, 2 * downloads.STAYS])
    sweep = downloads.Patient(lambda: swept.append(None), lambda: next(clock))
    counts = []
    for _ in range(4):
        sweep()
        counts.append(len(swept))
    assert counts == [0, 1, 1, 2]
