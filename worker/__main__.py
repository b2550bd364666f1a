"""`python -m worker`: run jobs on this machine until SIGTERM or Ctrl-C.

SIGUSR2, which `graft worker restart` sends, and SIGHUP start the worker anew in its place, with the
code that is installed by then; running jobs go on. A terminal that was closed sends SIGHUP too:
there it is the end, as for any program.
"""

import logging
import os
import signal
import sys
import time

from shared import db, schema
from shared.config import settings
from shared.errors import GraftError, NotReachable
from worker import adoption, registration
from worker.host import HostAgent
from worker.runners import Runners
from worker.tasks import hear, listen


def main(runners: Runners | None = None) -> int:
    """Run the agent; exit 0 after a clean stop."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        _check_schema()
        agent = HostAgent(runners)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: agent.stop())
        signal.signal(signal.SIGUSR2, lambda *_: agent.leave())
        at_terminal = sys.stdin is not None and sys.stdin.isatty()
        signal.signal(signal.SIGHUP, lambda *_: agent.stop() if at_terminal else agent.leave())
        broker = settings().broker
        if broker is None:
            logging.info("no broker: looking for jobs every %.0f s", settings().poll_seconds)
        else:
            listen(broker, agent)
        if db.engine().dialect.name != "sqlite":
            hear(agent)
        agent.run()
    except GraftError as wrong:
        logging.error("%s", wrong)
        return wrong.exit_code
    if agent.leaving.is_set():
        logging.info("starting anew; running jobs go on")
        for number in (signal.SIGHUP, signal.SIGUSR2):
            # Ignored until the new program takes them: a second one must not be its end.
            signal.signal(number, signal.SIG_IGN)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    return 0


def _check_schema() -> None:
    """Raises as `schema.check` does, but waits for the database while runners here go on."""
    (settings().root / "run").mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + settings().orphan_grace
    with registration.be_present():
        while True:
            try:
                schema.check()
                return
            except NotReachable as away:
                left = any(trace.held() for trace in adoption.left_behind())
                if not left or time.monotonic() > until:
                    raise
                logging.warning("%s; runners go on", away)
            time.sleep(1.0)


if __name__ == "__main__":
    sys.exit(main())
