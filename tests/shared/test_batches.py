"""Thousands of jobs as one submission."""

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel, col, select

from shared import db
from shared.bulk import insert_rows
from shared.people.actors import Actor
from shared.queueing import Request, submit_batch
from shared.specs import parse_spec
from shared.tables import Dataset, Event, EventSeal, Job, JobState, ModelRef


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


_TABLES = SQLModel.metadata.tables
#: What means something in COPY's text format, in JSON or in SQL.
ODD = "a\\tb\\N\t'二'\n\r\"\\."


@pytest.mark.usefixtures("database")
def test_many_rows_are_stored_as_they_are_whatever_stands_in_them() -> None:
    rows = [
        {"job_id": None if n == 7 else f"{ODD}{n}", "data": {"said": ODD, "n": n, "no": None}}
        for n in range(100)
    ]
    with db.writing() as session:
        insert_rows(session, _TABLES["event"], rows, at=1.5, actor=ODD, kind="odd")
    with db.reading() as session:
        found = session.exec(select(Event).order_by(col(Event.seq))).all()
    assert [{"job_id": event.job_id, "data": event.data} for event in found] == rows
    assert {(event.at, event.actor, event.kind) for event in found} == {(1.5, ODD, "odd")}


@pytest.mark.usefixtures("database")
def test_many_rows_of_which_one_is_taken_are_refused_as_one_would_be() -> None:
    rows = [{"position": n, "seq": n, "previous": "", "hash": ""} for n in range(100)]
    with db.writing() as session:
        insert_rows(session, _TABLES["eventseal"], rows[50:51])
    with pytest.raises(IntegrityError), db.writing() as session:
        insert_rows(session, _TABLES["eventseal"], rows)
    with db.reading() as session:
        assert [seal.position for seal in session.exec(select(EventSeal)).all()] == [50]
