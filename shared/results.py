"""Recording what an attempt made, inside the transaction that ends its job, and reading it back."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, SQLModel, col, select

from shared.claims import Claim
from shared.clock import db_now
from shared.columns import short_id
from shared.errors import UnknownAdapter, UnknownComparison
from shared.evaluations import EvaluationResult
from shared.specs import EvaluationSpec
from shared.tables import Adapter, Comparison, Evaluation, ItemResult, Score


def _now(session: Session) -> float:
    return session.scalar(select(db_now())) or 0.0


def record_adapter(session: Session, claim: Claim, **columns: Any) -> None:
    """Add the adapter a train or fuse job made; `columns` are those of `tables.Adapter`."""
    adapter = Adapter(
        name=claim.name,
        job_id=claim.job_id,
        epoch=claim.epoch,
        created_at=_now(session),
        **columns,
    )
    session.add(adapter)
    session.flush()


def record_evaluation(
    session: Session, claim: Claim, spec: EvaluationSpec, result: EvaluationResult, user: str
) -> None:
    """Add an evaluate job's scores and item rows, and the comparison it was submitted as."""
    ids = []
    arms = spec.arms()
    for part in result.parts:
        model = arms.get(part.arm, (part.arm, None))[0]
        evaluation = Evaluation(
            id=short_id(),
            job_id=claim.job_id,
            arm=part.arm,
            adapter=model if model in spec.adapters else None,
            base_model=spec.base_model,
            benchmark=part.benchmark,
            benchmark_sha256=part.benchmark_sha256,
            shape=part.shape,
            items=len(part.items),
            engine=part.engine,
            created_at=_now(session),
        )
        session.add(evaluation)
        session.flush()
        session.add_all(
            Score(evaluation_id=evaluation.id, metric=metric, language=language, value=value)
            for metric, by_language in part.metrics.items()
            for language, value in by_language.items()
        )
        _insert_items(session, evaluation.id, part.items)
        ids.append(evaluation.id)
    session.add(
        Comparison(
            name=claim.name,
            job_id=claim.job_id,
            baseline=spec.baseline,
            evaluations=ids,
            user=user,
            created_at=_now(session),
        )
    )
    session.flush()


def _insert_items(session: Session, evaluation_id: str, items: Iterable[Any]) -> None:
    rows = [
        {
            "evaluation_id": evaluation_id,
            "item_hash": item.item_hash,
            "item_id": item.item_id,
            "language": item.lang,
            "cluster": item.cluster,
            "values": item.values,
            "output": item.output,
            "samples": item.samples,
        }
        for item in items
    ]
    if rows:
        session.connection().execute(insert(SQLModel.metadata.tables["itemresult"]), rows)


def adapters(session: Session, *, base_model: str = "", text: str = "") -> list[Adapter]:
    """Published adapters, newest first."""
    query = select(Adapter).order_by(col(Adapter.created_at).desc())
    if base_model:
        query = query.where(Adapter.base_model == base_model)
    if text:
        query = query.where(col(Adapter.name).contains(text, autoescape=True))
    return list(session.exec(query).all())


def adapter(session: Session, name: str) -> Adapter:
    """The adapter of that name. Raises UnknownAdapter."""
    found = session.get(Adapter, name)
    if found is None:
        known = ", ".join(each.name for each in adapters(session)[:20])
        raise UnknownAdapter(name=name, known=known or "-")
    return found


def lineage(session: Session, name: str) -> list[tuple[str, str]]:
    """Edges (parent, child) above an adapter: bases, datasets and adapters it came from."""
    edges: list[tuple[str, str]] = []
    seen: set[str] = set()
    todo = [name]
    while todo:
        child = todo.pop()
        if child in seen:
            continue
        seen.add(child)
        found = session.get(Adapter, child)
        if found is not None:
            parents = found.parents or []
            edges += [(parent, child) for parent in [found.base_model, *parents]]
            dataset = found.facts.get("dataset")
            edges += [(str(dataset), child)] if dataset else []
            todo += parents
    return edges


def comparisons(session: Session) -> list[Comparison]:
    """Stored comparisons, newest first."""
    return list(session.exec(select(Comparison).order_by(col(Comparison.created_at).desc())).all())


def comparison(session: Session, name: str) -> Comparison:
    """The comparison of that name. Raises UnknownComparison."""
    found = session.get(Comparison, name)
    if found is None:
        known = ", ".join(each.name for each in comparisons(session)[:20])
        raise UnknownComparison(name=name, known=known or "-")
    return found


def evaluations(session: Session, ids: list[str]) -> list[Evaluation]:
    """Evaluations by id, in the order of `ids`."""
    found = session.exec(select(Evaluation).where(col(Evaluation.id).in_(ids))).all()
    by_id = {evaluation.id: evaluation for evaluation in found}
    return [by_id[each] for each in ids if each in by_id]


def items(session: Session, evaluation_id: str) -> list[ItemResult]:
    """What an arm did on each item of its benchmark, by item hash."""
    query = select(ItemResult).where(ItemResult.evaluation_id == evaluation_id)
    return list(session.exec(query.order_by(col(ItemResult.item_hash))).all())
