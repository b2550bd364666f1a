"""Plain Celery on Redis as its documentation sets it up: the peer, and the worker's entry point."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from celery import Celery
from redis import Redis


def make_app(url: str) -> Celery:
    """An app with one task that notes when it ran."""
    app = Celery("plain", broker=url)
    app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True,
                    worker_prefetch_multiplier=1, worker_hijack_root_logger=False)  # fmt: skip

    @app.task(name="ran")
    def ran(number: int) -> None:
        with Redis.from_url(url) as redis:
            redis.hset("ran", str(number), str(time.time()))

    return app


class PlainCelery:
    """A worker process, and what it did with tasks."""

    def __init__(self, url: str, log: Path) -> None:
        self._app = make_app(url)
        self._redis = Redis.from_url(url)
        with log.open("ab") as out:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.throughput.plain", url], stdout=out, stderr=out
            )
        self._number = 0
        self.delays(5, 0.02)

    def delays(self, samples: int, pause: float) -> np.ndarray:
        """Seconds from the end of publishing to the task's start, one task at a time.

        A task that began before the publisher was answered counts as 0.
        """
        sent = {}
        for _ in range(samples):
            self._app.send_task("ran", args=[self._number])
            sent[self._number] = time.time()
            self._number += 1
            time.sleep(pause)
        self._wait(self._number)
        ran = {int(key): float(value) for key, value in self._redis.hgetall("ran").items()}
        return np.array([max(0.0, ran[number] - at) for number, at in sent.items()])

    def rates(self, tasks: int) -> tuple[float, float]:
        """Tasks published a second, and run a second."""
        started = time.perf_counter()
        for number in range(self._number, self._number + tasks):
            self._app.send_task("ran", args=[number])
        published = time.perf_counter() - started
        self._number += tasks
        self._wait(self._number)
        return tasks / published, tasks / (time.perf_counter() - started)

    def _wait(self, count: int) -> None:
        end = time.monotonic() + 120
        while self._redis.hlen("ran") < count:
            if time.monotonic() > end:
                raise TimeoutError("the Celery worker does not run its tasks")
            time.sleep(0.01)

    def end(self) -> None:
        self._worker.terminate()
        self._worker.wait()
        self._redis.close()


if __name__ == "__main__":
    make_app(sys.argv[1]).worker_main(["worker", "--concurrency=2", "--loglevel=warning"])
