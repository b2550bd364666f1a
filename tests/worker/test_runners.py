"""The zygote forks runners from warm imports, and nothing of it outlives the agent."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orders_of import ROWS
from pools import upgrade, use
from processes import Processes, gone, processes, until
from shared import base_models, datasets, db, jobs
from shared.errors import explain
from shared.orders import BaseFiles, DataFile, WorkOrder
from shared.people.actors import Actor
from shared.specs import parse_spec
from shared.tables import Attempt, Outcome
from worker import registration
from worker.host import HostAgent
from worker.runners import Runner, Runners
from worker.traces import Trace

__all__ = ["processes"]
ANN = Actor.admin("ann")


@pytest.fixture(scope="module")
def runners() -> Iterator[Runners]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFT_DATABASE_URL", "postgresql://secret")
        patch.setenv("GRAFT_BROKER_URL", "redis://secret")
        made = Runners()
        made.warm_up()
        yield made
        made.stop()


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An order whose base does not exist: it fails as soon as the engine looks."""
    use(monkeypatch, tmp_path / "home")
    spec = parse_spec({"kind": "train", "name": "t", "base_model": "b", "dataset": "d"})
    made = WorkOrder(
        job_id="j",
        epoch=1,
        spec=spec,
        folder=tmp_path,
        base=BaseFiles(name="b", location=str(tmp_path / "none"), fingerprint="-"),
        dataset=DataFile(name="d", path=tmp_path / "none.json", sha256="-"),
    )
    path = tmp_path / "missing-base.json"
    path.write_text(made.model_dump_json())
    return path


def trace(order: Path) -> Trace:
    """What the runner of this order leaves on the disk."""
    return Trace(order.with_name("j.a1"))


def start(runners: Runners, order: Path) -> Runner:
    lock = os.open(order.with_name("lock"), os.O_RDWR | os.O_CREAT)
    try:
        return runners.start(order, trace(order), {}, [lock])
    finally:
        os.close(lock)


@pytest.fixture
def waiting(runners: Runners, tmp_path: Path) -> Iterator[Runner]:
    """A runner that waits for its order to be written into a pipe."""
    os.mkfifo(tmp_path / "order.json")
    runner = start(runners, tmp_path / "order.json")
    yield runner
    runner.kill()
    runner.wait(60)


def zygote_of(runner: Runner) -> psutil.Process:
    parent = psutil.Process(runner.pid).parent()
    assert parent is not None
    return parent


def test_a_runner_ends_with_a_named_error_and_its_exit_code_on_the_disk(
    runners: Runners, order: Path
) -> None:
    runner = start(runners, order)
    assert runner.wait(60) == 1
    final = trace(order).final()
    assert final is not None
    assert final["type"] == "error"
    assert final["code"] in ("bad-base", "file-missing")
    assert trace(order).code() == 1
    assert not trace(order).held()


def test_a_runner_has_no_way_to_the_database_or_the_broker(waiting: Runner) -> None:
    environment = psutil.Process(waiting.pid).environ()
    assert not [name for name in environment if name.startswith("GRAFT_")]
    assert "secret" not in str(environment)


def test_a_runner_begins_without_libraries_that_few_jobs_need(waiting: Runner) -> None:
    loaded = {file.path for file in psutil.Process(waiting.pid).memory_maps()}
    assert any("/torch/" in path for path in loaded)
    assert not [path for path in loaded if "/scipy/" in path]


def test_a_runner_that_does_not_lead_its_group_yet_is_killed_all_the_same() -> None:
    # Between fork and setsid a runner is still in the group of its zygote.
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as forked:
        Runner(forked.pid).kill()
        assert forked.wait(60) == -signal.SIGKILL


def test_after_the_zygote_is_killed_its_runners_are_dead_and_a_new_one_serves(
    runners: Runners, waiting: Runner, order: Path
) -> None:
    zygote_of(waiting).kill()
    assert waiting.wait(60) == -signal.SIGKILL
    again = start(runners, order)
    assert again.wait(60) == 1


def test_a_worker_that_is_stopped_while_it_imports_the_engines_stops_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: Processes
) -> None:
    # Engines that would take an hour to import.
    (tmp_path / "slow_engines.py").write_text("import time\ntime.sleep(3600)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    use(monkeypatch, tmp_path / "home")
    upgrade()
    script = (
        "import sys; from worker.__main__ import main; from worker.runners import Runners; "
        "sys.exit(main(Runners('slow_engines')))"
    )
    worker = processes.python("-c", script)
    until(lambda: len(psutil.Process(worker.pid).children()) == 1, "the zygote is started")
    (zygote,) = psutil.Process(worker.pid).children()
    until(lambda: "worker.zygote" in " ".join(zygote.cmdline()), "it has become the zygote")
    worker.terminate()
    assert worker.wait(60) == 0
    assert gone(zygote.pid)


@pytest.fixture
def agent(
    runners: Runners, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> HostAgent:
    """A host of two slots with a base and a dataset, whose looks at the queue the test makes."""
    use(monkeypatch, tmp_path / "home", cpu_slots="2", min_free_mb="0")
    upgrade()
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    made = HostAgent(runners)
    with db.writing() as session:
        registration.register(session, made.devices)
        base_models.register(session, "tiny", str(tiny_llama), actor=ANN)
        datasets.register(session, "rows", tmp_path / "rows.json", "training", actor=ANN)
    return made


def training(steps: int) -> str:
    """A training on two slots, queued; its id."""
    values = {"name": "shared", "base_model": "tiny", "dataset": "rows", "max_steps": steps}
    return jobs.submit(parse_spec({"kind": "train", **values}), actor=ANN, gpus=2).id


def attempt_of(job: str) -> Attempt:
    with db.reading() as session:
        return jobs.attempts(session, job)[0]


def test_a_training_that_asks_for_two_slots_gets_a_process_on_each(agent: HostAgent) -> None:
    job = training(steps=3)
    agent._start_some(deep=True)
    until(lambda: not agent._busy, "its attempt has ended")
    with db.reading() as session:
        text = "\n".join(line.text for line in jobs.log_lines(session, job))
        steps = [point.step for point in jobs.metrics(session, job)]
    attempt = attempt_of(job)
    assert (attempt.outcome, attempt.cards) == (Outcome.SUCCEEDED, [0, 1]), text
    assert "2 processes share the rows of each step" in text
    assert steps == [1, 2, 3]


def test_a_training_of_which_one_process_is_killed_is_tried_again(agent: HostAgent) -> None:
    job = training(steps=100_000)
    agent._start_some(deep=True)
    until(lambda: attempt_of(job).done >= 2, "it has taken its first steps")
    [supervisor] = agent._busy
    runner = psutil.Process(supervisor.runner_pid())
    first, second = sorted(runner.children(), key=lambda each: each.pid)
    second.kill()
    until(lambda: not agent._busy, "its attempt has ended")
    attempt = attempt_of(job)
    assert attempt.outcome == Outcome.RETRY
    assert "process 2: signal 9" in explain(attempt.error)
    assert gone(first.pid)
    assert gone(runner.pid)
