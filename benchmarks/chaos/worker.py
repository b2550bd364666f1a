"""`python -m benchmarks.chaos.worker`: the real worker, whose runners do the stand-in's work."""

import sys

from worker.__main__ import main
from worker.runners import Runners

if __name__ == "__main__":
    sys.exit(main(Runners("benchmarks.chaos.engine")))
