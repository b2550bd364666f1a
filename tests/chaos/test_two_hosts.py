"""Two hosts that share nothing but PostgreSQL, Redis and S3: one is cut off, the other goes on."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from sqlmodel import col, select

from benchmarks.chaos.client import train
from benchmarks.chaos.engine import RESULT, expected
from benchmarks.chaos.hosts import Host, Network, can_isolate, can_mount
from benchmarks.chaos.pool import WAITS
from benchmarks.chaos.servers import Broker, Postgres, free_port, postgres_programs, redis_program
from pools import forget, use
from servers import missing
from shared import db, jobs, schema
from shared.people.actors import Actor
from shared.specs import parse_spec
from shared.storage import MANIFEST, Store, damage, store
from shared.tables import Adapter, Attempt, Checkpoint, Dataset, Job, JobState, ModelRef, Outcome

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(480)]
#: Reached only by a failure.
PATIENCE = 120.0
AWS = {
    "AWS_ACCESS_KEY_ID": "graft", "AWS_SECRET_ACCESS_KEY": "graft",
    "AWS_DEFAULT_REGION": "us-east-1",
}  # fmt: skip


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def s3_port() -> Iterator[int]:
    """A server that speaks S3, on every address of this machine."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "0.0.0.0", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    until(answers, "the S3 server answers")
    yield port
    server.kill()
    server.wait()


@pytest.fixture(scope="module")
def hosts(s3_port: int) -> Iterator[dict[str, Host]]:
    """Two workers in namespaces of their own; this process is a client of their pool."""
    programs, redis = postgres_programs(), redis_program()
    if programs is None or redis is None:
        missing("PostgreSQL or Redis")
    if not can_isolate() or not can_mount():
        pytest.skip("this user may not make network namespaces or mount file systems")
    with (
        tempfile.TemporaryDirectory(prefix="graft-", ignore_cleanup_errors=True) as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        shutil.chown(folder, "nobody", "nogroup")
        postgres, broker = Postgres(programs, folder, "10.0.0.0/8"), Broker(redis, folder)
        postgres.start()
        broker.start()
        made = {
            name: Host(name, folder, network=Network(number), disk=True)
            for number, name in enumerate(("east", "west"))
        }
        for key, value in (AWS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3_port}"}).items():
            patch.setenv(key, value)
        use(
            patch, folder / "client", database_url=postgres.url("127.0.0.1"),
            broker_url=broker.url("127.0.0.1"), store_url="s3://pool/graft", host_name="client",
        )  # fmt: skip
        fill(folder)
        for host in made.values():
            host.start(
                WAITS
                | AWS
                | {
                    "AWS_ENDPOINT_URL": f"http://{host.address}:{s3_port}",
                    "GRAFT_DATABASE_URL": postgres.url(host.address),
                    "GRAFT_BROKER_URL": broker.url(host.address),
                    "GRAFT_STORE_URL": "s3://pool/graft",
                    "GRAFT_HOST_NAME": host.name,
                    "GRAFT_HOME": str(host.home),
                }
            )
        yield made
        for host in made.values():
            host.kill()
        forget()
        postgres.crash()
        broker.wipe()
        for host in made.values():
            host.remove()


def fill(folder: Path) -> None:
    """Tables, a bucket, a base and rows."""
    schema.upgrade()
    fsspec.filesystem("s3").mkdir("pool")
    rows = folder / "rows.jsonl"
    rows.write_text('{"instruction": "Say one", "output": "one"}\n')
    with db.writing() as session:
        uri = store().put_file(rows, "datasets/rows.jsonl")
        session.add(ModelRef(name="tiny", location=str(folder), fingerprint="none"))
        session.add(
            Dataset(name="rows", kind="training", format="alpaca", uri=uri, sha256="-", rows=1)
        )


def submit(number: int, steps: int) -> Job:
    return jobs.submit(parse_spec(train(number, steps)), actor=Actor.admin("ann"))


def now(job: Job) -> Job:
    with db.reading() as session:
        return session.get_one(Job, job.id)


def checkpoints(job: Job) -> int:
    with db.reading() as session:
        return len(session.exec(select(Checkpoint).where(Checkpoint.job_id == job.id)).all())


def check_published(job: Job, seed: int, steps: int) -> None:
    """Its files come whole from S3 and hold what an undisturbed run gives."""
    with db.reading() as session:
        (adapter,) = session.exec(select(Adapter).where(Adapter.job_id == job.id)).all()
    with tempfile.TemporaryDirectory() as elsewhere:
        folder = Store("s3://pool/graft", Path(elsewhere)).open_path(adapter.uri)
        assert damage(folder) == ""
        assert (folder / RESULT).read_text() == expected(seed, steps)


def test_a_host_that_is_cut_off_loses_its_job_to_the_other_which_goes_on_from_s3(
    hosts: dict[str, Host],
) -> None:
    steps = 150
    job = submit(1, steps)
    until(lambda: checkpoints(job) >= 2, "a checkpoint is in S3")
    host = hosts[str(now(job).host)]
    assert host.network is not None
    host.network.cut()
    try:
        until(lambda: now(job).host != host.name or now(job).state != JobState.RUNNING, "expiry")
        until(lambda: JobState(now(job).state).is_final, "the other host ends the job")
    finally:
        host.network.join()
    assert now(job).state == JobState.SUCCEEDED
    with db.reading() as session:
        query = select(Attempt).where(Attempt.job_id == job.id).order_by(col(Attempt.epoch))
        first, *_, last = session.exec(query).all()
    assert first.outcome == Outcome.LOST
    assert last.host != host.name
    with db.reading() as session:
        again = [point.step for point in jobs.metrics(session, job.id) if point.epoch == last.epoch]
    assert again
    assert again[0] > 3, "it began again from nothing"
    check_published(job, 1, steps)


def test_a_job_of_one_host_feeds_a_job_of_either(hosts: dict[str, Host]) -> None:
    made = [submit(number, 4) for number in (10, 11)]
    fusion = {
        "kind": "fuse", "name": "fused", "adapters": ["t10", "t11"],
        "params": {"method": "weighted_sum"},
    }  # fmt: skip
    fused = jobs.submit(parse_spec(fusion), actor=Actor.admin("ann"))
    until(lambda: JobState(now(fused).state).is_final, "the fusion ends")
    assert now(fused).state == JobState.SUCCEEDED
    for job, number in zip(made, (10, 11), strict=True):
        check_published(job, number, 4)


def test_a_folder_appears_in_s3_with_its_manifest_last(
    hosts: dict[str, Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.storage import seal

    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("z", "a", "adapter"):
        (folder / name).write_text(name)
    seal(folder)
    remote = store()
    put: list[str] = []
    honest = remote.remote.put_file
    monkeypatch.setattr(
        remote.remote, "put_file", lambda path, key: (put.append(key), honest(path, key))
    )
    key = remote.publish(folder, "jobs/by-hand/a1/out")
    assert [os.path.basename(name) for name in put] == ["a", "adapter", "z", MANIFEST]
    assert remote.listing().count(("by-hand", "a1")) == 1
    remote.remove(key)
    with pytest.raises(FileNotFoundError):
        remote.open_path(key)
