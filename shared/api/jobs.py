"""Jobs: found, looked into, cancelled, tried again, moved."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from shared import db
from shared import jobs as service
from shared.api.answers import (
    AttemptAnswer,
    BulkAnswer,
    EventAnswer,
    JobAnswer,
    JobPage,
    LogPage,
    MetricAnswer,
    WhyAnswer,
)
from shared.api.asked import Bulk, parse_cursor
from shared.api.submitting import Submitting
from shared.api.told import told_attempt, told_event, told_job, told_line, told_point
from shared.errors import GraftError
from shared.tables import Attempt, Job, JobState
from shared.why import why as ask_why


class Jobs(Submitting):
    """The jobs of the pool. Each method raises UnknownJob or AmbiguousJob where it names one."""

    def list(
        self,
        *,
        states: Sequence[str] = (),
        kinds: Sequence[str] = (),
        user: str = "",
        text: str = "",
        sweep: str = "",
        cursor: str = "",
        limit: int = 50,
    ) -> JobPage:
        """A page of jobs, newest first."""
        with db.reading() as session:
            found = service.listing(
                session, states=states, kinds=kinds, user=user, text=text, sweep=sweep,
                before=parse_cursor(cursor), limit=limit + 1,
            )  # fmt: skip
            total = service.total(session, states=states, kinds=kinds, user=user, text=text)
            page = found[:limit]
            running = _attempts(session, page)
        last = page[-1] if len(found) > limit else None
        return JobPage(
            jobs=[told_job(self, job, running.get((job.id, job.epoch))) for job in page],
            total=total,
            next=None if last is None else f"{last.created_at!r}-{last.id}",
        )

    def get(self, job: str) -> JobAnswer:
        """The job of that id, beginning of an id, or name."""
        with db.reading() as session:
            found = service.find(session, job)
            return told_job(self, found, session.get(Attempt, (found.id, found.epoch)))

    def cancel(self, job: str) -> JobAnswer:
        """Ask a job to end. Raises NotCancellable, Forbidden."""
        service.cancel(self._id(job), actor=self.actor)
        return self.get(self._id(job))

    def retry(self, job: str) -> JobAnswer:
        """Submit a failed or cancelled job again; the new job. Raises NotRetryable, Forbidden."""
        return told_job(self, service.retry(self._id(job), actor=self.actor))

    def reprioritise(self, job: str, priority: int) -> JobAnswer:
        """Move a queued job. Raises NotQueued, Forbidden."""
        return told_job(self, service.reprioritise(self._id(job), priority, actor=self.actor))

    def bulk(self, asked: Bulk) -> Sequence[BulkAnswer]:
        """The action on each job by itself: one refusal stops none of the others."""
        return [self._one(job, asked) for job in dict.fromkeys(asked.ids)]

    def _one(self, job: str, asked: Bulk) -> BulkAnswer:
        try:
            if asked.action == "cancel":
                done = self.cancel(job)
            elif asked.action == "retry":
                done = self.retry(job)
            else:
                done = self.reprioritise(job, asked.priority)
        except GraftError as error:
            return BulkAnswer(id=job, job=None, error=self.fault(error))
        return BulkAnswer(id=job, job=done, error=None)

    def logs(self, job: str, *, after: int = 0, limit: int = 1000) -> LogPage:
        """Log lines whose id is above `after`."""
        with db.reading() as session:
            # The state is read before the lines: after a final one no line can be missed.
            found = service.find(session, job)
            lines = service.log_lines(session, found.id, after=after, limit=limit)
        last = lines[-1].id if lines else after
        ended = JobState(found.state).is_final and len(lines) < limit
        told = [told_line(self, line) for line in lines]
        return LogPage(lines=told, last=last or after, complete=ended)

    def metrics(self, job: str, *, after: int = -1) -> Sequence[MetricAnswer]:
        """The numbers of every step above `after`."""
        with db.reading() as session:
            found = service.find(session, job)
            return [told_point(each) for each in service.metrics(session, found.id, after=after)]

    def events(self, job: str) -> Sequence[EventAnswer]:
        """What happened to it, oldest first."""
        with db.reading() as session:
            found = service.find(session, job)
            return [told_event(each) for each in service.history(session, found.id)]

    def attempts(self, job: str) -> Sequence[AttemptAnswer]:
        """Its runs, oldest first."""
        with db.reading() as session:
            found = service.find(session, job)
            return [told_attempt(each) for each in service.attempts(session, found.id)]

    def why(self, job: str) -> WhyAnswer:
        """Why it has not started, and when it will."""
        with db.reading() as session:
            answer = ask_why(session, service.find(session, job))
        return WhyAnswer(
            reason=answer.reason, facts=answer.facts, message=answer.text(self.language),
            place=answer.place, starts_in=answer.starts_in,
        )  # fmt: skip

    def _id(self, job: str) -> str:
        with db.reading() as session:
            return service.find(session, job).id


def _attempts(session: Session, page: Sequence[Job]) -> dict[tuple[str, int], Attempt]:
    """The attempts that run the page's jobs now."""
    ids = [job.id for job in page if job.state == JobState.RUNNING]
    if not ids:
        return {}
    found = session.exec(select(Attempt).where(col(Attempt.job_id).in_(ids))).all()
    return {(each.job_id, each.epoch): each for each in found}
