"""How a worker hears hints: a Celery task whose message only says that a job is waiting, and the
database's notices."""

import logging
import threading
from typing import Any

import psycopg
from celery import Celery
from sqlalchemy.exc import DBAPIError

from shared import notices
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


def hear(agent: HostAgent) -> threading.Thread:
    """Take PostgreSQL's notices in a thread of its own; connect again when the database was away.

    Whoever was told while nobody listened looks once it does.
    """

    def serve() -> None:
        while not agent.stopping.is_set():
            try:
                with notices.listening() as connection:
                    agent.look()
                    while not agent.stopping.is_set():
                        if notices.heard(connection, 1.0):
                            agent.look()
            except (DBAPIError, psycopg.Error) as away:
                logger.warning("no notices, database away: %s", away)
                agent.stopping.wait(1.0)

    thread = threading.Thread(target=serve, name="notices", daemon=True)
    thread.start()
    return thread


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
