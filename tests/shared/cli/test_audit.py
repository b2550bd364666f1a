"""`graft audit verify` in the shell."""

import json

from sqlmodel import col, update

from commands import Graft
from shared import audit, db
from shared.tables import Event


def test_the_head_is_printed_and_can_be_held_against_a_later_log(stocked: Graft) -> None:
    audit.Sealer().seal()
    head = stocked("audit", "verify").stdout.strip()
    assert int(head.partition(":")[0]) >= 2
    assert stocked("audit", "verify", "--head", head).exit_code == 0
    said = json.loads(stocked("audit", "verify", "--json").stdout)
    assert (said["head"], said["unsealed"]) == (head, 0)


def test_an_edited_event_ends_with_its_number_and_exit_code_1(stocked: Graft) -> None:
    audit.Sealer().seal()
    with db.writing() as session:
        session.execute(update(Event).where(col(Event.seq) == 1).values(actor="bob"))
    ended = stocked("audit", "verify")
    assert ended.exit_code == 1
    assert "Event 1 was changed" in ended.stderr


def test_a_head_that_is_none_is_refused(stocked: Graft) -> None:
    ended = stocked("audit", "verify", "--head", "seven")
    assert ended.exit_code == 2
    assert "seven" in ended.stderr
