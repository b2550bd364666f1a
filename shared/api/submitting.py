"""Submitting: jobs, grids and studies, once a key; and what a submission would get."""

from dataclasses import asdict
from typing import Any

from shared import db
from shared.api.answers import CardAnswer, JobAnswer, PlanAnswer, WhyAnswer
from shared.api.asked import JobSubmission, StudySubmission, Submission
from shared.api.desk import Desk
from shared.api.told import told_job
from shared.config import settings
from shared.errors import KeyReused
from shared.plans import Plan, plan
from shared.queueing import Request, submit_many
from shared.studies import submit_study
from shared.sweeps import points, submit_sweep
from shared.tables import Job


class Submitting(Desk):
    """What makes jobs."""

    def submit(self, asked: JobSubmission, key: str | None = None) -> list[JobAnswer]:
        """Queue the job, or the grid's jobs. The same key gives the jobs it made before.

        Raises what submitting raises, and KeyReused where the key made something else.
        """
        request = self._request(asked, key)
        spec = asked.spec
        if asked.sweep:
            made = submit_sweep(spec.model_dump(mode="json"), asked.sweep, request)
            return self._told(made, spec.kind, f"{spec.name}-1", key)
        return self._told(submit_many([spec], request), spec.kind, spec.name, key)

    def study(self, asked: StudySubmission, key: str | None = None) -> list[JobAnswer]:
        """Queue a transfer study; its evaluation is the last job. Raises as `submit` does."""
        made = submit_study(asked.spec, self._request(asked, key))
        return self._told(made, "train", f"{asked.spec.name}-native", key)

    def plan(self, asked: JobSubmission) -> list[PlanAnswer]:
        """What each job would get, without queueing anything. Raises what submitting raises."""
        specs = points(asked.spec.model_dump(mode="json"), asked.sweep)
        with db.reading() as session:
            return [self._planned(each) for each in plan(session, specs, self._request(asked))]

    def _planned(self, each: Plan) -> PlanAnswer:
        why = WhyAnswer(
            reason=each.why.reason, facts=each.why.facts, message=each.why.text(self.language),
            place=each.place, starts_in=each.starts_in,
        )  # fmt: skip
        return PlanAnswer(
            kind=each.kind, name=each.name, gpus=each.gpus, vram_mb=each.vram_mb,
            seconds=each.seconds, needs=each.needs, why=why,
            cards=[CardAnswer(**asdict(card)) for card in each.cards],
        )  # fmt: skip

    def _request(self, asked: Submission, key: str | None = None) -> Request:
        given: dict[str, Any] = asked.model_dump(exclude={"spec", "sweep"}, exclude_unset=True)
        given.setdefault("project", settings().project)
        return Request(actor=self.actor, idempotency_key=key, **given)

    def _told(self, made: list[Job], kind: str, name: str, key: str | None) -> list[JobAnswer]:
        first = made[0]
        if key is not None and (first.kind != kind or not first.name.startswith(name)):
            raise KeyReused(key=key, job=first.id, name=first.name)
        return [told_job(self, job) for job in made]
