"""Benchmarks that Graft writes itself, so that a pool without a network can evaluate at once."""

import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sqlmodel import Session

from shared import datasets
from shared.errors import UnknownDataset
from shared.people.actors import Actor
from shared.starter.obedience import instructions, languages
from shared.starter.skills import MAKERS, benchmark
from shared.starter.world import World
from shared.tables import Dataset

#: Items of each language in each set.
ITEMS = 150

BUILTIN: dict[str, Callable[[World], list[dict[str, Any]]]] = {
    **{f"starter-{skill}": lambda world, skill=skill: benchmark(world, skill, ITEMS)
       for skill in MAKERS},
    "starter-instructions": lambda world: instructions(world, ITEMS),
    "starter-language": lambda world: languages(world, ITEMS, told=False),
    "starter-language-told": lambda world: languages(world, ITEMS, told=True),
}  # fmt: skip


def add_builtin(session: Session, names: Iterable[str], *, actor: Actor) -> list[Dataset]:
    """Write sets and register each under its own name; one that is there already stays.

    Raises Forbidden, UnknownDataset for a name that is no set, NameTaken for a name that another
    file has.
    """
    world, added = World(), []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            if name not in BUILTIN:
                raise UnknownDataset(kind="benchmark", name=name, known=", ".join(BUILTIN))
            path = Path(folder) / f"{name}.jsonl"
            lines = (json.dumps(row, ensure_ascii=False) for row in BUILTIN[name](world))
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            added.append(datasets.register(session, name, path, "benchmark", actor=actor))
    return added
