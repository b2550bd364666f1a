"""A submitted job: where it stands, its log and numbers, and waiting for what it makes."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from graft.compared import Comparison
from graft.made import Adapter
from shared.api.answers import (
    EventAnswer,
    JobAnswer,
    LogAnswer,
    MetricAnswer,
    WhyAnswer,
)
from shared.errors import JobEnded, StillRunning

if TYPE_CHECKING:
    from graft.client import Client

#: Seconds between two looks at a job: short at first, for short jobs.
_FIRST_LOOK, _LONGEST_LOOK = 0.2, 3.0


class Job:
    """One job of the pool. What is read comes from the last look; `refresh` looks again."""

    def __init__(self, client: "Client", answer: JobAnswer) -> None:
        self._client = client
        self.answer = answer

    id = property(lambda self: self.answer.id, doc="Its id.")
    name = property(lambda self: self.answer.name, doc="The name of what it makes.")
    kind = property(lambda self: self.answer.kind, doc="train, fuse or evaluate.")
    state = property(lambda self: self.answer.state, doc="Where it stood at the last look.")
    spec = property(lambda self: self.answer.spec, doc="What was asked for.")
    url = property(lambda self: self.answer.url, doc="Its page in the dashboard.")

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.kind} {self.name!r} {self.state} {self.url}>"

    def refresh(self) -> "Job":
        """Look at it again."""
        self.answer = self._client.pool.jobs.get(self.id)
        return self

    def wait(
        self,
        timeout: float | None = None,
        progress: Callable[["Job"], Any] | bool = False,
    ) -> "Job":
        """Stay until it has succeeded. `progress` is called at each change, or True prints it.

        `timeout` in seconds. Raises JobEnded where it failed or was cancelled, with the reason;
        StillRunning when the time is up: the job goes on.
        """
        tell = _print if progress is True else progress or None
        until = None if timeout is None else time.monotonic() + timeout
        pause, told = _FIRST_LOOK, None
        while True:
            self.refresh()
            seen = (self.state, self.answer.progress)
            if tell is not None and seen != told:
                tell(self)
                told = seen
            if self.answer.ended:
                return self._ended()
            if until is not None and time.monotonic() >= until:
                raise StillRunning(name=self.name, state=self.state, seconds=timeout, url=self.url)
            left = _LONGEST_LOOK if until is None else max(0.0, until - time.monotonic())
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_LOOK)

    def _ended(self) -> "Job":
        if self.state == "succeeded":
            return self
        fault = self.answer.error
        reason = fault.message if fault else "-"
        code = fault.code if fault else "-"
        raise JobEnded(name=self.name, job=self.id, state=self.state, reason=reason, cause=code)

    @property
    def adapter(self) -> Adapter:
        """The adapter it made. Raises UnknownAdapter while it has not."""
        return self._client.adapter(self.name)

    @property
    def comparison(self) -> Comparison:
        """The comparison it made. Raises UnknownComparison while it has not."""
        return self._client.comparison(self.name)

    def logs(self, *, follow: bool = False) -> Iterator[LogAnswer]:
        """Its log's lines; with `follow` until it has ended."""
        after = 0
        while True:
            page = self._client.pool.jobs.logs(self.id, after=after)
            yield from page.lines
            more, after = page.last > after, page.last
            if page.complete or (not follow and not more):
                return
            if not more:
                time.sleep(_LONGEST_LOOK / 3)

    def metrics(self) -> list[MetricAnswer]:
        """The numbers of every step so far."""
        return list(self._client.pool.jobs.metrics(self.id))

    def stream_metrics(self) -> Iterator[MetricAnswer]:
        """The numbers of every step, as they come, until it has ended."""
        after = -1
        while True:
            ended = self.refresh().answer.ended
            points = self._client.pool.jobs.metrics(self.id, after=after)
            yield from points
            if points:
                after = points[-1].step
            elif ended:
                return
            else:
                time.sleep(_LONGEST_LOOK / 3)

    def events(self) -> list[EventAnswer]:
        """What happened to it, oldest first."""
        return list(self._client.pool.jobs.events(self.id))

    def why(self) -> WhyAnswer:
        """Why it has not started, and when it will."""
        return self._client.pool.jobs.why(self.id)

    def cancel(self) -> "Job":
        """Ask it to end."""
        self.answer = self._client.pool.jobs.cancel(self.id)
        return self

    def retry(self) -> "Job":
        """Submit it again, where it failed or was cancelled; the new job."""
        return Job(self._client, self._client.pool.jobs.retry(self.id))

    def reprioritise(self, priority: int) -> "Job":
        """Move it in the queue: 0 to 9, higher first."""
        self.answer = self._client.pool.jobs.reprioritise(self.id, priority)
        return self


def _print(job: Job) -> None:
    """One line on stderr: what it does, how far it is, and its page."""
    at = job.answer.progress
    share = f" {at.phase} {at.done}/{at.total} {at.unit}" if at and at.total else ""
    sys.stderr.write(f"{job.name}: {job.state}{share}  {job.url}\n")
