"""Turning a claim into a WorkOrder: every name looked up, every file brought to this machine."""

import logging
from collections.abc import Callable
from pathlib import Path

from sqlmodel import Session, col, func, select

from shared import base_models, datasets, judges, knowledge, results
from shared.claims import Claim
from shared.formats.mixing import parse_parts
from shared.orders import AdapterFiles, BaseFiles, DataFile, WorkOrder
from shared.specs import (
    ChatSpec,
    EvaluationSpec,
    FusionSpec,
    JudgeSpec,
    Texts,
    TrainingSpec,
    parse_spec,
)
from shared.specs.fusion.learned import FromExamples
from shared.storage import Store, damage
from shared.tables import Adapter, Attempt, Checkpoint, Dataset

logger = logging.getLogger(__name__)


def order_for(
    session: Session,
    claim: Claim,
    store: Store,
    device: str,
    tell: Callable[[str], None] = logger.warning,
) -> WorkOrder:
    """The order of one attempt; `tell` hears of checkpoints that had to be passed over.

    Raises the UserError of whatever the spec names and is gone since it was submitted.
    """
    spec = parse_spec(claim.spec)
    order = WorkOrder(
        job_id=claim.job_id,
        epoch=claim.epoch,
        host=claim.host,
        spec=spec,
        folder=store.attempt_folder(claim.job_id, claim.epoch),
        resume_from=_newest_checkpoint(session, claim.job_id, store, tell),
        device=device,
        cards=max(1, len(claim.cards)),
        halvings=_out_of_memory_before(session, claim.job_id),
    )
    if isinstance(spec, TrainingSpec):
        order.base = _base(session, spec.base_model)
        order.dataset, *order.more_datasets = [
            _file(store, datasets.find(session, part.name, "training"), part.weight)
            for part in parse_parts(spec.dataset, "dataset")
        ]
    elif isinstance(spec, EvaluationSpec):
        order.base = _base(session, spec.base_model)
        order.adapters = [
            _adapter(session, store, name)
            for name in spec.adapters
            if spec.missing == "fail" or session.get(Adapter, name) is not None
        ]
        found = [datasets.find(session, name, "benchmark") for name in spec.benchmarks]
        order.benchmarks = [_file(store, each) for each in found]
        if spec.knowledge:
            order.knowledge = knowledge.freeze(session, spec.knowledge, store)
    elif isinstance(spec, ChatSpec):
        order.base = _base(session, spec.base_model)
        order.adapters = [_adapter(session, store, name) for name in spec.adapters]
        if spec.knowledge:
            order.knowledge = knowledge.freeze(session, spec.knowledge, store)
    elif isinstance(spec, JudgeSpec):
        order.base = _base(session, spec.base_model)
        order.dataset = judges.freeze(session, spec, store)
    else:
        order.adapters = [_adapter(session, store, name) for name in spec.adapters]
        order.base = _fusion_base(session, spec, order.adapters)
        if isinstance(spec.params, Texts):
            prompts = datasets.find(session, spec.params.dataset, "training")
            order.dataset = _file(store, prompts)
    if isinstance(spec, FusionSpec) and isinstance(spec.params, FromExamples):
        order.dataset = _file(store, datasets.find(session, spec.params.dataset, "training"))
    return order


def _fusion_base(session: Session, spec: FusionSpec, donors: list[AdapterFiles]) -> BaseFiles:
    """The base the fused adapter will belong to: the host base, or the donors' own."""
    return _base(session, spec.host_base) if spec.host_base else donors[0].base


def _base(session: Session, name: str) -> BaseFiles:
    model = base_models.find(session, name)
    return BaseFiles(name=name, location=model.location, fingerprint=model.fingerprint)


def _adapter(session: Session, store: Store, name: str) -> AdapterFiles:
    adapter = results.adapter(session, name)
    return AdapterFiles(
        name=name,
        folder=store.open_path(adapter.uri),
        base=_base(session, adapter.base_model),
        facts=adapter.facts,
    )


def _file(store: Store, dataset: Dataset, weight: float | None = None) -> DataFile:
    return DataFile(
        name=dataset.name, path=store.open_path(dataset.uri), sha256=dataset.sha256,
        format=dataset.format if dataset.kind == "training" else "", weight=weight,
    )  # fmt: skip


def _newest_checkpoint(
    session: Session, job_id: str, store: Store, tell: Callable[[str], None]
) -> Path | None:
    """Where to go on: the furthest checkpoint whose files are there and whole.

    One that was noted, so that no step between is missing from the curves; else, where a runner
    outlived its worker for long, what it saved later.
    """
    saved = session.exec(
        select(Checkpoint)
        .where(Checkpoint.job_id == job_id)
        .order_by(col(Checkpoint.epoch).desc(), col(Checkpoint.step).desc())
    ).all()
    for checkpoint in saved:
        try:
            folder = store.open_path(checkpoint.uri)
        except FileNotFoundError:
            continue
        # Only the newest few are kept; rows of the others outlive their files.
        if not folder.is_dir():
            continue
        if not (wrong := damage(folder)):
            return folder
        tell(
            f"the checkpoint of step {checkpoint.step} is damaged, an earlier one is used: {wrong}"
        )
    later = _unnoted(store, saved[0].uri) if saved else []
    return next((folder for folder in later if not damage(folder)), None)


def _unnoted(store: Store, uri: str) -> list[Path]:
    """Later checkpoints beside the last one that was noted, the furthest first."""
    if store.local is None:
        return []
    noted = store.local / uri
    kind, _, done = noted.name.rpartition("-")
    found = {path.name.rpartition("-")[2]: path for path in noted.parent.glob(f"{kind}-*")}
    later = [number for number in found if number.isdigit() and int(number) > int(done)]
    return [found[number] for number in sorted(later, key=int, reverse=True)]


def _out_of_memory_before(session: Session, job_id: str) -> int:
    ended = select(Attempt.error).where(
        Attempt.job_id == job_id, func.coalesce(Attempt.outcome, "") != ""
    )
    errors = session.exec(ended).all()
    return sum(1 for error in errors if error and error.get("code") == "out-of-memory")
