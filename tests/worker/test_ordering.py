"""What an order holds beside the spec: the files that its method looks at."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared import datasets, db, jobs, knowledge
from shared.errors import InvalidSpec, UnknownKnowledge
from shared.leases import Claim
from shared.people.actors import Actor
from shared.retrieval import read_samples
from shared.specs import FUSION_METHODS, parse_spec
from shared.specs.fusion.learned import FromExamples
from shared.storage import seal, store
from shared.tables import Adapter, Checkpoint, ModelRef
from worker.ordering import order_for


@pytest.mark.parametrize(
    "method", [name for name, each in FUSION_METHODS.items() if issubclass(each, FromExamples)]
)
def test_a_fusion_that_looks_at_examples_gets_their_file(
    method: str, database: str, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([{"instruction": "Say hi", "output": "hi"}]))
    with db.writing() as session:
        session.add(ModelRef(name="small", location="-", fingerprint="small", narrowest=32))
        datasets.register(session, "rows", rows, "training", actor=Actor.admin("ann"))
        session.add(
            Adapter(
                name="there", method="train", base_model="small", base_fingerprint="small",
                uri="adapters/there", sha256="-", rank=4,
            )
        )  # fmt: skip
    params: dict[str, Any] = {"method": method, "dataset": "rows"}
    spec = {"kind": "fuse", "name": "f", "adapters": ["there"], "params": params}
    job = jobs.submit(parse_spec(spec), actor=Actor.admin("ann"))
    claimed = SimpleNamespace(job_id=job.id, epoch=1, host="here", cards=(0,), spec=job.spec)
    with db.reading() as session:
        order = order_for(session, cast(Claim, claimed), store(), "cpu")
    assert order.dataset is not None
    assert order.dataset.name == "rows"
    assert json.loads(order.dataset.path.read_text())[0]["output"] == "hi"
    assert order.base is not None
    assert order.base.name == "small"


def test_a_job_goes_on_from_what_its_runner_saved_after_its_worker_was_gone(
    database: str, tmp_path: Path
) -> None:
    """The noted checkpoint was removed by then, the furthest one is half written."""
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([{"instruction": "Say hi", "output": "hi"}]))
    with db.writing() as session:
        session.add(ModelRef(name="small", location="-", fingerprint="small", narrowest=32))
        datasets.register(session, "rows", rows, "training", actor=Actor.admin("ann"))
    spec = {"kind": "train", "name": "t", "base_model": "small", "dataset": "rows"}
    job = jobs.submit(parse_spec(spec), actor=Actor.admin("ann"))
    folder = store().attempt_folder(job.id, 1) / "checkpoints"
    for step in (25, 30):
        (folder / f"step-{step:08d}").mkdir(parents=True)
        (folder / f"step-{step:08d}" / "weights").write_text("w")
    seal(folder / "step-00000025")
    with db.writing() as session:
        noted = store().publish(folder / "step-00000010", "-")
        session.add(Checkpoint(job_id=job.id, epoch=1, step=10, uri=noted, created_at=0.0))
    claimed = SimpleNamespace(job_id=job.id, epoch=2, host="here", cards=(2, 3), spec=job.spec)
    with db.reading() as session:
        order = order_for(session, cast(Claim, claimed), store(), "cpu")
    assert order.resume_from == folder / "step-00000025"
    assert order.cards == 2


def test_an_evaluation_keeps_the_revision_that_was_newest_when_it_was_submitted(
    database: str, tmp_path: Path
) -> None:
    items = tmp_path / "items.jsonl"
    item = {"id": "1", "prompt": "2+2?", "choices": ["3", "4"], "answer": 1, "lang": "en"}
    items.write_text(json.dumps(item) + "\n")
    with db.writing() as session:
        session.add(ModelRef(name="small", location="-", fingerprint="small", narrowest=32))
        datasets.register(session, "items", items, "benchmark", actor=Actor.admin("ann"))
        knowledge.create(session, "facts", actor=Actor.admin("ann"))
        first = knowledge.add(
            session, "facts", knowledge.Text("1+1?", "2"), actor=Actor.admin("ann")
        )
    spec = {
        "kind": "evaluate", "name": "e", "base_model": "small", "benchmarks": ["items"],
        "knowledge": "facts", "baseline": "base+random",
    }  # fmt: skip
    job = jobs.submit(parse_spec(spec), actor=Actor.admin("ann"))
    assert job.spec["knowledge"] == "facts@1"
    with db.writing() as session:
        knowledge.add(session, "facts", knowledge.Text("1+2?", "3"), actor=Actor.admin("ann"))
        knowledge.expire(session, "facts", [first.sample_id], actor=Actor.admin("ann"))
    claimed = SimpleNamespace(job_id=job.id, epoch=1, host="here", cards=(0,), spec=job.spec)
    with db.reading() as session:
        order = order_for(session, cast(Claim, claimed), store(), "cpu")
    assert order.knowledge is not None
    assert order.knowledge.name == "facts@1"
    assert [each.output for each in read_samples(order.knowledge.path)] == ["2"]
    with pytest.raises(UnknownKnowledge, match="notes"):
        jobs.submit(
            parse_spec(spec | {"name": "f", "knowledge": "notes"}), actor=Actor.admin("ann")
        )
    with pytest.raises(InvalidSpec, match=r"none of the arms: base, base\+random"):
        jobs.submit(
            parse_spec(spec | {"name": "f", "baseline": "x+random"}), actor=Actor.admin("ann")
        )
