"""The database: jobs and their attempts, what they made, and who may run them.

Times are seconds since 1970 by the database's clock. Each state column names its only writer.
"""

import secrets
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Float, ForeignKey, Index, Integer, Text
from sqlmodel import Field, SQLModel


class JobState(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in FINAL_STATES


FINAL_STATES = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: It failed in a way worth another try; the job is queued again.
    RETRY = "retry"
    #: Its host stopped renewing the lease.
    LOST = "lost"
    #: Its host was asked to stop and saved a checkpoint.
    STOPPED = "stopped"


def short_id() -> str:
    """A random id that people can type: 12 hexadecimal digits."""
    return secrets.token_hex(6)


def _json(nullable: bool = False) -> Any:
    return Field(default_factory=dict, sa_column=Column(JSON, nullable=nullable))


def _time(default: float | None = None) -> Any:
    return Field(default=default, sa_type=Float(53))  # type: ignore[call-overload]


class Job(SQLModel, table=True):
    """One submitted request: its spec and where it stands."""

    __table_args__ = (
        Index("job_queue", "state", "priority", "created_at"),
        Index("job_user", "user", "state"),
        Index("job_output", "kind", "name"),
    )

    id: str = Field(default_factory=short_id, primary_key=True)
    kind: str
    #: What it will make: an adapter's name (train, fuse) or a comparison's (evaluate).
    name: str
    spec: dict[str, Any] = _json()
    user: str = ""
    project: str = "default"
    priority: int = 5
    #: `state` and `epoch` change only in shared/leases.py (claim, commit, expire, cancel).
    state: str = JobState.QUEUED
    #: Fencing number: each claim raises it; an attempt with an older one can change nothing.
    epoch: int = 0
    #: Failed attempts that made no progress; at `max_attempts` the job fails.
    failures: int = 0
    max_attempts: int = 3
    not_before: float = _time(0.0)
    lease_until: float | None = _time()
    host: str | None = None
    cancel_requested_at: float | None = _time()
    hinted_at: float = _time(0.0)
    #: Why it failed: an error record, see shared/errors.py.
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    retry_of: str | None = None
    idempotency_key: str | None = Field(default=None, unique=True)
    created_at: float = _time(0.0)
    started_at: float | None = _time()
    finished_at: float | None = _time()


class JobDependency(SQLModel, table=True):
    """`job_id` may start only when `needs_id` has succeeded."""

    job_id: str = Field(foreign_key="job.id", primary_key=True)
    needs_id: str = Field(foreign_key="job.id", primary_key=True, index=True)


class Attempt(SQLModel, table=True):
    """One run of a job on a host. Written only by that attempt's supervisor, and by expire."""

    job_id: str = Field(foreign_key="job.id", primary_key=True)
    epoch: int = Field(primary_key=True)
    host: str = ""
    slot: int = 0
    device: str = ""
    phase: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    outcome: str | None = None
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    started_at: float = _time(0.0)
    ended_at: float | None = _time()
    #: Seconds it held its slot: what accounting adds up.
    slot_seconds: float = 0.0


class Checkpoint(SQLModel, table=True):
    """A complete checkpoint; the row is written after its folder was synced and renamed."""

    job_id: str = Field(foreign_key="job.id", primary_key=True)
    epoch: int = Field(primary_key=True)
    step: int = Field(primary_key=True)
    uri: str = ""
    created_at: float = _time(0.0)


class MetricPoint(SQLModel, table=True):
    """The numbers of one step."""

    __table_args__ = (Index("metric_of_job", "job_id", "step"),)

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    job_id: str = Field(foreign_key="job.id")
    epoch: int
    step: int
    values: dict[str, Any] = _json()
    at: float = _time(0.0)


class LogLine(SQLModel, table=True):
    """One line of a job's log."""

    __table_args__ = (Index("log_of_job", "job_id", "id"),)

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    job_id: str = Field(foreign_key="job.id")
    epoch: int
    level: str = "info"
    text: str = Field(default="", sa_type=Text)
    at: float = _time(0.0)


class Event(SQLModel, table=True):
    """What happened to whom, in order; rows are only ever added."""

    seq: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    at: float = _time(0.0)
    actor: str = ""
    job_id: str | None = Field(default=None, index=True)
    kind: str = ""
    data: dict[str, Any] = _json()


class Host(SQLModel, table=True):
    """A machine that runs jobs; written only by its own worker, except `accepting`."""

    name: str = Field(primary_key=True)
    #: New at each start of the worker, so that two workers of one name are noticed.
    incarnation: str = ""
    device: str = "cpu"
    slots: int = 1
    info: dict[str, Any] = _json()
    #: False while drained: it finishes what it runs and claims nothing new.
    accepting: bool = True
    started_at: float = _time(0.0)
    heartbeat_at: float = _time(0.0)


class ModelRef(SQLModel, table=True):
    """A registered base model."""

    name: str = Field(primary_key=True)
    location: str
    fingerprint: str = ""
    family: str = ""
    architecture: str = ""
    hidden_size: int = 0
    layers: int = 0
    vocabulary: int = 0
    parameters: int = Field(default=0, sa_type=BigInteger)
    #: The smaller side of the narrowest linear module LoRA adapts: no rank above it makes sense.
    narrowest: int = 0
    created_at: float = _time(0.0)


class Dataset(SQLModel, table=True):
    """A registered file of training rows or benchmark items."""

    name: str = Field(primary_key=True)
    #: "training" or "benchmark".
    kind: str
    #: alpaca, or the benchmark's shape: choice, generate, continuation.
    format: str
    uri: str
    sha256: str
    rows: int
    #: Rows of each language, e.g. {"en": 100, "zh": 20}.
    languages: dict[str, Any] = _json()
    bytes: int = Field(default=0, sa_type=BigInteger)
    user: str = ""
    created_at: float = _time(0.0)


class Adapter(SQLModel, table=True):
    """A published adapter, written once, in the transaction that ends its job."""

    name: str = Field(primary_key=True)
    job_id: str | None = Field(default=None, foreign_key="job.id")
    epoch: int = 0
    #: train, or the fusion method that made it.
    method: str
    base_model: str
    base_fingerprint: str
    uri: str
    #: Digest of the folder's manifest.
    sha256: str
    rank: int
    bytes: int = Field(default=0, sa_type=BigInteger)
    #: Names of the adapters it was fused from.
    parents: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    #: What its job measured: template, steps, loss, dropped energy, ...
    facts: dict[str, Any] = _json()
    user: str = ""
    created_at: float = _time(0.0)


class Evaluation(SQLModel, table=True):
    """One arm (the base or an adapter) on one benchmark."""

    id: str = Field(default_factory=short_id, primary_key=True)
    job_id: str = Field(foreign_key="job.id", index=True)
    arm: str
    adapter: str | None = None
    base_model: str
    benchmark: str
    benchmark_sha256: str
    shape: str
    items: int
    #: Engine facts two evaluations must share to be comparable: dtype, template, versions.
    engine: dict[str, Any] = _json()
    created_at: float = _time(0.0)


class Score(SQLModel, table=True):
    """One metric of an evaluation, for one language or `all`."""

    evaluation_id: str = Field(foreign_key="evaluation.id", primary_key=True)
    metric: str = Field(primary_key=True)
    language: str = Field(primary_key=True)
    value: float


class ItemResult(SQLModel, table=True):
    """What an arm did on one item; comparisons pair these rows by `item_hash`."""

    evaluation_id: str = Field(
        sa_column=Column(ForeignKey("evaluation.id"), primary_key=True, nullable=False)
    )
    item_hash: str = Field(primary_key=True)
    item_id: str = ""
    language: str = ""
    cluster: str | None = None
    values: dict[str, Any] = _json()
    output: str = Field(default="", sa_type=Text)


class Comparison(SQLModel, table=True):
    """A named set of evaluations, read against a baseline arm."""

    name: str = Field(primary_key=True)
    job_id: str | None = Field(default=None, foreign_key="job.id")
    baseline: str
    evaluations: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    user: str = ""
    created_at: float = _time(0.0)
