"""Submitting, finding, cancelling and retrying jobs; what is refused before it queues."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pools import claim_next
from processes import until
from shared import base_models, datasets, db, jobs, leases, plans, queue, queueing, why
from shared.errors import (
    AmbiguousJob,
    InvalidSpec,
    NameTaken,
    NotCancellable,
    NotRetryable,
    OneCardOnly,
    RankTooLarge,
    UnknownAdapter,
    UnknownBase,
    UnknownDataset,
    UnknownJob,
    UnsupportedAdapter,
    WrongBase,
    WrongCount,
)
from shared.people.actors import Actor
from shared.specs import parse_spec
from shared.tables import Adapter, Job, JobState, ModelRef, Outcome

TRAIN: dict[str, Any] = {"kind": "train", "name": "t", "base_model": "small", "dataset": "rows"}


def _somebody_waits() -> bool:
    """Does a statement on PostgreSQL wait for a row of another transaction?"""
    with db.reading() as session:
        looked = "select count(*) from pg_stat_activity where wait_event = 'transactionid'"
        return session.connection().execute(text(looked)).scalar_one() > 0


@pytest.fixture
def pool(database: str, tmp_path: Path) -> None:
    """Two bases, a dataset, a benchmark and an adapter of the first base."""
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([{"instruction": "Say hi", "output": "hi"}]))
    items = tmp_path / "items.jsonl"
    item = {"id": "1", "prompt": "2+2?", "choices": ["3", "4"], "answer": 1, "lang": "en"}
    items.write_text(json.dumps(item) + "\n")
    with db.writing() as session:
        for name in ("small", "other"):
            session.add(ModelRef(name=name, location="-", fingerprint=name, narrowest=32))
        datasets.register(session, "rows", rows, "training", actor=Actor.admin("ann"))
        datasets.register(session, "items", items, "benchmark", actor=Actor.admin("ann"))
        session.add(
            Adapter(
                name="there",
                method="train",
                base_model="small",
                base_fingerprint="small",
                uri="-",
                sha256="-",
                rank=4,
            )
        )


def submit(spec: dict[str, Any], **options: Any) -> Job:
    return jobs.submit(parse_spec(spec), actor=Actor.admin("ann"), **options)


def fuse(name: str, adapters: list[str], host: str = "", **params: Any) -> dict[str, Any]:
    params = params or {"method": "weighted_sum"}
    return {
        "kind": "fuse", "name": name, "adapters": adapters, "host_base": host, "params": params,
    }  # fmt: skip


def evaluate(name: str, adapters: list[str], base: str = "small", **more: Any) -> dict[str, Any]:
    return {
        "kind": "evaluate", "name": name, "base_model": base, "adapters": adapters,
        "benchmarks": ["items"], **more,
    }  # fmt: skip


def finish(job: Job, outcome: Outcome) -> None:
    with db.writing() as session:
        claim = claim_next(session)
        assert claim is not None
        assert claim.job_id == job.id
        leases.commit(session, claim, outcome)


@pytest.mark.usefixtures("pool")
class TestSubmitting:
    @pytest.mark.parametrize(
        ("spec", "error", "named"),
        [
            (TRAIN | {"base_model": "nope"}, UnknownBase, "small"),
            (TRAIN | {"dataset": "nope"}, UnknownDataset, "rows"),
            (TRAIN | {"dataset": "items"}, UnknownDataset, "training"),
            (TRAIN | {"rank": 33}, RankTooLarge, "32"),
            (TRAIN | {"name": "there"}, NameTaken, "there"),
            (fuse("f", ["nope"]), UnknownAdapter, "there"),
            (fuse("f", ["there"], method="weighted_sum", weights=[1, 2]), WrongCount, "1 weights"),
            (fuse("f", ["there"], method="iso_cts", weights=[1, 2]), WrongCount, "1 weights"),
            (
                fuse("f", ["there"], method="ties", profile="vllm", rank=12),
                InvalidSpec,
                "vllm profile allows",
            ),
            (fuse("f", ["there"], "other"), WrongBase, "other"),
            (fuse("f", ["there"], method="copy"), InvalidSpec, "host base"),
            (fuse("f", ["there"], method="dare", saved_modules="pick"), InvalidSpec, "saved_from"),
            (fuse("f", ["there"], method="lorahub", dataset="none"), UnknownDataset, "none"),
            (fuse("f", ["there", "there"], "other", method="copy"), WrongCount, "one adapter"),
            (evaluate("e", ["there"], "other"), WrongBase, "there"),
            (evaluate("e", ["there"], baseline="x"), InvalidSpec, "x"),
            (evaluate("e", ["there", "there"]), InvalidSpec, "twice"),
        ],
    )
    def test_a_mistake_is_refused_with_its_name(
        self, spec: dict[str, Any], error: type[Exception], named: str
    ) -> None:
        with pytest.raises(error, match=named):
            submit(spec)
        with db.reading() as session:
            assert jobs.listing(session) == []

    @pytest.mark.parametrize("tuning", ["prefix", "full"])
    def test_only_lora_is_fused_and_anything_is_evaluated(self, tuning: str) -> None:
        """Their rank is none: what a spec says of it is not looked at."""
        training = submit(TRAIN | {"tuning": tuning, "rank": 33})
        with pytest.raises(UnsupportedAdapter, match=r'"t".*only LoRA adapters are fused'):
            submit(fuse("f", ["t", "there"]))
        scoring = submit(evaluate("e", ["t", "there"]))
        with db.reading() as session:
            assert [job.id for job in jobs.needs(session, scoring.id)] == [training.id]

    def test_every_spec_of_a_submission_has_its_template_looked_at(self) -> None:
        specs = [parse_spec(TRAIN), parse_spec(TRAIN | {"name": "u", "template": "custom"})]
        with pytest.raises(InvalidSpec, match="template_text"):
            queueing.submit_many(specs, queueing.Request(actor=Actor.admin("ann")))

    def test_several_cards_are_for_trainings(self) -> None:
        wanted = [parse_spec(evaluate("e", ["there"]))]
        asked = queueing.Request(actor=Actor.admin("ann"), gpus=2)
        for submitting in (queueing.submit_many, queueing.submit_batch):
            with pytest.raises(OneCardOnly, match=r"job to evaluate.*2 are asked"):
                submitting(wanted, asked)
        with db.reading() as session, pytest.raises(OneCardOnly):
            plans.plan(session, wanted, asked)
        made = queueing.submit_many([parse_spec(TRAIN), *wanted], asked)
        assert [(job.kind, job.gpus) for job in made] == [("train", 2), ("evaluate", 1)]

    def test_a_base_is_spread_over_several_cards_only(self) -> None:
        with pytest.raises(InvalidSpec, match="spread: one card is asked for"):
            submit(TRAIN | {"spread": "on"})
        assert submit(TRAIN | {"spread": "on"}, gpus=2).gpus == 2
        for more in ({"tuning": "full"}, {"start": "pissa"}, {"compiled": True}):
            with pytest.raises(InvalidSpec, match="spread"):
                parse_spec(TRAIN | {"spread": "on"} | more)

    def test_an_adapter_on_its_way_can_be_used_and_is_waited_for(self) -> None:
        training = submit(TRAIN)
        fusion = submit(fuse("f", ["t", "there"]))
        scoring = submit(evaluate("e", ["f", "there"]))
        with db.reading() as session:
            assert [job.id for job in jobs.needs(session, fusion.id)] == [training.id]
            assert [job.id for job in jobs.needs(session, scoring.id)] == [fusion.id]

    def test_a_name_a_queued_job_will_make_is_taken_until_that_job_fails(self) -> None:
        first = submit(TRAIN)
        with pytest.raises(NameTaken):
            submit(TRAIN)
        finish(first, Outcome.FAILED)
        assert submit(TRAIN).name == "t"

    @pytest.mark.parametrize("many", [1, 40])
    def test_who_submits_does_not_wait_for_a_change_of_the_owners_account(
        self, database: str, many: int
    ) -> None:
        if database == "sqlite":
            pytest.skip("SQLite has one writer at a time")
        submit(TRAIN)
        specs = [parse_spec(TRAIN | {"name": f"n{number}"}) for number in range(many)]
        request = queueing.Request(actor=Actor.admin("ann"))
        with db.writing() as session, ThreadPoolExecutor(1) as others:
            session.connection().execute(text("update share set used = 1"))
            made = others.submit(queueing.submit_batch, specs, request)
            assert len(made.result(timeout=60)) == many

    def test_the_same_idempotency_key_makes_one_job(self) -> None:
        first = submit(TRAIN, idempotency_key="once")
        assert submit(TRAIN, idempotency_key="once").id == first.id

    def test_the_same_key_twice_at_the_same_moment_makes_one_job(self, database: str) -> None:
        found: list[str] = []
        second = threading.Thread(
            target=lambda: found.append(submit(TRAIN, idempotency_key="twin").id)
        )
        with db.writing() as session:
            first = Job(id="first", kind="train", name="u", user="ann", idempotency_key="twin")
            session.add(first)
            session.flush()
            second.start()
            # PostgreSQL lets it in until it meets the row; SQLite keeps it out altogether.
            if database == "postgresql":
                until(_somebody_waits, "the second request waits for the first one's row")
        second.join()
        assert found == ["first"]


@pytest.mark.usefixtures("pool")
class TestHandling:
    def test_a_finished_job_cannot_be_cancelled_and_a_queued_one_not_retried(self) -> None:
        job = submit(TRAIN)
        with pytest.raises(NotRetryable, match="queued"):
            jobs.retry(job.id, actor=Actor.admin("ann"))
        finish(job, Outcome.FAILED)
        with pytest.raises(NotCancellable, match="failed"):
            jobs.cancel(job.id, actor=Actor.admin("ann"))

    def test_a_retry_is_a_new_job_that_remembers_the_old_one(self) -> None:
        job = submit(TRAIN, priority=7)
        jobs.cancel(job.id, actor=Actor.admin("ann"))
        again = jobs.retry(job.id, actor=Actor.admin("bo"))
        assert (again.retry_of, again.spec, again.priority) == (job.id, job.spec, 7)
        assert again.state == JobState.QUEUED

    def test_of_the_jobs_whose_hint_is_old_an_owners_first_is_hinted_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, _ = submit(TRAIN), submit(TRAIN | {"name": "second"})
        hinted: list[str] = []
        monkeypatch.setattr(queue, "hint", lambda job: hinted.append(job) or True)
        assert jobs.rehint(3600.0) == hinted == []
        assert jobs.rehint(-1.0) == hinted == [first.id]
        assert jobs.rehint(3600.0) == []

    def test_jobs_are_found_by_id_prefix_or_name(self) -> None:
        job = submit(TRAIN)
        with db.reading() as session:
            assert jobs.find(session, job.id[:6]).id == job.id
            assert jobs.find(session, "t").id == job.id
            with pytest.raises(UnknownJob):
                jobs.find(session, "zzz")

    def test_a_prefix_of_two_ids_is_ambiguous(self) -> None:
        with db.writing() as session:
            session.add_all(Job(id=f"abc{n}", kind="train", name=f"n{n}") for n in range(2))
        with db.reading() as session, pytest.raises(AmbiguousJob, match="abc0, abc1"):
            jobs.find(session, "abc")

    def test_pages_follow_each_other_without_gaps_or_repeats(self) -> None:
        with db.writing() as session:
            session.add_all(
                Job(kind="train", name=f"n{n}", created_at=float(n // 2)) for n in range(7)
            )
        seen: list[str] = []
        before = None
        with db.reading() as session:
            while page := jobs.listing(session, before=before, limit=3):
                seen += [job.id for job in page]
                before = (page[-1].created_at, page[-1].id)
        assert len(seen) == len(set(seen)) == 7

    def test_a_queued_job_knows_its_place(self) -> None:
        low = submit(TRAIN, priority=1)
        submit(TRAIN | {"name": "u"}, priority=9)
        with db.reading() as session:
            assert why.place(session, low) == 2


def test_a_base_is_registered_from_its_files_and_refused_without_weights(
    database: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}")
    with db.writing() as session:
        with pytest.raises(base_models.BadBase, match="safetensors"):
            base_models.register(session, "b", str(tmp_path), actor=Actor.admin("ann"))
        with pytest.raises(base_models.BadBase, match="no such folder"):
            base_models.register(session, "b", str(tmp_path / "none"), actor=Actor.admin("ann"))
