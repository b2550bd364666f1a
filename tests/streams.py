"""Two streams of slow tests: a file stays on one, the longest begin, and chaos has one for itself.

What kills processes and servers waits more than it computes, but two such tests side by side take
each other's processor time just when a lease is to be renewed.
"""

from collections import Counter

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

CHAOS = "tests/chaos/"
#: By processor time, the most first, so that neither stream is left alone in the end.
LONGEST = (
    CHAOS, "tests/journeys/test_demo.py", "tests/journeys/test_browser.py",
    "tests/journeys/test_accessibility.py", "tests/journeys/test_browser_journeys.py",
    "tests/journeys/test_browser_submit.py", "tests/journeys/test_worker.py",
    "tests/journeys/test_browser_jobs.py", "tests/journeys/test_dashboard_alone.py",
)  # fmt: skip


class Streams(LoadScopeScheduling):
    """Hands out whole files, and all chaos tests as one."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        # The collection's order holds: see `longest_first`.
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return CHAOS if nodeid.startswith(CHAOS) else nodeid.partition("::")[0]


def longest_first(items: list[pytest.Item]) -> None:
    """Sort tests by file: those of `LONGEST`, then the files with most tests."""
    tests = Counter(item.path for item in items)

    def place(item: pytest.Item) -> tuple[int, int]:
        found = (at for at, start in enumerate(LONGEST) if item.nodeid.startswith(start))
        return next(found, len(LONGEST)), -tests[item.path]

    items.sort(key=place)
