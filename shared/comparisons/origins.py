"""What the arms were made of: the settings that differ, and the graph of where they came from."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, func, select

from shared import results
from shared.comparisons.model import ComparisonTable
from shared.errors import GraftError
from shared.specs import parse_spec
from shared.tables import Adapter, Attempt, Job

#: Every arm has its own; they explain nothing.
_NAMES = ("name", "key")


def differing(session: Session, table: ComparisonTable) -> tuple[list[str], list[list[str]]]:
    """The settings in which the arms differ: arms, and rows of (setting, value of each arm).

    A setting that only some arms have is listed where one of them changed its default.
    """
    found = {
        arm.name: _settings(session, arm.adapter)
        for arm in table.arms
        if arm.adapter is not None
    }  # fmt: skip
    found = {arm: settings for arm, settings in found.items() if settings}
    names = dict.fromkeys(name for settings in found.values() for name in settings)
    rows = []
    for name in names:
        values = [found[arm].get(name) for arm in found]
        held = [each for each in values if each is not None]
        differs = len({value for value, _ in held}) > 1
        partly = len(held) < len(values) and any(changed for _, changed in held)
        if differs or partly:
            rows.append([name, *("–" if each is None else each[0] for each in values)])
    return list(found), rows


def _settings(session: Session, adapter: str) -> dict[str, tuple[str, bool]]:
    """By setting its value and whether it is not the default."""
    row = session.get(Adapter, adapter)
    job = session.get(Job, row.job_id) if row is not None and row.job_id else None
    if job is None:
        return {}
    flat, own = _flat(job.spec), _flat(_chosen(job.spec))
    return {
        name: (value, name in own) for name, value in flat.items() if name not in _NAMES and value
    }


def _chosen(spec: dict[str, Any]) -> dict[str, Any]:
    """What is no default; all of a spec that this version cannot read."""
    try:
        return parse_spec(spec).model_dump(mode="json", exclude_defaults=True)
    except GraftError:
        return spec


def _flat(spec: dict[str, Any]) -> dict[str, str]:
    """A spec with its parameters beside the rest, as texts."""
    out: dict[str, str] = {}
    for name, value in spec.items():
        if isinstance(value, dict):
            out |= _flat(value)
        else:
            out[name] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return out


@dataclass(frozen=True)
class Making:
    """What it took to make an arm's adapter."""

    arm: str
    #: GPU-seconds of its own job, attempts that came to nothing included.
    seconds: float
    #: The same with the jobs of every adapter it came from, each counted once.
    whole: float
    bytes: int


def makings(session: Session, table: ComparisonTable) -> list[Making]:
    """What each adapter among the arms cost; those that no job of this pool made are left out."""
    found = []
    for arm in table.arms:
        own = session.get(Adapter, arm.adapter) if arm.adapter is not None else None
        if own is None or own.job_id is None:
            continue
        names = {node for edge in ancestry(session, [own.name]) for node in edge} | {own.name}
        made = made_by(session, sorted(names)).values()
        jobs = {row.job_id for row in made if row.job_id is not None}
        found.append(
            Making(arm.name, _spent(session, {own.job_id}), _spent(session, jobs), own.bytes)
        )
    return found


def _spent(session: Session, jobs: Collection[str]) -> float:
    total = select(func.sum(Attempt.gpu_seconds)).where(col(Attempt.job_id).in_(jobs))
    return float(session.exec(total).one() or 0.0)


def ancestry(session: Session, adapters: Sequence[str]) -> list[tuple[str, str]]:
    """Edges (parent, child) above all of these adapters, each once."""
    edges = [edge for name in adapters for edge in results.lineage(session, name)]
    return list(dict.fromkeys(edges))


def made_by(session: Session, names: Sequence[str]) -> dict[str, Adapter]:
    """The adapters among these names."""
    found = {name: session.get(Adapter, name) for name in names}
    return {name: row for name, row in found.items() if row is not None}
