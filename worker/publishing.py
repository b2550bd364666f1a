"""Turning what a runner made into rows, inside the transaction that ends its job."""

from typing import Any

from sqlmodel import Session

from shared import judges, results
from shared.claims import Claim
from shared.evaluations import read_result
from shared.orders import WorkOrder
from shared.specs import ChatSpec, EvaluationSpec, FusionSpec, JudgeSpec
from shared.storage import store
from shared.tables import Job
from shared.verdicts import read_verdicts


def upload(claim: Claim, order: WorkOrder) -> str:
    """Bring `order.out` to where every host can read it; return its URI. Raises StoreAway.

    Outside any transaction: it may take minutes. Until the row is there nobody looks at it.
    """
    return store().publish(order.out, f"jobs/{claim.job_id}/a{claim.epoch}/out")


def publish(
    session: Session, claim: Claim, order: WorkOrder, uri: str, described: dict[str, Any]
) -> None:
    """Record the adapter or the evaluation in `order.out`, uploaded to `uri`; a chat leaves none.

    `described` is the runner's result event: sha256, bytes and, of an adapter, rank and facts.
    """
    if isinstance(order.spec, ChatSpec):
        return
    job = session.get(Job, claim.job_id)
    user = job.user if job is not None else ""
    if isinstance(order.spec, EvaluationSpec):
        results.record_evaluation(session, claim, order.spec, read_result(order.out), user)
        return
    if isinstance(order.spec, JudgeSpec):
        judges.record(session, order.spec, read_verdicts(order.out))
        return
    if order.base is None:
        raise ValueError("an order that makes an adapter names its base")
    facts = dict(described["facts"])
    if order.dataset is not None:
        facts["dataset"] = order.dataset.name
    method = order.spec.params.method if isinstance(order.spec, FusionSpec) else "train"
    results.record_adapter(
        session,
        claim,
        method=method,
        base_model=order.base.name,
        base_fingerprint=order.base.fingerprint,
        uri=uri,
        sha256=described["sha256"],
        rank=described["rank"],
        bytes=described["bytes"],
        parents=[donor.name for donor in order.adapters],
        facts=facts,
        user=user,
    )
