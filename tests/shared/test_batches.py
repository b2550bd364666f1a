"""Thousands of jobs as one submission."""

import pytest

from shared import db
from shared.people.actors import Actor
from shared.queueing import Request, submit_batch
from shared.specs import parse_spec
from shared.tables import Dataset, Job, JobState, ModelRef


@pytest.mark.usefixtures("database")
def test_a_batch_is_queued_in_its_order_under_one_sweep_and_its_key_makes_it_once() -> None:
    with db.writing() as session:
        session.add(ModelRef(name="tiny", location="-", fingerprint="-"))
        session.add(
            Dataset(name="rows", kind="training", format="alpaca", uri="-", sha256="-", rows=1)
        )
    specs = [
        parse_spec({"kind": "train", "name": f"t{n}", "base_model": "tiny", "dataset": "rows",
                    "seed": n})
        for n in range(1200)
    ]  # fmt: skip
    ids = submit_batch(
        specs, Request(actor=Actor.admin("ann"), idempotency_key="once", labels=["b", "a"])
    )
    assert submit_batch(specs, Request(actor=Actor.admin("ann"), idempotency_key="once")) == ids
    with db.reading() as session:
        found = [session.get_one(Job, job_id) for job_id in ids]
    assert [job.name for job in found] == [f"t{n}" for n in range(1200)]
    assert [job.spec["seed"] for job in found] == list(range(1200))
    assert sorted(found, key=lambda job: job.created_at) == found
    assert {(job.state, tuple(job.labels), job.sweep, job.error) for job in found} == {
        (JobState.QUEUED, ("a", "b"), found[0].sweep, None)
    }
