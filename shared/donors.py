"""The adapters a spec names: there already, or made by a job that has not ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from shared.errors import UnknownAdapter, UnsupportedAdapter, both
from shared.specs import MAKERS
from shared.tables import Adapter, Job
from shared.taken_names import LIVE


@dataclass(frozen=True)
class Donor:
    """An adapter that exists, or that a queued or running job will make."""

    name: str
    base: str
    #: The job that will make it; None when it is there already.
    job: str | None
    #: How it was trained, e.g. lora; what a fusion made is LoRA.
    tuning: str = "lora"


def require_lora(donors: Sequence[Donor]) -> None:
    """Raises UnsupportedAdapter for a donor without factors: fusions are of LoRA updates."""
    kinds = {"prefix": both("a prefix", "前缀"), "full": both("a whole model", "完整模型")}
    for found in donors:
        if (kind := kinds.get(found.tuning)) is not None:
            problem = both(
                f"it is {kind['en']}, and only LoRA adapters are fused; train one with tuning lora",
                f"它是{kind['zh']}，只有 LoRA 适配器可以融合；请用 tuning lora 训练",
            )
            raise UnsupportedAdapter(adapter=found.name, problem=problem)


def donor(session: Session, name: str) -> Donor:
    """The adapter of that name, there or on its way. Raises UnknownAdapter."""
    adapter = session.get(Adapter, name)
    if adapter is not None:
        tuning = str(adapter.facts.get("tuning", "lora"))
        return Donor(name=name, base=adapter.base_model, job=None, tuning=tuning)
    coming = session.exec(
        select(Job).where(
            Job.name == name,
            col(Job.kind).in_(MAKERS),
            col(Job.state).in_(LIVE),
        )
    ).first()
    if coming is not None:
        tuning = str(coming.spec.get("tuning", "lora"))
        return Donor(name=name, base=_base_of(session, coming), job=coming.id, tuning=tuning)
    known = session.exec(select(Adapter.name).order_by(Adapter.name)).all()
    raise UnknownAdapter(name=name, known=", ".join(known) or "-")


def base_of(spec: dict[str, Any]) -> str:
    """The base that a job of this stored spec loads; empty for a fusion within one base."""
    return str(spec.get("base_model") or spec.get("host_base") or "")


def _base_of(session: Session, job: Job) -> str:
    """The base that the adapter of a job which has not ended will belong to."""
    if job.kind == "train":
        return str(job.spec["base_model"])
    return str(job.spec["host_base"]) or donor(session, job.spec["adapters"][0]).base
