"""The event log's hash chain: events are sealed in order after they committed, and verified later.

Each seal hashes its event together with the hash before it, so an event that is edited or deleted
afterwards, or a seal that is taken out, breaks the chain at that place. Sealing happens in the
sweeper and never in the transaction that writes an event: a chain through every transition would
make the whole pool wait in one line.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, func
from sqlalchemy import select as choose
from sqlmodel import Session, SQLModel, col, select

from shared import db
from shared.bulk import insert_rows
from shared.errors import EventDeleted, EventEdited, GraftError, HeadLost, SealMissing
from shared.tables import Event, EventSeal

#: Events sealed in one transaction, and rows verified in one read.
BATCH = 2000
#: Links after which a sealing thread lets others of its process run.
_BREATH = 32
#: Made once: `json.dumps` with arguments makes one for each call.
_written = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
#: The columns that are sealed.
_CONTENT = [
    SQLModel.metadata.tables["event"].c[name]
    for name in ("seq", "at", "actor", "job_id", "kind", "data")
]
#: A transaction may commit after others that took later numbers; this many are looked at again.
_OVERLAP = 10_000


@dataclass(frozen=True)
class Report:
    """What a verification found; `broken` is None when every link holds."""

    sealed: int
    #: Committed events that no sweep has sealed yet.
    unsealed: int
    #: The last position's hash; note it elsewhere to notice a log that was cut off at its end.
    head: str
    broken: GraftError | None


def link(event: Any, previous: str) -> str:
    """The hash of an event after the one whose hash is `previous`, in hexadecimal."""
    content = [event.seq, event.at, event.actor, event.job_id, event.kind, event.data]
    return hashlib.sha256(f"{previous}\n{_written(content)}".encode()).hexdigest()


class Sealer:
    """Seals committed events; the pool's leader holds one for as long as it leads.

    Two leaders at once cannot fork the chain: a position is a primary key, so the second fails.
    `give_way` is called every few links, for whatever else the process has to do.
    """

    def __init__(self, give_way: Callable[[], object] = lambda: None) -> None:
        self._give_way = give_way
        #: Every event up to this number is sealed; 0 lets a new leader look at all of them.
        self._done = 0

    def seal(self) -> int:
        """Seal what has been committed and is not sealed; return how many events that were."""
        total, after = 0, self._done
        while True:
            sealed, newest = self._seal_batch(after)
            total += sealed
            self._done = max(self._done, newest - _OVERLAP)
            if sealed < BATCH:
                return total
            # What commits late below is found by the next call.
            after = newest

    def _seal_batch(self, after: int) -> tuple[int, int]:
        """Seal some events above that number; how many, and the newest that is sealed."""
        with db.reading() as session:
            newest_first = select(EventSeal).order_by(col(EventSeal.position).desc())
            # Without the limit the driver would fetch the whole chain to look at its end.
            last = session.exec(newest_first.limit(1)).first()
            query = choose(*_CONTENT).where(_is_unsealed(after), col(Event.seq) > after)
            waiting = session.connection().execute(query.order_by(col(Event.seq)).limit(BATCH))
            events = waiting.all()
        position, previous = (last.position, last.hash) if last else (0, "")
        rows = []
        for event in events:
            position += 1
            seal = {"position": position, "seq": event.seq, "previous": previous}
            previous = link(event, previous)
            rows.append(seal | {"hash": previous})
            if position % _BREATH == 0:
                self._give_way()
        if rows:
            with db.writing() as session:
                insert_rows(session, SQLModel.metadata.tables["eventseal"], rows)
        newest = rows[-1]["seq"] if rows else last.seq if last else 0
        return len(rows), newest


def _is_unsealed(after: int = 0) -> ColumnElement[bool]:
    """SQL: an event above that number has no seal."""
    # The number twice: a merge of both indexes would else go through every seal before it.
    same = col(EventSeal.seq) == col(Event.seq)
    return ~exists().where(same, col(EventSeal.seq) > after)


def verify(session: Session, *, head: tuple[int, str] | None = None) -> Report:
    """Walk the whole chain and stop at its first broken link.

    `head` is a position and its hash noted earlier: a chain that no longer has it was rewritten.
    """
    position, previous, broken = 0, "", None
    for seal, event in _links(session):
        position += 1
        broken = _problem(seal, event, position, previous)
        if broken is not None:
            break
        previous = seal.hash
        if head is not None and position == head[0] and seal.hash != head[1]:
            broken = HeadLost(position=position)
            break
    if broken is None and head is not None and position < head[0]:
        broken = HeadLost(position=head[0])
    waiting = session.scalar(select(func.count()).select_from(Event).where(_is_unsealed())) or 0
    return Report(sealed=position, unsealed=waiting, head=previous, broken=broken)


def _problem(
    seal: EventSeal, event: Event | None, position: int, previous: str
) -> GraftError | None:
    """What is wrong with one link, or None."""
    if seal.position != position or seal.previous != previous:
        return SealMissing(position=position)
    if event is None:
        return EventDeleted(seq=seal.seq, position=position)
    if link(event, previous) != seal.hash:
        return EventEdited(seq=seal.seq, position=position)
    return None


def _links(session: Session) -> Iterator[tuple[EventSeal, Event | None]]:
    """Seals in order, each with its event where that still exists."""
    after = 0
    query = select(EventSeal, Event).join(Event, col(Event.seq) == col(EventSeal.seq), isouter=True)
    while True:
        found = session.exec(
            query.where(col(EventSeal.position) > after)
            .order_by(col(EventSeal.position))
            .limit(BATCH)
        ).all()
        yield from ((seal, event) for seal, event in found)
        if len(found) < BATCH:
            return
        after = found[-1][0].position
        session.expunge_all()
