"""The pool behind a REST API, with the methods that `shared.api.pool.Pool` has in process."""

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from graft.http import Http
from shared.api.answers import (
    AttemptAnswer,
    BulkAnswer,
    EventAnswer,
    JobAnswer,
    JobPage,
    LogPage,
    MetricAnswer,
    PlanAnswer,
    WhyAnswer,
)
from shared.api.asked import Bulk, CardText, JobSubmission, Question, Samples, StudySubmission
from shared.api.packing import pack
from shared.api.things import (
    AdapterAnswer,
    AddedAnswer,
    ComparisonAnswer,
    DatasetAnswer,
    HostAnswer,
    KnowledgeAnswer,
    ModelAnswer,
    PreviewAnswer,
    SampleAnswer,
)

Kind = Literal["training", "benchmark"]


class _Desk:
    def __init__(self, http: Http) -> None:
        self._http = http


class RemoteJobs(_Desk):
    """Jobs."""

    def submit(self, asked: JobSubmission, key: str | None = None) -> list[JobAnswer]:
        return [
            JobAnswer(**each)
            for each in self._http.send("POST", "jobs", body=_body(asked), key=key)
        ]

    def study(self, asked: StudySubmission, key: str | None = None) -> list[JobAnswer]:
        made = self._http.send("POST", "studies", body=_body(asked), key=key)
        return [JobAnswer(**each) for each in made]

    def plan(self, asked: JobSubmission) -> list[PlanAnswer]:
        return [PlanAnswer(**each) for each in self._http.send("POST", "plan", body=_body(asked))]

    def list(
        self,
        *,
        states: Sequence[str] = (),
        kinds: Sequence[str] = (),
        user: str = "",
        text: str = "",
        sweep: str = "",
        cursor: str = "",
        limit: int = 50,
    ) -> JobPage:
        query = {"user": user, "text": text, "sweep": sweep, "cursor": cursor, "limit": limit}
        return JobPage(**self._http.get("jobs", state=list(states), kind=list(kinds), **query))

    def get(self, job: str) -> JobAnswer:
        return JobAnswer(**self._http.get("jobs", job))

    def cancel(self, job: str) -> JobAnswer:
        return JobAnswer(**self._http.send("POST", "jobs", job, "cancel"))

    def retry(self, job: str) -> JobAnswer:
        return JobAnswer(**self._http.send("POST", "jobs", job, "retry"))

    def reprioritise(self, job: str, priority: int) -> JobAnswer:
        body = {"priority": priority}
        return JobAnswer(**self._http.send("PUT", "jobs", job, "priority", body=body))

    def bulk(self, asked: Bulk) -> Sequence[BulkAnswer]:
        return [
            BulkAnswer(**each)
            for each in self._http.send("POST", "jobs", "bulk", body=_body(asked))
        ]

    def logs(self, job: str, *, after: int = 0, limit: int = 1000) -> LogPage:
        return LogPage(**self._http.get("jobs", job, "logs", after=after, limit=limit))

    def metrics(self, job: str, *, after: int = -1) -> Sequence[MetricAnswer]:
        return [
            MetricAnswer(**each) for each in self._http.get("jobs", job, "metrics", after=after)
        ]

    def events(self, job: str) -> Sequence[EventAnswer]:
        return [EventAnswer(**each) for each in self._http.get("jobs", job, "events")]

    def attempts(self, job: str) -> Sequence[AttemptAnswer]:
        return [AttemptAnswer(**each) for each in self._http.get("jobs", job, "attempts")]

    def why(self, job: str) -> WhyAnswer:
        return WhyAnswer(**self._http.get("jobs", job, "why"))


class RemoteAdapters(_Desk):
    """Adapters."""

    def list(
        self, *, base: str = "", text: str = "", tags: Sequence[str] = ()
    ) -> Sequence[AdapterAnswer]:
        found = self._http.get("adapters", base=base, text=text, tag=list(tags))
        return [AdapterAnswer(**each) for each in found]

    def describe(self, name: str, asked: CardText) -> AdapterAnswer:
        return AdapterAnswer(**self._http.send("PUT", "adapters", name, "card", body=_body(asked)))

    def get(self, name: str) -> AdapterAnswer:
        return AdapterAnswer(**self._http.get("adapters", name))

    def add(self, name: str, folder: Path, *, base: str, template: str = "auto") -> AdapterAnswer:
        with tempfile.TemporaryDirectory() as scratch:
            archive = Path(scratch) / "adapter.zip"
            pack(folder, name, archive)
            made = self._http.put_file(archive, "adapters", name, base=base, template=template)
        return AdapterAnswer(**made)

    def download(self, name: str, folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            archive = Path(scratch) / "adapter.zip"
            self._http.save(archive, "adapters", name, "download")
            with zipfile.ZipFile(archive) as packed:
                # `extractall` keeps every name below the folder.
                packed.extractall(Path(scratch) / "out")
            (Path(scratch) / "out" / name).replace(folder)


class RemoteData(_Desk):
    """Datasets and benchmarks."""

    def list(self, *, kind: Kind | None = None) -> Sequence[DatasetAnswer]:
        return [DatasetAnswer(**each) for each in self._http.get("datasets", kind=kind)]

    def get(self, name: str, *, kind: Kind = "training") -> DatasetAnswer:
        return DatasetAnswer(**self._http.get("datasets", name, kind=kind))

    def preview(self, name: str, *, kind: Kind = "training", rows: int = 5) -> PreviewAnswer:
        return PreviewAnswer(**self._http.get("datasets", name, "preview", kind=kind, rows=rows))

    def upload(
        self, name: str, file: Path, *, kind: Kind = "training", format: str = "",
        skip_bad: bool = False,
    ) -> DatasetAnswer:  # fmt: skip
        query = {"kind": kind, "format": format, "filename": file.name[-60:]}
        query |= {"skip_bad": "true"} if skip_bad else {}
        return DatasetAnswer(**self._http.put_file(file, "datasets", name, **query))


class RemoteHosts(_Desk):
    """Hosts."""

    def list(self) -> Sequence[HostAnswer]:
        return [HostAnswer(**each) for each in self._http.get("hosts")]

    def drain(self, name: str, *, accepting: bool = False) -> HostAnswer:
        verb = "undrain" if accepting else "drain"
        return HostAnswer(**self._http.send("POST", "hosts", name, verb))


class RemoteModels(_Desk):
    """Base models."""

    def list(self) -> Sequence[ModelAnswer]:
        return [ModelAnswer(**each) for each in self._http.get("models")]

    def get(self, name: str) -> ModelAnswer:
        return ModelAnswer(**self._http.get("models", name))


class RemoteComparisons(_Desk):
    """Comparisons."""

    def list(self) -> Sequence[ComparisonAnswer]:
        return [ComparisonAnswer(**each) for each in self._http.get("comparisons")]

    def get(self, name: str, *, baseline: str = "") -> dict[str, Any]:
        return self._http.get("comparisons", name, baseline=baseline)

    def votes(self, name: str) -> dict[str, Any]:
        return self._http.get("comparisons", name, "votes")

    def export(self, name: str, form: Literal["csv", "md"], *, baseline: str = "") -> bytes:
        return self._http.bytes("comparisons", name, "export", form=form, baseline=baseline)


class RemoteKnowledge(_Desk):
    """Knowledge bases."""

    def list(self) -> Sequence[KnowledgeAnswer]:
        return [KnowledgeAnswer(**each) for each in self._http.get("knowledge")]

    def ask(self, name: str, asked: Question) -> Sequence[SampleAnswer]:
        found = self._http.send("POST", "knowledge", name, "ask", body=_body(asked))
        return [SampleAnswer(**each) for each in found]

    def add(self, name: str, asked: Samples) -> AddedAnswer:
        made = self._http.send("POST", "knowledge", name, "samples", body=_body(asked))
        return AddedAnswer(**made)


class Remote:
    """Every desk, behind one address."""

    def __init__(self, http: Http) -> None:
        self.jobs = RemoteJobs(http)
        self.adapters = RemoteAdapters(http)
        self.data = RemoteData(http)
        self.hosts = RemoteHosts(http)
        self.models = RemoteModels(http)
        self.comparisons = RemoteComparisons(http)
        self.knowledge = RemoteKnowledge(http)


def _body(asked: Any) -> dict[str, Any]:
    return asked.model_dump(mode="json", exclude_unset=True)
