"""Who runs next, and where: pure functions and classes over plain records, no database.

The claim path loads the records (`shared.pool_state`), the benchmarks make them up.
"""

from shared.scheduling.records import (
    Allowance,
    HostCards,
    Owner,
    Placement,
    Rules,
    Running,
    Shape,
    Waiting,
)
from shared.scheduling.scheduler import Scheduler

__all__ = [
    "Allowance",
    "HostCards",
    "Owner",
    "Placement",
    "Rules",
    "Running",
    "Scheduler",
    "Shape",
    "Waiting",
]
