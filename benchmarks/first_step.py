"""How long a job waits before its first step on a worker that is up.

`python -m benchmarks.first_step --model FOLDER --rows FILE`: trainings of two steps, one after
another, through the queue, a broker and a worker of a fresh data folder.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median

from sqlmodel import Session, col, select

from benchmarks import report
from infra.local.pool import LocalPool
from shared import base_models, datasets, db, jobs, schema
from shared.people.actors import Actor
from shared.specs import TrainingSpec
from shared.tables import Event, JobState, LogLine, MetricPoint

USER = "benchmark"


def times(session: Session, job_id: str) -> dict[str, float]:
    """The seconds between the stations of a job, from its own records."""
    said = {
        line.text.removeprefix("— "): line.at
        for line in session.exec(select(LogLine).where(LogLine.job_id == job_id)).all()
        if line.text.startswith("— ")
    }
    events = {
        event.kind: event.at
        for event in session.exec(select(Event).where(Event.job_id == job_id)).all()
    }
    points = select(MetricPoint.at).where(MetricPoint.job_id == job_id)
    first = session.exec(points.order_by(col(MetricPoint.at)).limit(1)).one()
    loading = said["training"] - said["loading base"]
    return {
        "queued to claimed s": events["claimed"] - events["submitted"],
        "claimed to engine s": said["reading data"] - events["claimed"],
        "loading the base s": loading,
        "first step s": first - said["training"],
        "beyond loading s": first - events["submitted"] - loading,
    }


def measure(model: Path, rows: Path, count: int) -> list[dict[str, float]]:
    """One row a job, once the worker is up."""
    with db.writing() as session:
        base_models.register(session, "base", str(model), actor=Actor.admin(USER))
        datasets.register(session, "rows", rows, "training", actor=Actor.admin(USER))
    found = []
    for number in range(count + 1):
        spec = TrainingSpec(
            name=f"job-{number}", base_model="base", dataset="rows", rows=64, max_steps=2,
            batch_size=8, max_length=128, seed=number,
        )  # fmt: skip
        found.append(_when_done(jobs.submit(spec, actor=Actor.admin(USER)).id))
    # Before the first one the worker was still importing.
    return found[1:]


def _when_done(job_id: str) -> dict[str, float]:
    while True:
        with db.reading() as session:
            state = JobState(jobs.find(session, job_id).state)
            if state == JobState.SUCCEEDED:
                return times(session, job_id)
        if state.is_final:
            raise SystemExit(f"job {job_id} ended as {state}")
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a base model's folder")
    parser.add_argument("--rows", type=Path, required=True, help="a training file")
    parser.add_argument("--jobs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="two jobs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="first-step-") as home:
        os.environ["GRAFT_HOME"] = home
        schema.upgrade()
        with LocalPool(dashboard=False, tell=print):
            found = measure(given.model, given.rows, 2 if given.quick else given.jobs)
    report.show("from submission to the first step", found, as_json=given.json)
    beyond = [row["beyond loading s"] for row in found]
    report.result(beyond_median_s=median(beyond), beyond_worst_s=max(beyond), jobs=len(found))


if __name__ == "__main__":
    main()
