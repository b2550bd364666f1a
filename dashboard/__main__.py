"""`python -m dashboard`: serve the dashboard at the configured address and port."""

import os
import sys
from pathlib import Path

from dashboard import oidc
from dashboard.visitor import require_protection
from shared import schema
from shared.config import settings
from shared.errors import GraftError
from shared.language import language

APP = Path(__file__).with_name("serve.py")


def command() -> list[str]:
    """The Streamlit command line; everything else stands in `.streamlit/config.toml`."""
    return [
        sys.executable, "-m", "streamlit", "run", str(APP),
        "--server.address", settings().dashboard_address,
        "--server.port", str(settings().dashboard_port), *oidc.arguments(),
    ]  # fmt: skip


def main() -> None:
    """Check that the database is there and current, then become Streamlit."""
    try:
        schema.check()
        require_protection()
        arguments = command()
    except GraftError as problem:
        sys.stderr.write(problem.message(language()) + "\n")
        sys.exit(problem.exit_code)
    os.execv(arguments[0], arguments)


if __name__ == "__main__":
    main()
