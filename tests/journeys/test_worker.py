"""A real worker process with a real broker: jobs run, fail with reasons, stop when asked."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pools import use
from shared import base_models, datasets, db, jobs, results
from shared.errors import explain
from shared.specs import parse_spec
from shared.storage import store
from shared.tables import Adapter, Attempt, Job, JobState, ModelRef, Outcome

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]
PATIENCE = 90.0


@pytest.fixture(scope="module")
def worker(
    tiny_llama: Path, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["subprocess.Popen[bytes]"]:
    """One worker on SQLite for all tests of this file, with a base and two datasets."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        use(patch, home, broker_url=redis_url, host_name="gpu-1", backoff_seconds="0.1")
        from shared import schema

        schema.upgrade()
        rows = [{"instruction": f"Say {n}", "output": f"{n} it is"} for n in range(64)]
        (home / "rows.json").write_text(json.dumps(rows))
        with db.writing() as session:
            base_models.register(session, "tiny", str(tiny_llama), actor="ann")
            datasets.register(session, "rows", home / "rows.json", "training", actor="ann")
        with (home / "worker.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "worker"], stderr=log, stdout=log)
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def train(name: str, **more: Any) -> Job:
    spec = {
        "kind": "train", "name": name, "base_model": "tiny", "dataset": "rows", "rank": 4,
        "max_steps": 6, "batch_size": 8, "checkpoint_every": 2, "max_length": 512,
    }  # fmt: skip
    return jobs.submit(parse_spec(spec | more), user="ann")


def until(job: Job, met: Callable[[Job, Attempt | None], bool]) -> Job:
    """Watch the database until a job meets a condition; the job as it is then."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with db.reading() as session:
            found = jobs.find(session, job.id)
            attempts = jobs.attempts(session, job.id)
        if met(found, attempts[-1] if attempts else None):
            return found
        assert time.monotonic() < deadline, (found, attempts)
        time.sleep(0.05)


def ended(job: Job) -> Job:
    return until(job, lambda found, _: JobState(found.state).is_final)


def stepping(job: Job) -> Job:
    """Wait until the job has taken its first steps."""
    return until(job, lambda _, attempt: attempt is not None and attempt.done >= 2)


@pytest.mark.usefixtures("worker")
class TestJobs:
    def test_a_training_publishes_an_adapter_with_curves_and_a_log(self) -> None:
        job = ended(train("first"))
        assert job.state == JobState.SUCCEEDED, explain(job.error)
        with db.reading() as session:
            adapter = results.adapter(session, "first")
            steps = [point.step for point in jobs.metrics(session, job.id)]
            text = "\n".join(line.text for line in jobs.log_lines(session, job.id))
            (attempt,) = jobs.attempts(session, job.id)
        folder = store().open_path(adapter.uri)
        assert (folder / "adapter_model.safetensors").exists()
        assert steps == [1, 2, 3, 4, 5, 6]
        assert "training" in text
        assert attempt.slot_seconds > 0
        assert not list(folder.parent.glob("checkpoints/*"))

    def test_a_runner_that_is_killed_goes_on_from_its_checkpoint(
        self, worker: "subprocess.Popen[bytes]"
    ) -> None:
        job = stepping(train("killed", max_steps=60))
        (zygote,) = psutil.Process(worker.pid).children()
        (runner,) = zygote.children()
        runner.send_signal(signal.SIGKILL)
        job = ended(job)
        assert job.state == JobState.SUCCEEDED, explain(job.error)
        with db.reading() as session:
            first, second = jobs.attempts(session, job.id)
            text = "\n".join(line.text for line in jobs.log_lines(session, job.id))
        assert (first.outcome, second.outcome) == (Outcome.RETRY, Outcome.SUCCEEDED)
        assert "signal 9" in explain(first.error)
        assert "continuing from step" in text

    def test_a_cancelled_job_stops_within_ten_seconds(self) -> None:
        job = stepping(train("endless", max_steps=100_000))
        asked = time.monotonic()
        jobs.cancel(job.id, user="ann")
        assert ended(job).state == JobState.CANCELLED
        assert time.monotonic() - asked < 10
        with db.reading() as session:
            assert session.get(Adapter, "endless") is None

    def test_a_job_over_its_time_limit_fails_and_says_so(self) -> None:
        job = ended(train("long", max_steps=100_000, time_limit=2))
        assert job.state == JobState.FAILED
        assert "time_limit" in explain(job.error)

    def test_a_base_that_vanished_fails_the_job_with_its_name_and_the_worker_lives(
        self, worker: "subprocess.Popen[bytes]", tmp_path: Path
    ) -> None:
        with db.writing() as session:
            gone = ModelRef(name="gone", location=str(tmp_path / "gone"), fingerprint="x")
            session.add(gone)
        job = ended(train("on-gone", base_model="gone"))
        assert job.state == JobState.FAILED
        assert str(tmp_path / "gone") in explain(job.error)
        assert str(tmp_path / "gone") in explain(job.error, "zh")
        assert worker.poll() is None
        assert ended(train("after")).state == JobState.SUCCEEDED

    def test_the_sum_of_an_adapter_and_its_opposite_fails_as_a_no_op(self) -> None:
        ended(train("plus"))
        spec = {
            "kind": "fuse", "name": "nothing", "adapters": ["plus", "plus"],
            "params": {"method": "weighted_sum", "weights": [1.0, -1.0]},
        }  # fmt: skip
        job = ended(jobs.submit(parse_spec(spec), user="ann"))
        assert job.state == JobState.FAILED
        assert explain(job.error).startswith("NO-OP")


def test_a_full_disk_fails_the_job_with_that_reason(
    worker: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    attempts = store().attempt_folder("x", 1).parents[1]
    attempts.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(attempts)], check=True)
    try:
        job = ended(train("too-big", rank=32))
    finally:
        subprocess.run(["umount", "-l", str(attempts)], check=True)
    assert job.state == JobState.FAILED
    assert "no room" in explain(job.error)
    assert "gpu-1" in explain(job.error)
    assert worker.poll() is None
