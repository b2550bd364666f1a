"""Names people give: labels only, never paths."""

import re

from shared.errors import BadName

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str) -> str:
    """The name, when it may be used. Raises BadName."""
    if not _NAME.fullmatch(name):
        raise BadName(name=name)
    return name
