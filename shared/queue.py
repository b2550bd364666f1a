"""The Celery app: a message is a hint that carries a job id, and may be lost or doubled.

The database decides what runs, so nothing here retries, acknowledges late or keeps results
(settings and their measured reasons: docs/pool.md).
"""

import threading
from functools import lru_cache
from typing import Any

from celery import Celery
from kombu import Queue
from kombu.exceptions import KombuError
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError, OperationalError

from shared import notices
from shared.config import settings

RUN_JOB = "graft.run_job"
QUEUE = "jobs"


def make_app(broker: str | None, host: str | None = None) -> Celery:
    """The Celery app on a broker; without one it stays unused and workers poll.

    A worker names its `host`, to hear the hints for it alone beside those for anybody.
    """
    app = Celery("graft", broker=broker or "memory://", set_as_current=False)
    app.conf.update(
        broker_transport_options=_transport(broker),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_pool_acquire_timeout=5,
        task_publish_retry=False,
        task_serializer="json",
        accept_content=["json"],
        event_serializer="json",
        task_ignore_result=True,
        result_backend=None,
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        task_create_missing_queues=False,
        task_default_queue=QUEUE,
        task_queues=[Queue(QUEUE), *([Queue(host_queue(host))] if host else [])],
        enable_utc=True,
    )
    return app


def _transport(broker: str | None) -> dict[str, Any]:
    if broker is None:
        return {}
    options: dict[str, Any] = {
        "global_keyprefix": "graft:",
        "queue_order_strategy": "priority",
        "priority_steps": list(range(10)),
        "sep": ":",
        "visibility_timeout": 3600,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 10,
        "health_check_interval": 15,
        "client_name": "graft",
    }
    if not broker.startswith("redis+socket"):
        options |= {"socket_connect_timeout": 5, "socket_keepalive": True}
    return options


def host_queue(host: str) -> str:
    """The queue of hints for one host alone."""
    return f"host.{host}"


def hint(job_id: str, *, host: str | None = None) -> bool:
    """Tell a worker (of that host) to look at the queue; False when no hint was taken in time.

    PostgreSQL passes it on at once. Publishing to a stalled broker blocks for many seconds, so it
    happens beside the caller, who waits half a second at most, and not at all where the database
    has told a worker already: the row is safe, and workers poll.
    """
    told = _notify(host)
    broker = settings().broker
    if broker is None:
        return told
    sent = _sender(broker).send(job_id, host)
    return told or sent.wait(0.5)


def _notify(host: str | None) -> bool:
    try:
        return notices.send(host)
    except (OperationalError, DBAPIError):
        return False


class _Sender:
    """Publishes hints from a thread of its own; those that wait for the same host become one."""

    def __init__(self, broker: str) -> None:
        self._app = make_app(broker)
        self._waiting: dict[str | None, tuple[str, threading.Event]] = {}
        self._any = threading.Condition()
        threading.Thread(target=self._serve, name="hinting", daemon=True).start()

    def send(self, job_id: str, host: str | None) -> threading.Event:
        """Queue a hint; the event is set once the broker has it."""
        with self._any:
            _, sent = self._waiting.setdefault(host, (job_id, threading.Event()))
            self._any.notify()
        return sent

    def _serve(self) -> None:
        while True:
            with self._any:
                self._any.wait_for(lambda: self._waiting)
                host = next(iter(self._waiting))
                job_id, sent = self._waiting.pop(host)
            try:
                queue = QUEUE if host is None else Queue(host_queue(host))
                self._app.send_task(RUN_JOB, args=[job_id], queue=queue)
                sent.set()
            except (KombuError, RedisError, OSError):
                # The caller sees the missing event; the sweeper sends the hint again.
                continue


@lru_cache(maxsize=4)
def _sender(broker: str) -> _Sender:
    return _Sender(broker)
