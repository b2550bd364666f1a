"""MLflow's page of runs beside ours: a database of runs, `mlflow server`, the same browser.

Run as a script by the peer's Python it fills the database: `mlflow_peer.py DATABASE RUNS`.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

#: The peer's runs by their links, the button below them, and the box that both are in.
ROWS, MORE, BOX = ".ag-row a", "Load more", ".ag-body-viewport"


def fill(url: str, runs: int) -> None:
    """Add ended runs with three parameters and two metrics each, as a script that logged them."""
    models = import_module("mlflow.store.tracking.dbmodels.models")
    stores = import_module("mlflow.store.tracking.sqlalchemy_store")
    store = stores.SqlAlchemyStore(url, "./artifacts")
    now, chance = int(time.time() * 1000), random.Random(1)
    rows: dict[Any, list[dict[str, Any]]] = {}
    for n in range(runs):
        run = {"run_uuid": f"{n:032x}"}
        started = now - 60_000 * (runs - n)
        rows.setdefault(models.SqlRun, []).append(
            run | {
                "name": f"train-{n}", "source_type": "LOCAL", "source_name": "train.py",
                "entry_point_name": "", "user_id": "ann", "status": "FINISHED",
                "start_time": started, "end_time": started + 1_000_000, "source_version": "",
                "lifecycle_stage": "active", "artifact_uri": f"./artifacts/{n}",
                "experiment_id": 0,
            }
        )  # fmt: skip
        for key, value in (("rank", "8"), ("lr", "2e-4"), ("base", "llama")):
            rows.setdefault(models.SqlParam, []).append(run | {"key": key, "value": value})
        rows.setdefault(models.SqlTag, []).append(
            run | {"key": "mlflow.runName", "value": f"train-{n}"}
        )
        for key in ("loss", "eval_loss"):
            point = {"key": key, "value": chance.random(), "timestamp": started, "step": 1}
            for table in (models.SqlMetric, models.SqlLatestMetric):
                rows.setdefault(table, []).append(run | point | {"is_nan": False})
    with store.engine.begin() as connection:
        for table, values in rows.items():
            connection.execute(table.__table__.insert(), values)


def visited(python: Path, home: Path, runs: int, times: int) -> dict[str, Any]:
    """Our browser's visits to the peer's page; the versions come from the peer itself."""
    from benchmarks.scale import browsing, filling

    home.mkdir(parents=True)
    url = f"sqlite:///{home}/mlflow.db"
    quiet = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    # Beside this one's packages the peer must not find ours.
    quiet.pop("PYTHONPATH", None)
    command = [str(python), str(Path(__file__).resolve()), url, str(runs)]
    subprocess.run(command, check=True, cwd=home, env=quiet)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = [str(python), "-m", "mlflow", "server", "--backend-store-uri", url]
    server += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            server, stdout=log, stderr=log, cwd=home, env=quiet, start_new_session=True
        )
    try:
        filling.await_port(port, process)
        site = browsing.Site(f"http://127.0.0.1:{port}/#/experiments/0/runs", ROWS, MORE, BOX)
        with browsing.chromium() as browser:
            seen = browsing.visit(browser, site, times)
    finally:
        _end(process)
    return {"page": "MLflow", "jobs": runs, **vars(seen)}


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Stop the server and what it started; kill them where they do not stop."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
