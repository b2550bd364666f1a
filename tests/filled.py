"""A pool that has been used for a while: bases, files, adapters, jobs in every state, scores."""

import random
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, select

import pools
from factors import write_factors
from filled_files import BENCHMARKS, TRAINING, USER, add_files
from notes import add_notes
from shared import db, results
from shared.benchmarks import read_benchmark
from shared.claims import Claim
from shared.clock import db_now
from shared.errors import NoOp, OutOfMemory, both
from shared.evaluations import EvaluationPart, EvaluationResult, ItemRow
from shared.metrics import Shape, aggregate, metrics_of
from shared.specs import BASE_ARM, EvaluationSpec, FusionSpec, TrainingSpec, parse_spec
from shared.storage import seal, size_of, store
from shared.tables import (
    Adapter,
    Attempt,
    Dataset,
    Event,
    Host,
    Job,
    JobState,
    LogLine,
    MetricPoint,
    ModelRef,
    Outcome,
    Share,
)

HOST_BASE, DONOR_BASE = "tiny-llama", "tiny-glm"
COMPARISON = "first-look"
KNOWLEDGE = "notes"
#: Share of right answers of each arm.
SKILL = {BASE_ARM: 0.4, "native": 0.8, "fused": 0.7, "refreshed": 0.45}
ITEMS = 120
ENGINE = {
    "engine": "graft 0.1.0",
    "dtype": "fp32",
    "template": "auto",
    "template_sha256": "0" * 64,
    "max_new_tokens": 64,
}


def fill(folder: Path, *, items: int = ITEMS, arms: tuple[str, ...] = tuple(SKILL)) -> None:
    """Create every table of this process's database and fill them; files go through `folder`."""
    pools.upgrade()
    with db.writing() as session:
        now = session.scalar(select(db_now())) or 0.0
        add_bases(session, now)
        add_files(session, folder, items)
        add_adapters(session, now)
        add_evaluation(session, now, arms)
        add_unfinished(session, now)
        add_hosts(session, now)
        add_notes(session, KNOWLEDGE, USER)


def fingerprint(base: str) -> str:
    """Digits that no other base has from the first on."""
    return base[::-1].encode().hex()


def add_bases(session: Session, now: float) -> None:
    """A host base and a donor base."""
    for name, family, hidden in ((HOST_BASE, "Llama", 64), (DONOR_BASE, "Glm", 48)):
        session.add(
            ModelRef(
                name=name, location=f"/models/{name}", fingerprint=fingerprint(name), layers=4,
                family=family.lower(), architecture=f"{family}ForCausalLM", hidden_size=hidden,
                vocabulary=512, parameters=hidden * 4000, narrowest=hidden, created_at=now - 9000,
            )
        )  # fmt: skip
    session.flush()


def train_spec(name: str, **values: Any) -> TrainingSpec:
    """A training on the host base."""
    return TrainingSpec(
        **{"name": name, "base_model": HOST_BASE, "dataset": TRAINING, "epochs": 1.0} | values
    )


def fuse_spec(name: str, adapters: list[str], host_base: str = "", **params: Any) -> FusionSpec:
    """A fusion by the method in `params`."""
    spec = {"kind": "fuse", "name": name, "adapters": adapters, "host_base": host_base}
    found = parse_spec(spec | {"params": params})
    assert isinstance(found, FusionSpec)
    return found


def add_job(session: Session, spec: Any, now: float, state: JobState, **columns: Any) -> Job:
    """A job in a state, with the event of its submission."""
    ended = state.is_final
    job = Job(
        kind=spec.kind, name=spec.name, spec=spec.model_dump(mode="json"), user=USER, state=state,
        created_at=now, epoch=0 if state == JobState.QUEUED else 1,
        started_at=None if state == JobState.QUEUED else now + 2,
        finished_at=now + 62 if ended else None, **columns,
    )  # fmt: skip
    session.add(job)
    session.flush()
    session.add(Event(at=now, actor=USER, job_id=job.id, kind="submitted"))
    if job.epoch:
        outcome = Outcome(state.value) if ended else None
        done, total = (60, 60) if state == JobState.SUCCEEDED else (30, 100)
        session.add(Event(at=now + 2, actor="host-1", job_id=job.id, kind="claimed"))
        session.add(
            Attempt(
                job_id=job.id, epoch=1, host="host-1", device="cpu", phase="training", done=done,
                total=total, unit="steps", outcome=outcome, error=job.error, started_at=now + 2,
                ended_at=job.finished_at, gpu_seconds=60.0 if ended else 0.0,
            )
        )  # fmt: skip
    session.flush()
    return job


def add_adapters(session: Session, now: float) -> None:
    """A donor, a native one, a fusion and a transfer, each with a sealed folder in the store."""
    recipes: list[tuple[Any, str, str, list[str]]] = [
        (train_spec("donor", base_model=DONOR_BASE), "train", DONOR_BASE, []),
        (train_spec("native"), "train", HOST_BASE, []),
        (train_spec("second"), "train", HOST_BASE, []),
        (
            fuse_spec("fused", ["native", "second"], method="weighted_sum"),
            "weighted_sum", HOST_BASE, ["native", "second"],
        ),
        (
            fuse_spec("refreshed", ["donor"], HOST_BASE, method="refresh", dataset=TRAINING),
            "refresh", HOST_BASE, ["donor"],
        ),
    ]  # fmt: skip
    for place, (spec, method, base, parents) in enumerate(recipes):
        job = add_job(session, spec, now - 5000 + 100 * place, JobState.SUCCEEDED)
        add_curve(session, job.id, job.finished_at or now, steps=60)
        folder = store().attempt_folder(job.id, 1) / "out"
        folder.mkdir(parents=True)
        write_factors(folder, spec.name, parents)
        digest = seal(folder)
        facts: dict[str, Any] = {"steps": 60, "loss": 1.25, "template": "auto"}
        facts |= {"dataset": TRAINING} if method in ("train", "refresh") else {}
        session.add(
            Adapter(
                name=spec.name, job_id=job.id, epoch=1, method=method, base_model=base,
                base_fingerprint=fingerprint(base),
                uri=store().publish(folder, f"jobs/{job.id}/a1/out"), sha256=digest, rank=8,
                bytes=size_of(folder), parents=parents, facts=facts, user=USER,
                created_at=now - 4900 + 100 * place,
            )
        )  # fmt: skip
    session.flush()


def add_curve(session: Session, job_id: str, now: float, *, steps: int) -> None:
    """Metrics and log lines of a training."""
    chance = random.Random(job_id)
    points: list[Any] = []
    lines: list[Any] = []
    for step in range(1, steps + 1):
        loss = 4 / (1 + step / 10) + chance.random() * 0.1
        values = {"loss": loss, "learning_rate": 2e-4 * (1 - step / steps), "tokens_per_s": 900.0}
        row = {"job_id": job_id, "epoch": 1, "at": now - steps + step}
        points.append(row | {"step": step, "values": values})
        lines.append(row | {"text": f"step {step}: loss {loss:.3f}"})
    session.execute(insert(MetricPoint), points)
    session.execute(insert(LogLine), lines)


def add_evaluation(session: Session, now: float, arms: tuple[str, ...]) -> None:
    """The comparison, with scores that follow SKILL and a fixed seed."""
    spec = EvaluationSpec(
        name=COMPARISON, base_model=HOST_BASE, adapters=[arm for arm in arms if arm != BASE_ARM],
        benchmarks=list(BENCHMARKS),
    )  # fmt: skip
    job = add_job(session, spec, now - 1000, JobState.SUCCEEDED)
    parts = [part(session, arm, benchmark) for benchmark in BENCHMARKS for arm in arms]
    record(session, job, spec, parts)


def record(session: Session, job: Job, spec: EvaluationSpec, parts: list[EvaluationPart]) -> None:
    """Store an evaluation's result the way a worker does."""
    claim = Claim(
        job_id=job.id, epoch=1, host="host-1", cards=(0,), kind=job.kind, name=job.name,
        spec=job.spec,
    )  # fmt: skip
    results.record_evaluation(session, claim, spec, EvaluationResult(parts=parts), USER)


def part(session: Session, arm: str, benchmark: str, **engine: Any) -> EvaluationPart:
    """What an arm scored on a registered benchmark."""
    dataset = session.get_one(Dataset, benchmark)
    shape = BENCHMARKS[benchmark]
    chance = random.Random(f"{arm} {benchmark}")
    rows = [
        _row(item, shape, chance, SKILL.get(arm, 0.5))
        for item in read_benchmark(store().open_path(dataset.uri)).items
    ]
    return EvaluationPart(
        arm=arm, benchmark=benchmark, benchmark_sha256=dataset.sha256, shape=shape, items=rows,
        metrics=aggregate(rows, shape), engine=ENGINE | {"seconds": 1.5} | engine,
    )  # fmt: skip


def _row(item: Any, shape: Shape, chance: random.Random, skill: float) -> ItemRow:
    right = chance.random() < skill
    values: dict[str, float]
    if shape == "choice":
        output = item.choices[item.answer if right else 1 - item.answer]
        values = {"accuracy": float(right), "accuracy_bytes": float(right), "margin": skill}
    elif shape == "generate":
        output = item.references[0] if right else "*I* do not know <b>that</b>."
        score = 1.0 if right else chance.random() / 2
        keys = [key for metric in metrics_of("generate") for key in metric.keys]
        values = dict.fromkeys(keys, score) | {"exact_match": float(right), "unfinished": 0.0}
    else:
        output, size = "", len(item.continuation.encode())
        values = {"bits": size * (3 - skill + chance.gauss(0, 0.2)), "bytes": float(size)}
    return ItemRow(
        item_id=item.id, item_hash=item.item_hash, lang=item.lang, values=values, output=output
    )


def add_unfinished(session: Session, now: float) -> None:
    """Jobs that run, wait, failed and were cancelled; one of them a NO-OP."""
    running = add_job(
        session, train_spec("longer"), now - 40, JobState.RUNNING, host="host-1",
        lease_until=now + 60,
    )  # fmt: skip
    add_curve(session, running.id, now, steps=30)
    for place in range(3):
        add_job(session, train_spec(f"waiting-{place}"), now - 30 + place, JobState.QUEUED)
    add_job(session, train_spec("dropped"), now - 700, JobState.CANCELLED)
    spec = fuse_spec("naive-copy", ["donor"], HOST_BASE, method="copy")
    why = both("no module of the donor fits the host base.", "供体没有模块适合宿主底座。")
    add_job(session, spec, now - 900, JobState.FAILED, error=NoOp(why=why).record())
    error = OutOfMemory(detail=both("8 GiB asked", "请求 8 GiB")).record()
    failed = add_job(session, train_spec("too-big"), now - 800, JobState.FAILED, error=error)
    session.add(
        LogLine(
            job_id=failed.id, epoch=1, level="error", text="out of memory", zh="内存不足",
            at=now - 750,
        )
    )  # fmt: skip


def add_hosts(session: Session, now: float) -> None:
    """One host that answers and one that stopped."""
    session.add(Share(project="default", user=USER))
    session.add(
        Host(
            name="host-1", incarnation="1", device="cpu", slots=2, cards=[8000, 8000],
            started_at=now - 7200, heartbeat_at=now - 2,
        )
    )  # fmt: skip
    session.add(
        Host(
            name="host-2", incarnation="2", device="cuda", slots=1, cards=[24000],
            info={"gpus": ["GPU 24 GiB"]}, started_at=now - 90_000, heartbeat_at=now - 4000,
        )
    )  # fmt: skip
