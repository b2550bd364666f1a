"""Reading only some jobs of each lane decides the same as reading all of them."""

import random
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlmodel import Session

from pools import add_job
from shared import db, pool_state
from shared.scheduling import Placement
from shared.tables import Host

GIB = 1024
WINDOW, ALIKE = 16, 9


@pytest.fixture
def session(database: str) -> Iterator[Session]:
    with Session(db.engine(), expire_on_commit=False) as session:
        yield session


def _some_pool(session: Session, chance: random.Random) -> None:
    """A few hosts, and up to three owners whose queues mix few lanes with long runs of one."""
    now = pool_state.clock(session)
    for number in range(chance.randint(1, 3)):
        cards = [chance.choice([16, 24, 80]) * GIB] * chance.randint(1, 4)
        labels = chance.choice([[], ["big"]])
        session.add(
            Host(name=f"h{number}", device="cuda", cards=cards, labels=labels, heartbeat_at=now)
        )
    for owner in ("ann", "bob", "chen")[: chance.randint(1, 3)]:
        lanes = [
            {
                "gpus": chance.choice([1, 1, 2]), "vram_mb": chance.choice([0, 8, 20]) * GIB,
                "labels": chance.choice([[], [], ["big"], ["away"]]),
                "preemptible": chance.random() < 0.2,
            }
            for _ in range(chance.randint(1, 3))
        ]  # fmt: skip
        for number in range(chance.randint(1, 24)):
            lane = lanes[0] if chance.random() < 0.6 else chance.choice(lanes)
            add_job(
                session, name=f"{owner}{number}", user=owner, created_at=float(number + 1),
                priority=chance.choice([5, 5, 5, 7]), **lane,
            )  # fmt: skip


def _placed(session: Session, now: float, alike: int) -> list[Placement]:
    pool = pool_state.load(session, now, window=WINDOW, alike=alike, me="h0")
    return list(pool.place(now, prefer="h0"))


def _most(placed: list[Placement]) -> int:
    """How many jobs one owner gets."""
    return max(Counter(each.job.owner for each in placed).values(), default=0)


@pytest.mark.parametrize("seed", range(12))
def test_the_rest_of_a_lane_changes_no_placement(session: Session, seed: int) -> None:
    _some_pool(session, random.Random(seed))
    now = pool_state.clock(session)
    some, whole = _placed(session, now, ALIKE), _placed(session, now, WINDOW)
    # Where an owner gets as many as were read of a lane, the dispatcher reads further.
    if _most(some) < ALIKE:
        assert some == whole
    else:
        assert _most(whole) >= ALIKE
