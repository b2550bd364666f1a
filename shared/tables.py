"""The database: jobs and their attempts, what they made, and who may run them.

Times are seconds since 1970 by the database's clock. Each state column names its only writer.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, Text, text
from sqlmodel import Field, SQLModel

from shared.cards import AdapterCard as AdapterCard
from shared.chat_tables import ChatTurn as ChatTurn
from shared.chat_tables import ChatVote as ChatVote
from shared.columns import json_column, partial_index, short_id, time_column
from shared.errors import Language
from shared.kept import SavedSpec as SavedSpec
from shared.machines import Host as Host
from shared.owners import Limit as Limit
from shared.owners import Share as Share
from shared.people.tables import Account as Account
from shared.people.tables import SignInFailure as SignInFailure
from shared.people.tables import Token as Token
from shared.samples import KnowledgeBase as KnowledgeBase
from shared.samples import KnowledgeRevision as KnowledgeRevision
from shared.samples import Proposal as Proposal
from shared.samples import SampleVersion as SampleVersion
from shared.scores import Comparison as Comparison
from shared.scores import Evaluation as Evaluation
from shared.scores import ItemResult as ItemResult
from shared.scores import Score as Score
from shared.scores import Vote as Vote
from shared.seals import EventSeal as EventSeal
from shared.views import SavedView as SavedView


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
    #: It gave way to a job that goes first, and saved a checkpoint.
    PREEMPTED = "preempted"


class Job(SQLModel, table=True):
    """One submitted request: its spec and where it stands."""

    __table_args__ = (
        # Partial, so that what has ended never slows down the claim.
        partial_index(
            "job_queue", "project", "user", text("priority desc"), "created_at", "id",
            where="state = 'queued'",
        ),
        # Without `lease_until`, so that a renewal touches no index.
        partial_index("job_running", "host", where="state = 'running'"),
        # Partial, so that jobs which queue and start do not touch it.
        partial_index("job_took", "kind", "base", "finished_at", where="state = 'succeeded'"),
        # Most jobs have neither.
        partial_index("job_sweep", "sweep", where="sweep IS NOT NULL"),
        partial_index("job_key", "idempotency_key", where="idempotency_key IS NOT NULL",
                      unique=True),
        # The list of jobs goes on from the last one of a page, without counting what lies before.
        Index("job_newest", "created_at", "id"),
        # With the kind, so that the counts beside the filters are read from it alone.
        Index("job_user", "user", "state", "kind"),
        # By the name first: where a plan may use the kind alone, one made for a few jobs does.
        Index("job_name", "name", "kind"),
        # A host renews all its leases at once: their new rows fit on the pages of the old ones.
        {"postgresql_with": {"fillfactor": 50}},
    )  # fmt: skip

    id: str = Field(default_factory=short_id, primary_key=True)
    kind: str
    #: What it will make: an adapter's name (train, fuse) or a comparison's (evaluate).
    name: str
    spec: dict[str, Any] = json_column()
    user: str = ""
    project: str = "default"
    priority: int = 5
    #: What it asks of a host: see `shared.scheduling.Shape`. 0 MiB asks for whole cards.
    gpus: int = 1
    vram_mb: int = 0
    labels: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    #: It soaks up idle cards and gives way to everybody else.
    preemptible: bool = False
    #: The base it works on, for hosts that have it at hand.
    base: str = ""
    #: Its time limit, 0 for none, and how long such jobs took before, 0 for unknown.
    limit_seconds: float = time_column(0.0)
    expected_seconds: float = time_column(0.0)
    #: Jobs that were submitted as one grid share this id.
    sweep: str | None = None
    #: `state` and `epoch` change only in shared/leases.py (claim, commit, expire, cancel).
    state: str = JobState.QUEUED
    #: Fencing number: each claim raises it; an attempt with an older one can change nothing.
    epoch: int = 0
    #: Failed attempts that made no progress; at `max_attempts` the job fails.
    failures: int = 0
    max_attempts: int = 3
    not_before: float = time_column(0.0)
    lease_until: float | None = time_column()
    host: str | None = None
    cancel_requested_at: float | None = time_column()
    preempt_requested_at: float | None = time_column()
    hinted_at: float = time_column(0.0)
    #: Why it failed: an error record, see shared/errors.
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    retry_of: str | None = None
    idempotency_key: str | None = None
    created_at: float = time_column(0.0)
    started_at: float | None = time_column()
    finished_at: float | None = time_column()


class JobDependency(SQLModel, table=True):
    """`job_id` may start only when `needs_id` has succeeded."""

    job_id: str = Field(foreign_key="job.id", primary_key=True)
    needs_id: str = Field(foreign_key="job.id", primary_key=True, index=True)


class Attempt(SQLModel, table=True):
    """One run of a job on a host. Written only by that attempt's supervisor, and by expire."""

    job_id: str = Field(foreign_key="job.id", primary_key=True)
    epoch: int = Field(primary_key=True)
    host: str = ""
    #: Which cards of the host; on a host without GPUs, which slot.
    cards: list[int] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    #: Cards it is charged for: less than one where it shares a card by memory.
    share: float = time_column(1.0)
    device: str = ""
    phase: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    outcome: str | None = None
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    started_at: float = time_column(0.0)
    ended_at: float | None = time_column()
    #: Share times the seconds it held it: what accounting adds up.
    gpu_seconds: float = time_column(0.0)
    #: How many bytes of what its runner said are in the rows, by file (worker/traces.py).
    taken: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))


class Checkpoint(SQLModel, table=True):
    """A complete checkpoint; the row is written after its folder was synced and renamed."""

    job_id: str = Field(foreign_key="job.id", primary_key=True)
    epoch: int = Field(primary_key=True)
    step: int = Field(primary_key=True)
    uri: str = ""
    created_at: float = time_column(0.0)


class MetricPoint(SQLModel, table=True):
    """The numbers of one step."""

    __table_args__ = (Index("metric_of_job", "job_id", "step"),)

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    job_id: str = Field(foreign_key="job.id")
    epoch: int
    step: int
    values: dict[str, Any] = json_column()
    at: float = time_column(0.0)


class LogLine(SQLModel, table=True):
    """One line of a job's log; `zh` where it has Chinese words of its own."""

    __table_args__ = (Index("log_of_job", "job_id", "id"),)

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    job_id: str = Field(foreign_key="job.id")
    epoch: int
    level: str = "info"
    text: str = Field(default="", sa_type=Text)
    zh: str | None = Field(default=None, sa_type=Text)
    at: float = time_column(0.0)

    def said(self, language: Language) -> str:
        """The line in the reader's language."""
        return self.zh if language == "zh" and self.zh is not None else self.text


class Event(SQLModel, table=True):
    """What happened to whom, in order; rows are only ever added."""

    seq: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    at: float = time_column(0.0)
    actor: str = ""
    job_id: str | None = Field(default=None, index=True)
    kind: str = ""
    data: dict[str, Any] = json_column()


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
    created_at: float = time_column(0.0)


class Dataset(SQLModel, table=True):
    """A registered file of training rows or benchmark items."""

    name: str = Field(primary_key=True)
    #: "training" or "benchmark".
    kind: str
    #: alpaca, sharegpt, … or the benchmark's shape: choice, generate, continuation.
    format: str
    uri: str
    sha256: str
    rows: int
    #: Rows of each language, e.g. {"en": 100, "zh": 20}.
    languages: dict[str, Any] = json_column()
    #: Of training rows: container, lengths, duplicates, content (see `shared.formats.survey`).
    facts: dict[str, Any] = json_column()
    bytes: int = Field(default=0, sa_type=BigInteger)
    user: str = ""
    created_at: float = time_column(0.0)


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
    facts: dict[str, Any] = json_column()
    user: str = ""
    created_at: float = time_column(0.0)
