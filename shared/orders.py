"""WorkOrder: a spec with every name in it resolved to files, so that an engine needs nothing else.

The supervisor writes it, the runner reads it; from a notebook you build one by hand.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.specs import JobSpec


class BaseFiles(BaseModel):
    """A base model on this machine."""

    model_config = ConfigDict(frozen=True)

    name: str
    #: Folder with config.json, safetensors weights and tokenizer; or a hub id.
    location: str
    fingerprint: str


class AdapterFiles(BaseModel):
    """An adapter folder in PEFT's format on this machine, and the base it was trained on."""

    model_config = ConfigDict(frozen=True)

    name: str
    folder: Path
    base: BaseFiles
    #: What the adapter's own job recorded: template, rank, ... (see `shared.tables.Adapter.facts`).
    facts: dict[str, Any] = {}


class DataFile(BaseModel):
    """A dataset or benchmark file on this machine."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: Path
    sha256: str
    #: How its rows are written (`shared.formats.FORMATS`); empty looks at the first rows.
    format: str = ""
    #: Its share of a mixture; None takes each of its rows once.
    weight: float | None = None


class WorkOrder(BaseModel):
    """Everything one attempt of one job needs."""

    job_id: str
    epoch: int
    #: The name of the machine that runs it, for messages.
    host: str = ""
    spec: JobSpec
    #: The base trained on, evaluated, or (a transfer's) host base; None for a same-base fusion.
    base: BaseFiles | None = None
    adapters: list[AdapterFiles] = []
    dataset: DataFile | None = None
    #: Further datasets of a mixture.
    more_datasets: list[DataFile] = []
    benchmarks: list[DataFile] = []
    #: A frozen revision of a knowledge base (see `shared.retrieval.read_samples`), `notes@12`.
    knowledge: DataFile | None = None
    #: The attempt's own folder; results go to `folder/out`, checkpoints to `folder/checkpoints`.
    folder: Path
    #: Newest complete checkpoint of an earlier attempt, or None.
    resume_from: Path | None = None
    #: "cpu" or "cuda".
    device: str = "cpu"
    #: Cards it may use (slots where there is no GPU); a training runs a process on each.
    cards: int = 1
    #: How often earlier attempts ran out of memory; each halves the micro-batch.
    halvings: int = 0

    @property
    def out(self) -> Path:
        """Where the result is written."""
        return self.folder / "out"
