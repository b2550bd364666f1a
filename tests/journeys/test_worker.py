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

import pytest
from sqlmodel import select

import graft
from calling import serving
from pools import use
from processes import paused
from shared import base_models, datasets, db, hosts, jobs, results, usage
from shared.errors import explain
from shared.people.actors import Actor
from shared.queueing import Request
from shared.specs import parse_spec
from shared.storage import store
from shared.sweeps import submit_sweep
from shared.tables import Adapter, Attempt, Event, Job, JobState, MetricPoint, ModelRef, Outcome
from worker import adoption

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]
#: Reached only by a failure.
PATIENCE = 180.0


@pytest.fixture(scope="module")
def worker(
    tiny_llama: Path, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["subprocess.Popen[bytes]"]:
    """One worker on SQLite for all tests of this file, with a base and two datasets."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        use(patch, home, broker_url=redis_url, host_name="gpu-1", backoff_seconds="0.1",
            min_free_mb="0", poll_seconds="1")  # fmt: skip
        from shared import schema

        schema.upgrade()
        rows = [{"instruction": f"Say {n}", "output": f"{n} it is"} for n in range(64)]
        (home / "rows.json").write_text(json.dumps(rows))
        with db.writing() as session:
            base_models.register(session, "tiny", str(tiny_llama), actor=Actor.admin("ann"))
            datasets.register(
                session, "rows", home / "rows.json", "training", actor=Actor.admin("ann")
            )
        with (home / "worker.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "worker"], stderr=log, stdout=log)
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0


def spec_of(name: str) -> dict[str, Any]:
    return {
        "kind": "train", "name": name, "base_model": "tiny", "dataset": "rows", "rank": 4,
        "max_steps": 6, "batch_size": 8, "checkpoint_every": 2, "max_length": 512,
    }  # fmt: skip


def train(name: str, asked: dict[str, Any] | None = None, **more: Any) -> Job:
    return jobs.submit(parse_spec(spec_of(name) | more), actor=Actor.admin("ann"), **(asked or {}))


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


def runner_of(job: Job) -> int:
    """The process of its first attempt."""
    who = adoption.trace_of(job.id, 1).identify()
    assert who is not None
    return who.pid


def told_of(job: Job) -> list[str]:
    """The kinds of a job's events."""
    with db.reading() as session:
        return list(session.exec(select(Event.kind).where(Event.job_id == job.id)))


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
        assert attempt.gpu_seconds > 0
        # The worker tidies up once the end is in the database.
        until(job, lambda *_: not list(folder.parent.glob("checkpoints/*")))

    def test_the_clients_example_trains_fuses_and_judges_over_the_api(self, tmp_path: Path) -> None:
        items = [
            {"id": f"{n}", "lang": "en", "prompt": f"Say {n}", "choices": [f"{n} it is", "no"],
             "answer": 0}
            for n in range(8)
        ]  # fmt: skip
        file = tmp_path / "items.jsonl"
        file.write_text("".join(json.dumps(item) + "\n" for item in items))
        graft.Client().add_dataset("sayings", file, kind="benchmark")
        script = Path(__file__).parents[2] / "docs" / "examples" / "first.py"
        with serving() as url:
            done = subprocess.run(
                [sys.executable, script, "tiny", "rows", "sayings"],
                env=os.environ | {"GRAFT_URL": url, "GRAFT_LANG": "en"},
                capture_output=True,
                text=True,
            )
        assert done.returncode == 0, done.stderr
        assert "sayings" in done.stdout
        assert "succeeded" in done.stderr
        fused = next(job for job in graft.Client().jobs(kinds=["fuse"]))
        assert len(fused.adapter.parents) == 2

    def test_a_runner_that_is_killed_goes_on_from_its_checkpoint(self) -> None:
        job = stepping(train("killed", max_steps=120))
        os.kill(runner_of(job), signal.SIGKILL)
        job = ended(job)
        assert job.state == JobState.SUCCEEDED, explain(job.error)
        with db.reading() as session:
            first, second = jobs.attempts(session, job.id)
            text = "\n".join(line.text for line in jobs.log_lines(session, job.id))
        assert (first.outcome, second.outcome) == (Outcome.RETRY, Outcome.SUCCEEDED)
        assert "signal 9" in explain(first.error)
        assert "continuing from step" in text

    def test_a_cancelled_job_stops_and_publishes_nothing(self) -> None:
        job = stepping(train("endless", max_steps=100_000))
        jobs.cancel(job.id, actor=Actor.admin("ann"))
        job = ended(job)
        assert job.state == JobState.CANCELLED
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
        job = ended(jobs.submit(parse_spec(spec), actor=Actor.admin("ann")))
        assert job.state == JobState.FAILED
        assert explain(job.error).startswith("NO-OP")

    def test_an_urgent_job_starts_on_a_full_pool_and_the_other_loses_no_step(self) -> None:
        soak = stepping(train("soak", {"preemptible": True}, max_steps=300, checkpoint_every=50))
        with paused(runner_of(soak)):
            urgent = train("urgent", {"priority": 9})
            until(soak, lambda found, _: found.preempt_requested_at is not None)
        urgent = ended(urgent)
        assert urgent.state == JobState.SUCCEEDED
        assert ended(soak).state == JobState.SUCCEEDED
        with db.reading() as session:
            first, *_, last = jobs.attempts(session, soak.id)
            steps = [point.step for point in session.exec(
                select(MetricPoint).where(MetricPoint.job_id == soak.id)
            )]  # fmt: skip
        assert (first.outcome, last.outcome) == (Outcome.PREEMPTED, Outcome.SUCCEEDED)
        assert (urgent.started_at or 1e18) < last.started_at
        assert sorted(steps) == list(range(1, 301))

    def test_a_real_training_goes_on_through_an_upgrade_bit_for_bit(
        self, worker: "subprocess.Popen[bytes]"
    ) -> None:
        unbroken = ended(train("unbroken", max_steps=80, dropout=0.1, seed=3))
        job = stepping(train("upgraded", max_steps=80, dropout=0.1, seed=3))
        with paused(runner_of(job)):
            worker.send_signal(signal.SIGHUP)
            until(job, lambda found, _: "adopted" in told_of(found))
        job = ended(job)
        assert job.state == JobState.SUCCEEDED, explain(job.error)
        with db.reading() as session:
            (attempt,) = jobs.attempts(session, job.id)
            curves = [
                [(point.step, point.values["loss"]) for point in jobs.metrics(session, each.id)]
                for each in (unbroken, job)
            ]
        assert attempt.outcome == Outcome.SUCCEEDED
        assert curves[0] == curves[1]
        assert [step for step, _ in curves[1]] == list(range(1, 81))

    def test_a_sweep_is_cut_moved_and_drained_and_accounted_for(self) -> None:
        with db.writing() as session:
            hosts.drain(session, "gpu-1", accepting=False, actor=Actor.admin("ann"))
        request = Request(actor=Actor.admin("bob"), project="sweeps")
        grid = {"learning_rate": [1e-4, 2e-4, 3e-4, 4e-4], "rank": [2, 4]}
        made = submit_sweep(spec_of("grid") | {"max_steps": 2}, grid, request)
        assert len({job.sweep for job in made}) == 1
        assert [job.name for job in made] == [f"grid-{number}" for number in range(1, 9)]
        for job in made[2:5]:
            assert jobs.cancel(job.id, actor=Actor.admin("bob")) is JobState.CANCELLED
        jobs.reprioritise(made[7].id, 9, actor=Actor.admin("bob"))
        with db.writing() as session:
            hosts.drain(session, "gpu-1", accepting=True, actor=Actor.admin("ann"))
        first = ended(made[7])
        with db.writing() as session:
            hosts.drain(session, "gpu-1", accepting=False, actor=Actor.admin("ann"))
        with db.reading() as session:
            running = {job.id for job in jobs.listing(session, states=[JobState.RUNNING])}
        for job_id in running:
            ended(jobs_by_id(job_id))
        with db.writing() as session:
            hosts.drain(session, "gpu-1", accepting=True, actor=Actor.admin("ann"))
        done = [ended(job) for job in made]
        states = [job.state for job in done]
        assert states.count(JobState.SUCCEEDED) == 5
        assert [job.state for job in done[2:5]] == [JobState.CANCELLED] * 3
        assert first.started_at == min(job.started_at or 1e18 for job in done)
        with db.reading() as session:
            held = [attempt for job in done for attempt in jobs.attempts(session, job.id)]
            (line,) = usage.account(session, user="bob")
        assert line.attempts == len(held) == 5
        seconds = sum((each.ended_at or 0.0) - each.started_at for each in held)
        assert abs(line.gpu_seconds - seconds) < 1.0


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


def jobs_by_id(job_id: str) -> Job:
    with db.reading() as session:
        return jobs.find(session, job_id)
