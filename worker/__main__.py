"""`python -m worker`: run jobs on this machine until SIGTERM or Ctrl-C."""

import logging
import signal
import sys

from shared import db, schema
from shared.config import settings
from shared.errors import GraftError
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
        schema.check()
        agent = HostAgent(runners)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: agent.stop())
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
