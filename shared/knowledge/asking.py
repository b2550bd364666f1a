"""Asking a knowledge base, as of a revision; and freezing a revision as a file."""

import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy
from sqlmodel import Session, SQLModel, col, or_, select

from shared.config import settings
from shared.errors import EmptyKnowledge, InvalidSpec, both
from shared.knowledge.bases import alive, checked_revision, find, sample_count
from shared.orders import DataFile
from shared.retrieval import (
    Found,
    Index,
    Sample,
    Version,
    at_random,
    most_similar,
    terms,
    write_samples,
)
from shared.retrieval.index import FOREVER
from shared.storage import Store, file_sha256
from shared.tables import KnowledgeBase, SampleVersion

_TABLE = SQLModel.metadata.tables["sampleversion"]
_NAMED = re.compile(r"(?P<name>[^@]+)(@(?P<revision>\d{1,12}))?")


@dataclass
class _Resident:
    """The index of one knowledge base in this process, as of the revision it was last asked for."""

    index: Index = field(default_factory=Index)
    revision: int = -1
    lock: threading.Lock = field(default_factory=threading.Lock)


_RESIDENT: dict[tuple[str, str, float], _Resident] = {}
_GUARD = threading.Lock()
#: Knowledge bases whose index a process keeps.
_MOST = 8


def query(
    session: Session,
    name: str,
    question: str,
    k: int,
    *,
    revision: int | None = None,
    references: Sequence[str] = (),
    lang: str | None = None,
    random: bool = False,
    guarded: bool = False,
) -> Found:
    """The samples that would go before a question, the most similar last; `guarded` as in an
    evaluation, which must not be told the answer.

    The first question builds the index of this process (seconds for 100,000 samples); later ones
    read only what has changed. Raises UnknownKnowledge, UnknownRevision.
    """
    asked = checked_revision(session, name, revision)
    resident = _resident(find(session, name))
    choose = at_random if random else most_similar
    with resident.lock:
        _refresh(session, name, resident, asked)
        return choose(
            resident.index, lambda keys: _fetch(session, keys), question, asked, k,
            references=references, lang=lang, guarded=guarded,
        )  # fmt: skip


def resolve(session: Session, named: str) -> tuple[str, int]:
    """`notes` or `notes@12` as (name, revision), the newest where none is given.

    Raises InvalidSpec for another shape, UnknownKnowledge, UnknownRevision, or EmptyKnowledge
    where the revision holds nothing.
    """
    found = _NAMED.fullmatch(named)
    if found is None:
        problem = both(
            f'write it as "NAME" or "NAME@REVISION", not "{named}"',
            f"请写作“名称”或“名称@修订版”，而不是“{named}”",
        )
        raise InvalidSpec(field="knowledge", problem=problem)
    name, given = found["name"], found["revision"]
    revision = checked_revision(session, name, None if given is None else int(given))
    if not sample_count(session, name, revision=revision):
        raise EmptyKnowledge(name=name, revision=revision)
    return name, revision


def freeze(session: Session, named: str, store: Store) -> DataFile:
    """A revision as a file in the store, for engines, which know no database.

    The same revision gives the same bytes. Raises what `resolve` raises.
    """
    name, revision = resolve(session, named)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.jsonl"
        write_samples(path, _samples(session, name, revision))
        digest = file_sha256(path)
        uri = store.put_file(path, f"knowledge/{digest}.jsonl")
    return DataFile(name=f"{name}@{revision}", path=store.open_path(uri), sha256=digest)


def _resident(base: KnowledgeBase) -> _Resident:
    # Its birth tells it from one of the same name in a database that was set up anew.
    place = (settings().database, base.name, base.created_at)
    with _GUARD:
        if place not in _RESIDENT and len(_RESIDENT) >= _MOST:
            _RESIDENT.pop(next(iter(_RESIDENT)))
        return _RESIDENT.setdefault(place, _Resident())


def _refresh(session: Session, name: str, resident: _Resident, revision: int) -> None:
    """Bring the index to a revision: versions begun or ended since its own."""
    if resident.revision >= revision:
        return
    changed = sqlalchemy.select(
        _TABLE.c.key, _TABLE.c.since, _TABLE.c.until, _TABLE.c.instruction, _TABLE.c.input
    ).where(
        _TABLE.c.base == name,
        or_(_TABLE.c.since > resident.revision, _TABLE.c.until > resident.revision),
    )
    found = session.connection().execute(changed.order_by(_TABLE.c.key))
    new: list[Version] = []
    # Anything newer than the asked revision is taken too: whoever wrote it holds no lock any more.
    newest = resident.revision
    for key, since, until, instruction, text in found:
        newest = max(newest, since, until or 0)
        if since > resident.revision:
            asked = f"{instruction}\n{text}" if text else instruction
            new.append(Version(key, terms(asked), since, until or FOREVER))
        else:
            resident.index.end(key, until or FOREVER)
    resident.index.add(new)
    resident.revision = max(newest, revision)


def _fetch(session: Session, keys: Sequence[int]) -> list[Sample]:
    rows = session.exec(select(SampleVersion).where(col(SampleVersion.key).in_(keys)))
    by_key = {row.key: _sample(row) for row in rows}
    return [by_key[key] for key in keys]


def _samples(session: Session, name: str, revision: int) -> Iterator[Sample]:
    rows = select(SampleVersion).where(alive(name, revision)).order_by(col(SampleVersion.key))
    for row in session.exec(rows.execution_options(yield_per=1000)):
        yield _sample(row)


def _sample(row: SampleVersion) -> Sample:
    return Sample(
        id=row.sample_id, since=row.since, lang=row.lang, instruction=row.instruction,
        input=row.input, output=row.output,
    )  # fmt: skip
