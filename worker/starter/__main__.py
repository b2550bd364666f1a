"""`python -m worker.starter --home FOLDER` makes the starter kit and prints where it lies."""

import argparse
import json
import sys
from pathlib import Path

from shared.config import settings
from worker.starter.kit import starter_kit


def main() -> int:
    """Write the kit's paths as JSON to standard output; progress goes to standard error."""
    parser = argparse.ArgumentParser(prog="python -m worker.starter", description=__doc__)
    parser.add_argument("--home", type=Path, default=settings().root, help="data folder")
    kit = starter_kit(parser.parse_args().home)
    sys.stdout.write(json.dumps(kit.as_json(), ensure_ascii=False, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
