"""The event log's chain: what is edited, deleted or rewritten is found, at its place."""

from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import SQLModel, delete, update

from shared import audit, db, events
from shared.errors import EventDeleted, EventEdited, HeadLost, SealMissing
from shared.tables import Event

EVENT, SEAL = (SQLModel.metadata.tables[name] for name in ("event", "eventseal"))
pytestmark = pytest.mark.usefixtures("database")


def write(count: int) -> None:
    with db.writing() as session:
        for number in range(count):
            data = {"z": number / 3, "名": "a", "none": None}
            events.record(session, "claimed", actor="gpu-1", number=number, data=data)


def tamper(statement: Any) -> None:
    with db.writing() as session:
        assert session.connection().execute(statement).rowcount == 1


def verified(head: tuple[int, str] | None = None) -> audit.Report:
    with db.reading() as session:
        return audit.verify(session, head=head)


def test_events_are_sealed_once_in_order_and_verify() -> None:
    sealer = audit.Sealer()
    write(3)
    assert verified() == audit.Report(sealed=0, unsealed=3, head="", broken=None)
    assert sealer.seal() == 3
    write(2)
    assert (sealer.seal(), sealer.seal()) == (2, 0)
    report = verified()
    assert (report.sealed, report.unsealed, report.broken) == (5, 0, None)


def test_sealing_gives_way_every_few_links() -> None:
    write(70)
    gave_way: list[bool] = []
    assert audit.Sealer(lambda: gave_way.append(True)).seal() == 70
    assert len(gave_way) == 2


def test_a_chain_longer_than_a_batch_is_sealed_and_verified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit, "BATCH", 4)
    write(10)
    assert audit.Sealer().seal() == 10
    assert (verified().sealed, verified().broken) == (10, None)


@pytest.mark.parametrize(
    "change", [{"actor": "bob"}, {"at": 1.0}, {"kind": "failed"}, {"data": {"number": 1}}]
)
def test_an_edited_event_is_found(change: dict[str, Any]) -> None:
    write(4)
    audit.Sealer().seal()
    tamper(update(EVENT).where(EVENT.c.seq == 2).values(**change))
    report = verified()
    assert isinstance(report.broken, EventEdited)
    assert report.broken.params == {"seq": 2, "position": 2}


def test_a_deleted_event_is_found_and_so_is_one_deleted_with_its_seal() -> None:
    write(4)
    audit.Sealer().seal()
    tamper(delete(EVENT).where(EVENT.c.seq == 3))
    broken = verified().broken
    assert isinstance(broken, EventDeleted)
    assert broken.params == {"seq": 3, "position": 3}
    tamper(delete(SEAL).where(SEAL.c.seq == 3))
    broken = verified().broken
    assert isinstance(broken, SealMissing)
    assert broken.params == {"position": 3}


def test_a_log_cut_off_at_its_end_lacks_the_head_that_was_noted() -> None:
    write(4)
    audit.Sealer().seal()
    noted = (4, verified().head)
    assert verified(noted).broken is None
    tamper(delete(EVENT).where(EVENT.c.seq == 4))
    tamper(delete(SEAL).where(SEAL.c.seq == 4))
    assert verified().broken is None
    assert isinstance(verified(noted).broken, HeadLost)
    write(1)
    audit.Sealer().seal()
    assert isinstance(verified(noted).broken, HeadLost)


def test_an_event_that_commits_late_is_sealed_by_the_same_leader() -> None:
    sealer = audit.Sealer()
    write(2)
    sealer.seal()
    with db.writing() as session:
        session.add(Event(seq=9, actor="a", kind="k"))
    sealer.seal()
    with db.writing() as session:
        session.add(Event(seq=5, actor="slow", kind="k"))
    assert sealer.seal() == 1
    report = verified()
    assert (report.sealed, report.unsealed, report.broken) == (4, 0, None)


def test_two_leaders_cannot_fork_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = audit.Sealer(), audit.Sealer()
    write(2)
    first.seal()
    write(1)
    honest = db.writing

    def overtaken() -> Any:
        monkeypatch.setattr(db, "writing", honest)
        assert second.seal() == 1
        return honest()

    monkeypatch.setattr(db, "writing", overtaken)
    with pytest.raises(Exception, match=r"(?i)unique"):
        first.seal()
    assert (verified().sealed, verified().broken) == (3, None)


def test_sealing_reads_the_end_of_the_chain_and_not_all_of_it() -> None:
    write(3)
    sealer = audit.Sealer()
    sealer.seal()
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(" ".join(statement.lower().split()))

    event.listen(db.engine(), "before_cursor_execute", note)
    sealer.seal()
    event.remove(db.engine(), "before_cursor_execute", note)
    (chain,) = [each for each in asked if "from eventseal order by" in each]
    assert " limit " in chain
