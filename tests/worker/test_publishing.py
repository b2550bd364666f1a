"""What an attempt made reaches the store before COMMIT, once, and leaves no copy behind."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from pools import add_job, claim_next, upgrade, use
from shared import db
from shared.claims import Claim
from shared.config import settings
from shared.specs import TrainingSpec
from shared.storage import seal, store
from shared.tables import Adapter, Dataset, Job, JobState, ModelRef, Outcome
from worker import ends, ordering
from worker import supervisor as supervising
from worker.runners import Runners
from worker.supervisor import Supervisor
from worker.verdicts import Verdict

MADE = {"sha256": "-", "bytes": 1, "rank": 4, "facts": {}}


def claimed(monkeypatch: pytest.MonkeyPatch, folder: Path, **environment: str) -> Claim:
    """A running training whose inputs are there, on a store of that kind."""
    use(monkeypatch, folder / "home", **environment)
    upgrade()
    rows = folder / "rows.jsonl"
    rows.write_text('{"instruction": "Say one", "output": "one"}\n')
    spec = TrainingSpec(name="a", base_model="tiny", dataset="rows")
    with Session(db.engine()) as session:
        uri = store().put_file(rows, "datasets/rows.jsonl")
        add_job(session, spec=spec.model_dump(mode="json"))
        session.add(ModelRef(name="tiny", location=str(folder), fingerprint="-"))
        session.add(
            Dataset(name="rows", kind="training", format="alpaca", uri=uri, sha256="-", rows=1)
        )
        session.commit()
        claim = claim_next(session, "gpu-1")
        session.commit()
    assert claim is not None
    return claim


def finished(claim: Claim) -> tuple[Supervisor, Any, Verdict]:
    """Its attempt after the runner has ended well."""
    mine = Supervisor(claim, Runners(), "cpu", [])
    with db.reading() as session:
        order = ordering.order_for(session, claim, store(), "cpu", lambda _: None)
    (order.folder / "checkpoints").mkdir(parents=True)
    order.out.mkdir(parents=True)
    (order.out / "adapter_model.safetensors").write_text("x")
    seal(order.out)
    return mine, order, Verdict(outcome=Outcome.SUCCEEDED, described=MADE)


@pytest.mark.parametrize("kind", ["folder", "remote"])
def test_beside_a_remote_store_a_host_keeps_no_copy_of_what_it_published(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{tmp_path}/store" if kind == "folder" else f"local://{tmp_path}/store"
    claim = claimed(monkeypatch, tmp_path, store_url=url)
    mine, order, verdict = finished(claim)
    mine._commit(verdict, order)
    with db.reading() as session:
        (adapter,) = session.exec(select(Adapter)).all()
        assert session.get_one(Job, claim.job_id).state == JobState.SUCCEEDED
    assert order.folder.exists() == (kind == "folder")
    assert not (order.folder / "checkpoints").exists()
    assert (store().open_path(adapter.uri) / "adapter_model.safetensors").read_text() == "x"


def test_the_upload_holds_no_transaction_and_is_not_repeated_when_the_commit_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = claimed(monkeypatch, tmp_path, store_url=f"local://{tmp_path}/store")
    mine, order, verdict = finished(claim)
    uploads: list[str] = []
    honest = supervising.upload

    def upload(*words: Any) -> str:
        # Another writer is let in at once: no transaction is open around the upload.
        path = settings().database.removeprefix("sqlite:///")
        with sqlite3.connect(path, timeout=0) as other:
            other.execute("begin immediate")
        other.close()
        uploads.append(honest(*words))
        return uploads[-1]

    commits: list[Any] = []
    honest_commit = ends.leases.commit_all

    def commit(*words: Any, **more: Any) -> Any:
        commits.append(words)
        if len(commits) == 1:
            raise OperationalError("commit", {}, OSError("gone"))
        return honest_commit(*words, **more)

    monkeypatch.setattr(supervising, "upload", upload)
    monkeypatch.setattr(ends.leases, "commit_all", commit)
    monkeypatch.setattr(mine.lease_lost, "wait", lambda _: False)
    mine._commit(verdict, order)
    assert (len(uploads), len(commits)) == (1, 2)
    with db.reading() as session:
        assert session.get_one(Job, claim.job_id).state == JobState.SUCCEEDED
