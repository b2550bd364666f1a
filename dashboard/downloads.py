"""A file to download stays on the server until its browser has had the time to fetch it.

Streamlit makes the file when its button is pressed, and forgets it once two runs of any page,
anybody's, have ended since. Where many pages refresh that is sooner than the browser asks for it.
"""

import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import streamlit as st
from streamlit import runtime

#: Seconds for which a file stays at least; it is gone after twice as many, once any page runs.
STAYS = 30.0


class Patient:
    """Calls at most once in `STAYS` seconds what marks a file at one call and drops it at the next.

    `clock` says seconds.
    """

    def __init__(
        self, sweep: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sweep, self._clock = sweep, clock
        self._last = clock()
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            now = self._clock()
            if now - self._last < STAYS:
                return
            self._last = now
        self._sweep()


@asynccontextmanager
async def kept(_: st.App) -> AsyncGenerator[None, None]:
    """While the dashboard runs, its files are swept patiently."""
    files = runtime.get_instance().media_file_mgr
    files.remove_orphaned_files = Patient(files.remove_orphaned_files)
    yield
