"""Is there room for another job on this host's disk?"""

import shutil
from typing import Any

from shared.config import settings
from shared.errors import LowDisk
from shared.storage import store


def trouble() -> dict[str, Any] | None:
    """Why this host should take nothing new: an error record, or None while there is room.

    Asked before each claim: a full disk would otherwise fail one job after another.
    """
    if settings().min_free_mb == 0:
        return None
    folder = store().attempts
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free >> 20
    if free >= settings().min_free_mb:
        return None
    wanted = settings().min_free_mb
    return LowDisk(host=settings().host_name, free=free, path=str(folder), wanted=wanted).record()
