"""From stored evaluations to a ComparisonTable: pairs, intervals, verdicts, what is comparable."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlmodel import Session, col, select

from shared import results
from shared.comparisons.duels import duels
from shared.comparisons.looks import looks
from shared.comparisons.model import Arm, Cell, Column, ComparisonTable, Conflict, NoOpArm
from shared.comparisons.scored import Scored, by_arm, load
from shared.comparisons.study import Study, study_of
from shared.errors import InvalidSpec, NoOp, both
from shared.evaluations import COMPARABLE_FACTS
from shared.metrics import ALL, primary_metric
from shared.specs import BASE_ARM, EvaluationSpec, parse_spec
from shared.statistics import compare, estimate, holm, verdict
from shared.tables import Adapter, Comparison, Evaluation, Job, JobState

#: NO-OP fusions shown at most; the newest ones.
NO_OPS = 10


def build(session: Session, name: str, baseline: str | None = None) -> ComparisonTable:
    """The table of a stored comparison, read against `baseline` (its own one by default).

    Raises UnknownComparison, or InvalidSpec when no arm is called `baseline`.
    """
    stored = results.comparison(session, name)
    scored = load(session, stored)
    names = list(dict.fromkeys(each.evaluation.arm for each in scored))
    against = baseline or stored.baseline
    if against not in names:
        arms = ", ".join(names)
        problem = both(
            f"{against} is none of the arms: {arms}", f"{against} 不在各对比项之中：{arms}"
        )
        raise InvalidSpec(field="baseline", problem=problem)
    names.sort(key=lambda each: each != against)
    columns = _columns(scored)
    conflicts = _conflicts(scored, against)
    cells = _cells(scored, columns, against, conflicts)
    found = [each.evaluation for each in scored]
    base_model = found[0].base_model
    return ComparisonTable(
        name=stored.name,
        job_id=stored.job_id,
        base_model=base_model,
        baseline=against,
        user=stored.user,
        created_at=stored.created_at,
        conflicts=conflicts,
        columns=columns,
        arms=[_arm(session, each, against, found, cells) for each in names],
        no_ops=_no_ops(session, base_model, names),
        study=None if conflicts else _study(session, stored, scored, columns),
        duels=[] if conflicts else [
            duel
            for column in columns
            if column.primary
            for duel in duels(column.benchmark, by_arm(scored, column))
        ],
        looks=looks(session, found),
        engine=next(each.engine for each in found if each.arm == against),
    )  # fmt: skip


def _study(
    session: Session, stored: Comparison, scored: Sequence[Scored], columns: Sequence[Column]
) -> Study | None:
    """The study that the comparison's job asked for; None where it asked for none."""
    job = session.get(Job, stored.job_id) if stored.job_id else None
    # Only a study's spec is parsed: an evaluation of years ago may say what no spec says now.
    spec = parse_spec(job.spec) if job is not None and job.spec.get("native") else None
    if not isinstance(spec, EvaluationSpec):
        return None
    samples = {column.benchmark: by_arm(scored, column) for column in columns if column.primary}
    return study_of(spec, samples, BASE_ARM)


def _columns(scored: Sequence[Scored]) -> list[Column]:
    """One column a benchmark, and one a language where it has several."""
    columns: dict[str, Column] = {}
    for each in scored:
        shape = each.evaluation.shape
        languages = tuple(sorted({item.language for item in each.items}))
        for language in (ALL, *(languages if len(languages) > 1 else ())):
            column = Column(
                benchmark=each.evaluation.benchmark,
                shape=shape,
                metric=primary_metric(shape),
                language=language,
                languages=languages,
            )
            columns.setdefault(column.key, column)
    order = {each.evaluation.benchmark: None for each in scored}
    rank = {benchmark: place for place, benchmark in enumerate(order)}
    return sorted(columns.values(), key=lambda each: (rank[each.benchmark], not each.primary))


def _conflicts(scored: Sequence[Scored], baseline: str) -> list[Conflict]:
    """Every reason why an arm's evaluation cannot be read against the baseline's."""
    references = {e.evaluation.benchmark: e for e in scored if e.evaluation.arm == baseline}
    found: list[Conflict] = []
    for each in scored:
        reference = references.get(each.evaluation.benchmark)
        if reference is None or each is reference:
            continue
        for fact, here, there in _facts(each, reference):
            if here != there:
                found.append(
                    Conflict(
                        benchmark=each.evaluation.benchmark,
                        arm=each.evaluation.arm,
                        fact=fact,
                        here=str(here),
                        baseline=str(there),
                    )
                )
    return found


def _facts(here: Scored, there: Scored) -> list[tuple[str, Any, Any]]:
    """What two evaluations must share, as (name, one's, the other's)."""
    one, other = here.evaluation, there.evaluation
    facts: list[tuple[str, Any, Any]] = [
        ("content", one.benchmark_sha256[:12], other.benchmark_sha256[:12])
    ]
    names = {item.item_hash for item in here.items}
    if facts[0][1] == facts[0][2] and names != {item.item_hash for item in there.items}:
        facts.append(("items", len(here.items), f"{len(there.items)}, others"))
    facts += [(fact, one.engine.get(fact), other.engine.get(fact)) for fact in COMPARABLE_FACTS]
    return facts


def _cells(
    scored: Sequence[Scored],
    columns: Sequence[Column],
    baseline: str,
    conflicts: Sequence[Conflict],
) -> dict[tuple[str, str], Cell]:
    """The cell of each (arm, column key), with differences, adjusted p-values and verdicts."""
    by_place = {(each.evaluation.arm, each.evaluation.benchmark): each for each in scored}
    refused = {(each.arm, each.benchmark) for each in conflicts}
    cells: dict[tuple[str, str], Cell] = {}
    for column in columns:
        reference = by_place.get((baseline, column.benchmark))
        floor = reference.sample(column) if reference is not None else None
        for (arm, benchmark), each in by_place.items():
            if benchmark != column.benchmark:
                continue
            own = each.sample(column)
            alone = arm == baseline or floor is None or (arm, benchmark) in refused
            cells[arm, column.key] = Cell(
                estimate=estimate(own),
                difference=None if alone or floor is None else compare(floor, own),
            )
    for family in ([c for c in columns if c.primary], [c for c in columns if not c.primary]):
        _judge(cells, {column.key: column for column in family})
    return cells


def _judge(cells: dict[tuple[str, str], Cell], family: dict[str, Column]) -> None:
    """Give the differences of one family of columns their adjusted p-values and verdicts."""
    places = [
        place for place, cell in cells.items() if place[1] in family and cell.difference is not None
    ]
    raw = [found.p for place in places if (found := cells[place].difference) is not None]
    for place, adjusted in zip(places, holm(raw), strict=True):
        cell = cells[place]
        if cell.difference is not None:
            word = verdict(cell.difference, family[place[1]].metric, p_adjusted=adjusted)
            cells[place] = replace(cell, p_adjusted=adjusted, verdict=word)


def _arm(
    session: Session,
    name: str,
    baseline: str,
    found: Sequence[Evaluation],
    cells: dict[tuple[str, str], Cell],
) -> Arm:
    adapter = next(each.adapter for each in found if each.arm == name)
    row = session.get(Adapter, adapter) if adapter is not None else None
    return Arm(
        name=name,
        adapter=adapter,
        method=row.method if row is not None else BASE_ARM if adapter is None else "",
        is_baseline=name == baseline,
        cells={key: cell for (arm, key), cell in cells.items() if arm == name},
        evaluations={each.benchmark: each.id for each in found if each.arm == name},
    )


def _no_ops(session: Session, base_model: str, arms: Sequence[str]) -> list[NoOpArm]:
    """Fusions onto this base that were refused as NO-OP and have no successful namesake."""
    failed = session.exec(
        select(Job)
        .where(Job.kind == "fuse", Job.state == JobState.FAILED)
        .order_by(col(Job.created_at).desc())
    )
    found: dict[str, NoOpArm] = {}
    for job in failed:
        refused = (job.error or {}).get("code") == NoOp.code()
        onto = job.spec.get("host_base") == base_model
        if refused and onto and job.name not in arms and len(found) < NO_OPS:
            method = str(job.spec.get("params", {}).get("method", ""))
            found.setdefault(
                job.name,
                NoOpArm(name=job.name, method=method, job_id=job.id, error=job.error or {}),
            )
    return list(found.values())
