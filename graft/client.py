"""The client: one method for each thing people do with the pool."""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graft.checked import checked
from graft.compared import Comparison
from graft.jobs import Job
from graft.local import local_pool
from graft.made import Adapter
from shared.api.answers import PlanAnswer
from shared.api.asked import JobSubmission, Question, Samples, StudySubmission, Submission
from shared.api.things import (
    AddedAnswer,
    ComparisonAnswer,
    DatasetAnswer,
    HostAnswer,
    KnowledgeAnswer,
    ModelAnswer,
    SampleAnswer,
)
from shared.errors import Language
from shared.language import language as own_language

if TYPE_CHECKING:
    from graft.remote import Remote

#: Fields of a submission that are no parameters of the job.
_ASKED = frozenset(Submission.model_fields)


class Client:
    """A person's view of a pool.

    `url` (else GRAFT_URL) is the dashboard's address and `token` (else GRAFT_TOKEN) shows who asks;
    without a url the client works on the database of this process's settings, as the commands do.
    Every method raises the GraftError that the pool answers with: its message says the thing and
    the remedy, `code()` is stable.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        language: Language | None = None,
    ) -> None:
        self.language: Language = language or own_language()
        url = url or os.environ.get("GRAFT_URL")
        token = token or os.environ.get("GRAFT_TOKEN")
        #: The desks of the pool, for what has no method here.
        self.pool = local_pool(self.language) if not url else _remote(url, token, self.language)

    # --- submitting -----------------------------------------------------------------------------

    def train(self, base: str, dataset: str, *, name: str | None = None, **asked: Any) -> Job:
        """Train an adapter. `asked`: fields of TrainingSpec (`rank=8`) and of the submission
        (`priority`, `gpus`, `labels`, ...); `key` makes it safe to repeat."""
        spec = {"kind": "train", "base_model": base, "dataset": dataset}
        return self._submit(spec | {"name": name or _name("train")}, asked)

    def fuse(
        self,
        adapters: Sequence[Adapter | str],
        method: str = "weighted_sum",
        *,
        name: str | None = None,
        to: str = "",
        **asked: Any,
    ) -> Job:
        """Fuse adapters of one base, or move one `to` another base. `asked`: the method's
        parameters, and fields of the submission."""
        queueing = {key: asked.pop(key) for key in list(asked) if key in _ASKED | {"key"}}
        spec: dict[str, Any] = {"kind": "fuse", "name": name or _name(method)}
        spec |= {"adapters": [_named(each) for each in adapters], "host_base": to}
        return self._submit(spec | {"params": asked | {"method": method}}, queueing)

    def evaluate(
        self,
        base: str,
        benchmarks: Sequence[str],
        adapters: Sequence[Adapter | str] = (),
        *,
        name: str | None = None,
        **asked: Any,
    ) -> Job:
        """Score a base and its adapters; the job's `comparison` has the result."""
        spec: dict[str, Any] = {"kind": "evaluate", "name": name or _name("look")}
        spec |= {"base_model": base, "benchmarks": list(benchmarks)}
        return self._submit(spec | {"adapters": [_named(each) for each in adapters]}, asked)

    def judge(
        self, base: str, comparison: Comparison | str, *, name: str | None = None, **asked: Any
    ) -> Job:
        """Let a base vote between the written answers of a comparison; `Comparison.votes` tells
        the outcome. `asked`: fields of JudgeSpec (`against`, `items`) and of the submission."""
        compared = comparison if isinstance(comparison, str) else comparison.name
        spec = {"kind": "judge", "base_model": base, "comparison": compared}
        return self._submit(spec | {"name": name or _name("judge")}, asked)

    def compare(
        self,
        adapters: Sequence[Adapter | str],
        benchmarks: Sequence[str],
        *,
        baseline: Adapter | str = "base",
        timeout: float | None = None,
        progress: bool = False,
        **asked: Any,
    ) -> Comparison:
        """Score adapters of one base beside a baseline, wait, and return the comparison.

        Raises what `evaluate` and `Job.wait` raise.
        """
        against = _named(baseline)
        arms = list(dict.fromkeys([_named(each) for each in adapters]))
        if against not in ("base", *arms):
            arms.insert(0, against)
        base = self.adapter(arms[0]).base
        job = self.evaluate(base, benchmarks, arms, baseline=against, **asked)
        return job.wait(timeout, progress).comparison

    def study(self, name: str, *, key: str | None = None, **asked: Any) -> list[Job]:
        """A transfer study; the last job is its evaluation. `asked`: fields of StudySpec."""
        queueing = {field: asked.pop(field) for field in list(asked) if field in _ASKED}
        body = checked(StudySubmission, {"spec": asked | {"name": name}} | queueing)
        return [Job(self, each) for each in self.pool.jobs.study(body, key)]

    def submit(
        self,
        spec: Mapping[str, Any],
        *,
        sweep: Mapping[str, Sequence[Any]] | None = None,
        key: str | None = None,
        **asked: Any,
    ) -> list[Job]:
        """Submit a spec as it stands, or one job for each point of a grid."""
        body = self._body(spec, sweep, asked)
        return [Job(self, each) for each in self.pool.jobs.submit(body, key)]

    def plan(
        self,
        spec: Mapping[str, Any],
        *,
        sweep: Mapping[str, Sequence[Any]] | None = None,
        **asked: Any,
    ) -> list[PlanAnswer]:
        """What submitting it would get: memory, time, cards that fit, place. Queues nothing."""
        return list(self.pool.jobs.plan(self._body(spec, sweep, asked)))

    # --- finding --------------------------------------------------------------------------------

    def job(self, job: str) -> Job:
        """The job of that id, beginning of an id, or name. Raises UnknownJob."""
        return Job(self, self.pool.jobs.get(job))

    def jobs(
        self,
        *,
        states: Sequence[str] = (),
        kinds: Sequence[str] = (),
        user: str = "",
        text: str = "",
        sweep: str = "",
    ) -> Iterator[Job]:
        """Jobs, newest first, page after page as they are asked for."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.pool.jobs.list(
                states=states, kinds=kinds, user=user, text=text, sweep=sweep, cursor=cursor,
            )  # fmt: skip
            yield from (Job(self, each) for each in page.jobs)
            cursor = page.next

    def adapter(self, name: str) -> Adapter:
        """The adapter of that name. Raises UnknownAdapter."""
        return Adapter(self, self.pool.adapters.get(name))

    def adapters(
        self, *, base: str = "", text: str = "", tags: Sequence[str] = ()
    ) -> list[Adapter]:
        """Published adapters that hold the text and have all of the tags, newest first."""
        found = self.pool.adapters.list(base=base, text=text, tags=tags)
        return [Adapter(self, each) for each in found]

    def comparison(self, name: str, *, baseline: str = "") -> Comparison:
        """The comparison of that name. Raises UnknownComparison."""
        return Comparison(self, name, baseline)

    def comparisons(self) -> list[ComparisonAnswer]:
        """Stored comparisons, newest first."""
        return list(self.pool.comparisons.list())

    def datasets(self, kind: Literal["training", "benchmark"] | None = None) -> list[DatasetAnswer]:
        """Registered training rows and benchmarks."""
        return list(self.pool.data.list(kind=kind))

    def models(self) -> list[ModelAnswer]:
        """Registered base models."""
        return list(self.pool.models.list())

    def hosts(self) -> list[HostAnswer]:
        """The machines of the pool."""
        return list(self.pool.hosts.list())

    def knowledge(self) -> list[KnowledgeAnswer]:
        """The knowledge bases."""
        return list(self.pool.knowledge.list())

    # --- bringing in ----------------------------------------------------------------------------

    def add_dataset(
        self,
        name: str,
        file: Path | str,
        *,
        kind: Literal["training", "benchmark"] = "training",
        format: str = "",
        skip_bad: bool = False,
    ) -> DatasetAnswer:
        """Check a file and register it. Raises BadRows, whose `params["each"]` are the rows."""
        return self.pool.data.upload(name, Path(file), kind=kind, format=format, skip_bad=skip_bad)

    def add_adapter(
        self, name: str, folder: Path | str, *, base: str, template: str = "auto"
    ) -> Adapter:
        """Check a folder in PEFT's format and register it; safetensors only."""
        made = self.pool.adapters.add(name, Path(folder), base=base, template=template)
        return Adapter(self, made)

    def ask(self, knowledge: str, question: str, k: int = 4) -> list[SampleAnswer]:
        """The samples of a knowledge base that would go before a question, the best last."""
        asked = checked(Question, {"question": question, "k": k})
        return list(self.pool.knowledge.ask(knowledge, asked))

    def add_samples(
        self, knowledge: str, samples: Sequence[Mapping[str, str]], *, days: float | None = None
    ) -> AddedAnswer:
        """Add `{"instruction", "output", "input"}` to a knowledge base, in one revision."""
        body = {"samples": [dict(each) for each in samples], "days": days}
        return self.pool.knowledge.add(knowledge, checked(Samples, body))

    def _submit(self, spec: dict[str, Any], asked: dict[str, Any]) -> Job:
        """`asked` holds both parameters of the spec and fields of the submission."""
        queueing = {name: asked.pop(name) for name in list(asked) if name in _ASKED | {"key"}}
        return self.submit(spec | asked, **queueing)[0]

    def _body(
        self,
        spec: Mapping[str, Any],
        sweep: Mapping[str, Sequence[Any]] | None,
        asked: dict[str, Any],
    ) -> JobSubmission:
        grid = {name: list(values) for name, values in (sweep or {}).items()}
        return checked(JobSubmission, {"spec": dict(spec), "sweep": grid} | asked)


def _remote(url: str, token: str | None, language: Language) -> "Remote":
    from graft.http import Http
    from graft.remote import Remote

    return Remote(Http(url, token, language))


def _name(kind: str) -> str:
    """A name nobody has, for what was not given one."""
    return f"{kind}-{secrets.token_hex(4)}"


def _named(thing: Adapter | str) -> str:
    return thing if isinstance(thing, str) else thing.name
