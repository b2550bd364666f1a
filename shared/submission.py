"""Looking at a spec before it may queue: every name resolved, every knowable mistake refused."""

from dataclasses import dataclass, field

from sqlmodel import Session, col, select

from shared import base_models, datasets
from shared.errors import (
    InvalidSpec,
    NameTaken,
    RankTooLarge,
    UnknownAdapter,
    WrongBase,
    WrongCount,
)
from shared.specs import (
    BASE_ARM,
    TRANSFERS,
    EvaluationSpec,
    FusionSpec,
    Refresh,
    TrainingSpec,
    WeightedSum,
)  # fmt: skip
from shared.tables import Adapter, Comparison, Job, JobState, ModelRef

LIVE = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class Admission:
    """A spec that may queue, and the jobs it has to wait for."""

    needs: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Donor:
    """An adapter that exists, or that a queued or running job will make."""

    name: str
    base: str
    #: The job that will make it; None when it is there already.
    job: str | None


def admit(session: Session, spec: TrainingSpec | FusionSpec | EvaluationSpec) -> Admission:
    """Check a spec against the database.

    Raises the UserError that names what is wrong: an unknown base, dataset or adapter, a taken
    name, a rank above the base's width, an adapter of another base, a wrong number of weights.
    """
    _check_free(session, spec)
    if isinstance(spec, TrainingSpec):
        base = base_models.find(session, spec.base_model)
        datasets.find(session, spec.dataset, "training")
        check_rank(base, spec.rank)
        return Admission()
    if isinstance(spec, FusionSpec):
        return _admit_fusion(session, spec)
    return _admit_evaluation(session, spec)


def check_rank(base: ModelRef, rank: int) -> None:
    """Raises RankTooLarge when a LoRA of this rank is larger than what it adapts."""
    if base.narrowest and rank > base.narrowest:
        raise RankTooLarge(rank=rank, base=base.name, width=base.narrowest)


def _check_free(session: Session, spec: TrainingSpec | FusionSpec | EvaluationSpec) -> None:
    makes = ("evaluate",) if isinstance(spec, EvaluationSpec) else ("train", "fuse")
    table = Comparison if isinstance(spec, EvaluationSpec) else Adapter
    coming = select(Job.id).where(
        Job.name == spec.name,
        col(Job.kind).in_(makes),
        col(Job.state).in_(LIVE),
    )
    if session.get(table, spec.name) is not None or session.exec(coming).first() is not None:
        thing = "comparison" if isinstance(spec, EvaluationSpec) else "adapter"
        raise NameTaken(thing=thing, name=spec.name)
    if spec.name == BASE_ARM:
        raise NameTaken(thing="arm", name=spec.name)


def _admit_fusion(session: Session, spec: FusionSpec) -> Admission:
    donors = [donor(session, name) for name in spec.adapters]
    method = spec.params.method
    if isinstance(spec.params, TRANSFERS):
        if len(donors) != 1:
            raise WrongCount(method=method, wanted="one adapter", given=len(donors))
        if not spec.host_base:
            raise InvalidSpec(field="host_base", problem=f"{method} needs a host base")
        host = base_models.find(session, spec.host_base)
        if isinstance(spec.params, Refresh):
            datasets.find(session, spec.params.dataset, "training")
            check_rank(host, spec.params.rank)
        return _needs(donors)
    if isinstance(spec.params, WeightedSum) and len(spec.params.weights) not in (0, len(donors)):
        raise WrongCount(
            method=method, wanted=f"{len(donors)} weights", given=len(spec.params.weights)
        )
    wanted = spec.host_base or donors[0].base
    _check_base(session, donors, wanted)
    return _needs(donors)


def _admit_evaluation(session: Session, spec: EvaluationSpec) -> Admission:
    base_models.find(session, spec.base_model)
    for name in spec.benchmarks:
        datasets.find(session, name, "benchmark")
    for field_name, names in (("adapters", spec.adapters), ("benchmarks", spec.benchmarks)):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidSpec(field=field_name, problem=f"{', '.join(twice)} is listed twice")
    if spec.baseline not in (BASE_ARM, *spec.adapters):
        problem = f"{spec.baseline} is neither `base` nor one of the adapters"
        raise InvalidSpec(field="baseline", problem=problem)
    donors = [donor(session, name) for name in spec.adapters]
    _check_base(session, donors, spec.base_model)
    return _needs(donors)


def _needs(donors: list[Donor]) -> Admission:
    return Admission(needs={found.job for found in donors if found.job is not None})


def _check_base(session: Session, donors: list[Donor], wanted: str) -> None:
    fingerprint = base_models.find(session, wanted).fingerprint
    for found in donors:
        if base_models.find(session, found.base).fingerprint != fingerprint:
            raise WrongBase(adapter=found.name, trained_on=found.base, wanted=wanted)


def donor(session: Session, name: str) -> Donor:
    """The adapter of that name, there or on its way. Raises UnknownAdapter."""
    adapter = session.get(Adapter, name)
    if adapter is not None:
        return Donor(name=name, base=adapter.base_model, job=None)
    coming = session.exec(
        select(Job).where(
            Job.name == name,
            Job.kind != "evaluate",
            col(Job.state).in_(LIVE),
        )
    ).first()
    if coming is not None:
        return Donor(name=name, base=_base_of(session, coming), job=coming.id)
    known = session.exec(select(Adapter.name).order_by(Adapter.name)).all()
    raise UnknownAdapter(name=name, known=", ".join(known) or "-")


def _base_of(session: Session, job: Job) -> str:
    """The base that the adapter of a job which has not ended will belong to."""
    if job.kind == "train":
        return str(job.spec["base_model"])
    return str(job.spec["host_base"]) or donor(session, job.spec["adapters"][0]).base
