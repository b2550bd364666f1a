"""The Celery app: a message is a hint that carries a job id, and may be lost or doubled.

The database decides what runs, so nothing here retries, acknowledges late or keeps results
(settings and their measured reasons: docs/pool.md).
"""

import threading
from typing import Any

from celery import Celery
from kombu import Queue
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from shared.config import settings

RUN_JOB = "graft.run_job"
QUEUE = "jobs"


def make_app(broker: str | None) -> Celery:
    """The Celery app on a broker; without one it stays unused and workers poll."""
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
        task_queues=[Queue(QUEUE)],
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


def hint(job_id: str) -> bool:
    """Tell the workers to look at the queue; False when no broker took the hint in time.

    Publishing to a stalled broker blocks for many seconds, so it happens beside the caller, who
    waits half a second at most: the row is safe already, and workers poll.
    """
    broker = settings().broker
    if broker is None:
        return False
    sent = threading.Event()
    threading.Thread(target=_send, args=(broker, job_id, sent), daemon=True).start()
    return sent.wait(0.5)


def _send(broker: str, job_id: str, sent: threading.Event) -> None:
    try:
        with make_app(broker) as app:
            app.send_task(RUN_JOB, args=[job_id], queue=QUEUE)
        sent.set()
    except (KombuError, RedisError, OSError):
        # The caller sees the missing event; the sweeper sends the hint again.
        return
