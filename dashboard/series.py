"""The numbers of a job over its steps: read once, then only what is new, shared by all viewers."""

from array import array
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import streamlit as st
from sqlmodel import Session, col, select

from shared.tables import MetricPoint

#: A curve has at most about so many points in the browser: about one a pixel of its chart.
MOST = 600
#: How much of the smoothed line each new value is.
_NEW = 0.1
#: Steps whose pace tells how long the rest takes.
_PACE = 50

Line = list[tuple[float, float]]
#: A step, when it was, its numbers.
Point = tuple[int, float, dict[str, object]]


@dataclass
class Curve:
    """One metric: its steps, its values, and their moving average corrected for its start."""

    steps: "array[float]" = field(default_factory=lambda: array("d"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    smooth: "array[float]" = field(default_factory=lambda: array("d"))
    _mean: float = 0.0
    _weight: float = 0.0

    def add(self, step: float, value: float) -> None:
        """The next value."""
        self._mean = (1 - _NEW) * self._mean + _NEW * value
        self._weight = (1 - _NEW) * self._weight + _NEW
        self.steps.append(step)
        self.values.append(value)
        self.smooth.append(self._mean / self._weight)

    def line(self, *, smooth: bool = False, most: int = MOST) -> Line:
        """The points to draw, the extremes of every stretch among them."""
        return thin(self.steps, self.smooth if smooth else self.values, most)


class Course:
    """All curves of one job."""

    def __init__(self) -> None:
        self.curves: dict[str, Curve] = {}
        self.epoch = -1
        self._last = -1
        self._recent: list[tuple[float, float]] = []
        self._lock = Lock()

    def look(self, session: Session, job_id: str, epoch: int) -> "Course":
        """Read what was added since the last look; everything again after a new attempt."""
        with self._lock:
            if epoch != self.epoch:
                self.curves, self.epoch, self._last, self._recent = {}, epoch, -1, []
            for step, at, values in _points(session, job_id, self._last):
                self._add(step, at, values)
        return self

    def _add(self, step: int, at: float, values: dict[str, object]) -> None:
        self._last = step
        self._recent = [*self._recent, (float(step), at)][-_PACE:]
        for name, value in values.items():
            if isinstance(value, int | float) and np.isfinite(value):
                self.curves.setdefault(name, Curve()).add(step, float(value))

    def seconds_left(self, done: int, total: int) -> float | None:
        """By the pace of the last 50 steps, held-out looks among them; None before there are five.

        `done` and `total` are steps.
        """
        recent = self._recent
        if len(recent) < 5 or recent[-1][0] <= recent[0][0] or not total:
            return None
        pace = (recent[-1][1] - recent[0][1]) / (recent[-1][0] - recent[0][0])
        return max(0.0, pace * (total - done))


@st.cache_resource(ttl=900, max_entries=16, show_spinner=False)
def course(database: str, job_id: str) -> Course:
    """The curves of a job, one object for all who look at it."""
    return Course()


def _points(
    session: Session, job_id: str, after: int
) -> list[tuple[int, float, dict[str, object]]]:
    """Points by step above `after`; where two attempts did the same step, the later one's."""
    columns = (col(MetricPoint.step), col(MetricPoint.at), col(MetricPoint.values))
    query = select(*columns).where(MetricPoint.job_id == job_id, col(MetricPoint.step) > after)
    rows = session.exec(query.order_by(col(MetricPoint.epoch), col(MetricPoint.id))).all()
    last = {step: (step, at, values) for step, at, values in rows}
    return [last[step] for step in sorted(last)]


def thin(steps: "array[float]", values: "array[float]", most: int = MOST) -> Line:
    """At most about `most` points: the smallest and the largest of each stretch, and the last."""
    x, y = np.frombuffer(steps), np.frombuffer(values)
    if len(x) > most:
        width = -(-2 * len(x) // most)
        whole = len(x) // width * width
        starts = np.arange(0, whole, width)
        stretches = y[:whole].reshape(-1, width)
        ends = np.stack([stretches.argmin(axis=1) + starts, stretches.argmax(axis=1) + starts])
        kept = np.unique(np.concatenate([ends.ravel(), np.arange(whole, len(x)), [len(x) - 1]]))
        x, y = x[kept], y[kept]
    return list(zip(x.tolist(), np.round(y, 6).tolist(), strict=True))
