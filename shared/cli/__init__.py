"""The `graft` command: one file a noun, errors that name the thing and the remedy."""

import sys

from shared.cli.failures import report_unexpected
from shared.cli.root import root


def main() -> None:
    """Entry point of `graft`."""
    sys.excepthook = report_unexpected
    root.main(prog_name="graft")


__all__ = ["main", "root"]
