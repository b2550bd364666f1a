"""`python -m benchmarks.throughput.host`: a real worker whose attempts succeed at once.

Claiming, hearing hints, leases and housekeeping are the product's; only the runner is left out.
Each claim's id and the time at which its transaction had committed go to stdout.
"""

import signal
import sys
import time
from collections.abc import Callable

from shared.claims import Claim
from shared.config import settings
from shared.tables import Outcome
from worker.ends import End
from worker.host import HostAgent
from worker.runners import Runners
from worker.supervisor import Supervisor
from worker.tasks import hear, listen
from worker.verdicts import Verdict


class _NoRunners(Runners):
    def warm_up(self, abandoned: Callable[[], bool] = lambda: False) -> None:
        """Nothing will be forked."""

    def stop(self) -> None:
        """Nothing was."""


class _Instant(Supervisor):
    """Commits as soon as it runs."""

    def run(self) -> None:
        self.end = End(self.claim, Verdict(outcome=Outcome.SUCCEEDED))
        self.ends.commit(self.end)


class InstantHost(HostAgent):
    """A host for measuring the pool's own work."""

    def _supervisor(self, claim: Claim, card_locks: list[int]) -> Supervisor:
        sys.stdout.write(f"{claim.job_id} {time.time()}\n")
        sys.stdout.flush()
        return _Instant(claim, self.runners, self.devices.device, card_locks, ends=self.ends)


def main() -> None:
    agent = InstantHost(_NoRunners())
    signal.signal(signal.SIGTERM, lambda *_: agent.stop())
    hear(agent)
    if settings().broker:
        listen(str(settings().broker), agent)
    agent.run()


if __name__ == "__main__":
    main()
