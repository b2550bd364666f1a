"""`python -m benchmarks.dashboard_scale`: the jobs page with 10,000 and 100,000 jobs, and a crowd.

First rows with an empty and with a full cache, the next page, 25 viewers who refresh every two
seconds, and how long a growing curve of 50,000 points blocks the browser. Rows are there in the
frame after the one in which a name was drawn, in the page or on a table's canvas, so when a person
sees them; the copy of our table for screen readers comes about 300 ms later. Beside it MLflow's
table of 10,000 runs of one experiment, when `--peer` names a Python that has it: `python -m venv
peers && peers/bin/pip install -r benchmarks/peers.txt`, then `--peer peers/bin/python`. MLflow's
next page is what its button "Load more" brings below the runs that are there.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import result, show
from benchmarks.scale import browsing, filling, mlflow_peer, viewers
from shared import db

#: Our table's rows as a screen reader finds them below the canvas, and the button to older ones.
ROWS, MORE = '[data-testid="stDataFrame"] td', "Older"
PAUSE, POINTS = 2.0, 50_000


def pages(home: Path, jobs: int, times: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a browser sees of a pool with so many jobs, and 25 viewers of it."""
    filling.use(home)
    filling.fill(jobs, 0)
    with filling.serving(home) as (url, pid):
        with browsing.chromium() as browser:
            seen = browsing.visit(browser, browsing.Site(url, ROWS, MORE), times)
        row = {"page": "Graft", "jobs": jobs, **vars(seen)}
        load = asyncio.run(viewers.watch(url, pid, count=25, pause=PAUSE, seconds=10 + 5 * times))
    took = np.array(load.seconds) * 1e3
    return row, {
        "jobs": jobs,
        "viewers": 25,
        "refreshes": len(took),
        "p50 ms": float(np.percentile(took, 50)),
        "p95 ms": float(np.percentile(took, 95)),
        "CPU ms a refresh": load.cpu / len(took) * 1e3,
        "KiB a refresh": load.received / len(took) / 1024,
        "server MiB": load.megabytes,
    }


def curve(home: Path, seconds: float) -> dict[str, Any]:
    """What blocks a job's page while its curve of 50,000 points grows by 20 a second."""
    filling.use(home)
    filling.fill(100, POINTS)
    reached = POINTS

    def grow() -> None:
        nonlocal reached
        with db.writing() as session:
            filling.add_points(session, reached, reached + 20)
        reached += 20

    with filling.serving(home) as (url, _), browsing.chromium() as browser:
        found = browsing.blocking(browser, f"{url}/job?id={filling.CURVE}", grow, seconds)
    return {
        "points": POINTS,
        "updates": round(seconds / PAUSE),
        "longest task CPU ms": found.longest_cpu_ms,
        "tasks over 50 ms by the clock": len(found.long_tasks),
        "longest by the clock ms": max(found.long_tasks, default=0.0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--peer", type=Path, help="a Python that has MLFlow")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="100,000 jobs, one visit, no peer")
    asked = parser.parse_args()
    times = 1 if asked.quick else 3
    peer: dict[str, Any] = {}
    rows, loads = [], []
    with tempfile.TemporaryDirectory(prefix="scale-", ignore_cleanup_errors=True) as name:
        for jobs in (100_000,) if asked.quick else (10_000, 100_000):
            row, load = pages(Path(name) / str(jobs), jobs, times)
            rows.append(row)
            loads.append(load)
        ours = rows[-1]
        show("viewers", loads, as_json=asked.json)
        drawn = curve(Path(name) / "curve", 10.0 * times)
        show("a growing curve", [drawn], as_json=asked.json)
        if asked.peer and not asked.quick:
            peer = mlflow_peer.visited(asked.peer, Path(name) / "mlflow", 10_000, times)
        show("jobs page", [*rows, *([peer] if peer else [])], as_json=asked.json)
    result(
        cold_s_100k=ours["cold_s"],
        warm_s_100k=ours["warm_s"],
        next_page_ms=ours["next_page_ms"],
        viewers25_p95_ms=loads[-1]["p95 ms"],
        refresh_cpu_ms=loads[-1]["CPU ms a refresh"],
        curve_block_ms=drawn["longest task CPU ms"],
        **{f"mlflow_{key}": peer[key] for key in ("cold_s", "warm_s", "next_page_ms") if peer},
    )


if __name__ == "__main__":
    main()
