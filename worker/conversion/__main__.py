"""`python -m worker.conversion FOLDER OUT`: convert a checkpoint, shard after shard."""

import argparse
import sys
from pathlib import Path

from shared.errors import GraftError
from shared.language import language, say
from worker.conversion.convert import convert


def main() -> int:
    """Write OUT; progress goes to standard error, the folder's name to standard output."""
    parser = argparse.ArgumentParser(prog="python -m worker.conversion", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    try:
        convert(given.folder, given.out, print_error)
    except GraftError as wrong:
        print_error(say("Error: ", "错误：") + wrong.message(language()))
        return wrong.exit_code
    sys.stdout.write(f"{given.out}\n")
    return 0


def print_error(line: str) -> None:
    """One line for the person who waits."""
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
