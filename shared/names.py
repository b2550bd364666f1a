"""Names people give: labels only, never paths."""

import re

from sqlmodel import Session, col, select

from shared.errors import BadName
from shared.tables import Adapter, Comparison, Job

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST = 64


def check_name(name: str) -> str:
    """The name, when it may be used. Raises BadName."""
    if not _NAME.fullmatch(name):
        raise BadName(name=name)
    return name


def fresh_name(session: Session, name: str) -> str:
    """NAME-2, or with the first higher number that no job, adapter or comparison has."""
    stem = re.sub(r"-\d+$", "", name)
    taken: set[str] = set()
    for table in (Job, Adapter, Comparison):
        found = select(table.name).where(col(table.name).startswith(stem, autoescape=True))
        taken |= set(session.exec(found).all())
    for number in range(2, len(taken) + 3):
        end = f"-{number}"
        made = stem[: _LONGEST - len(end)] + end
        if made not in taken:
            return made
    raise AssertionError("one of more numbers than names is free")
