"""The Celery side of a worker: one task, whose message is only a hint that a job is waiting."""

import logging
import threading
from typing import Any

from celery import Celery

from shared.config import settings
from shared.queue import RUN_JOB, make_app
from worker.host import HostAgent

logger = logging.getLogger(__name__)


def make_worker(broker: str, agent: HostAgent) -> Celery:
    """The Celery app of this host: `graft.run_job(job_id)` wakes the agent."""
    app = make_app(broker, settings().host_name)

    @app.task(name=RUN_JOB)
    def run_job(job_id: str) -> None:
        """Look at the queue. The agent claims in the pool's order, whatever id was hinted."""
        logger.debug("hint for job %s", job_id)
        agent.hint()

    return app


def listen(broker: str, agent: HostAgent) -> threading.Thread:
    """Take hints in a thread of their own; when Celery gives up, start it again."""

    def serve() -> None:
        pause = 1.0
        while not agent.stopping.is_set():
            app = make_worker(broker, agent)
            options: dict[str, Any] = {
                "pool_cls": "threads",
                "concurrency": 1,
                "hostname": None,
                "without_gossip": True,
                "without_mingle": True,
                "without_heartbeat": True,
            }
            worker = app.WorkController(**options)
            try:
                worker.start()
            except Exception:
                # Whatever broke, jobs are still found by polling.
                logger.exception("taking hints failed; polling goes on")
            agent.stopping.wait(pause)
            pause = min(60.0, pause * 2)

    thread = threading.Thread(target=serve, name="hints", daemon=True)
    thread.start()
    return thread
