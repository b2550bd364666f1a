"""What an order holds beside the spec: the files that its method looks at."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared import datasets, db, jobs
from shared.leases import Claim
from shared.specs import FUSION_METHODS, parse_spec
from shared.specs.fusion.learned import FromExamples
from shared.storage import store
from shared.tables import Adapter, ModelRef
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
        datasets.register(session, "rows", rows, "training", actor="ann")
        session.add(
            Adapter(
                name="there", method="train", base_model="small", base_fingerprint="small",
                uri="adapters/there", sha256="-", rank=4,
            )
        )  # fmt: skip
    params: dict[str, Any] = {"method": method, "dataset": "rows"}
    spec = {"kind": "fuse", "name": "f", "adapters": ["there"], "params": params}
    job = jobs.submit(parse_spec(spec), user="ann")
    claimed = SimpleNamespace(job_id=job.id, epoch=1, host="here", spec=job.spec)
    with db.reading() as session:
        order = order_for(session, cast(Claim, claimed), store(), "cpu")
    assert order.dataset is not None
    assert order.dataset.name == "rows"
    assert json.loads(order.dataset.path.read_text())[0]["output"] == "hi"
    assert order.base is not None
    assert order.base.name == "small"
