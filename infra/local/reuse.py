"""Adapters of an earlier run that the same request would make again."""

from collections.abc import Iterable
from typing import Any

from sqlmodel import Session, select

from infra.local.story import Step
from shared.tables import Adapter, Job, JobState, ModelRef


def made_before(session: Session, steps: Iterable[Step]) -> dict[str, str]:
    """By role, the adapter whose job had the same spec (its name aside) on the same base files.

    Dataset names always mean the same files, so an equal spec means equal data and seed.
    """
    found: dict[str, str] = {}
    for step in steps:
        wanted = _anonymous(step.spec.model_dump(mode="json"))
        earlier = select(Job).where(Job.kind == step.spec.kind, Job.state == JobState.SUCCEEDED)
        for job in session.exec(earlier):
            if _anonymous(job.spec) == wanted and _is_current(session, job.name):
                found[step.role] = job.name
    return found


def _anonymous(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key != "name"}


def _is_current(session: Session, name: str) -> bool:
    """Is the adapter there, and its base still the one it was trained on?"""
    adapter = session.get(Adapter, name)
    if adapter is None:
        return False
    base = session.get(ModelRef, adapter.base_model)
    return base is not None and base.fingerprint == adapter.base_fingerprint
