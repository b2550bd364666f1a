"""What comes back about adapters, data, models, hosts, comparisons and knowledge bases."""

from typing import Any

from shared.api.answers import Answer


class AdapterAnswer(Answer):
    """A published adapter."""

    name: str
    #: train, import, or the fusion method that made it.
    method: str
    base_model: str
    rank: int
    bytes: int
    sha256: str
    parents: list[str]
    facts: dict[str, Any]
    user: str
    job: str | None
    created_at: float
    #: What people wrote about it, and whether it is the version to use.
    note: str
    tags: list[str]
    promoted: bool
    #: (parent, child) pairs above it; empty in lists.
    lineage: list[list[str]]
    #: Its page in the dashboard.
    url: str


class DatasetAnswer(Answer):
    """A registered file of training rows or benchmark items."""

    name: str
    #: training or benchmark.
    kind: str
    format: str
    rows: int
    languages: dict[str, int]
    facts: dict[str, Any]
    bytes: int
    sha256: str
    user: str
    created_at: float


class RowAnswer(Answer):
    """A row of a file as it will be read."""

    #: Its line, or place in a JSON array.
    number: int
    row: dict[str, Any]


class PreviewAnswer(Answer):
    """The first rows of a file."""

    name: str
    rows: list[RowAnswer]


class ModelAnswer(Answer):
    """A registered base model."""

    name: str
    family: str
    architecture: str
    parameters: int
    hidden_size: int
    layers: int
    vocabulary: int
    fingerprint: str
    created_at: float


class HostAnswer(Answer):
    """A machine of the pool."""

    name: str
    #: up, draining, in trouble or away.
    state: str
    device: str
    #: MiB of each card.
    cards: list[int]
    labels: list[str]
    #: Ids of the jobs that run on it.
    running: list[str]
    heartbeat_at: float
    started_at: float


class ComparisonAnswer(Answer):
    """A stored comparison, as lists show it."""

    name: str
    job: str | None
    baseline: str
    user: str
    created_at: float
    #: Its page in the dashboard.
    url: str


class KnowledgeAnswer(Answer):
    """A knowledge base."""

    name: str
    revision: int
    samples: int
    user: str
    created_at: float


class SampleAnswer(Answer):
    """A solved task of a knowledge base, and how well it fits the question (BM25)."""

    id: str
    since: int
    lang: str
    instruction: str
    input: str
    output: str
    score: float


class AddedAnswer(Answer):
    """What adding samples did."""

    revision: int
    ids: list[str]
    #: Samples that were there already.
    known: int
