"""The design of the five transitions, checked in every state it can reach.

Two workers, four attempts, one job; crashes, pauses, expiry and cancelling at any point. A pause
needs no action of its own: a worker that does nothing for a while is one of the interleavings.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

WORKERS = (0, 1)
MAX_EPOCH = 4
IDLE, CLAIMED, WROTE = "idle", "claimed", "wrote"


@dataclass(frozen=True)
class Design:
    """Which of the four safeguards the pool has."""

    fenced: bool = True
    own_folders: bool = True
    atomic_claim: bool = True


@dataclass(frozen=True)
class World:
    """One job, what each worker believes, and what the store holds."""

    state: str = "queued"
    epoch: int = 0
    cancel: bool = False
    #: Of each worker: (what it has done, the epoch it works under).
    workers: tuple[tuple[str, int], ...] = ((IDLE, 0), (IDLE, 0))
    #: A worker that has read "queued" and not yet written "running" (only without atomic claims).
    reading: tuple[bool, ...] = (False, False)
    #: Who wrote each folder last: epoch -> the attempt that wrote it.
    folders: tuple[tuple[int, int], ...] = ()
    published: tuple[int, ...] = ()

    @property
    def is_final(self) -> bool:
        return self.state in ("succeeded", "failed", "cancelled")

    def with_worker(self, worker: int, what: str, epoch: int) -> "World":
        workers = tuple((what, epoch) if w == worker else old for w, old in enumerate(self.workers))
        return replace(self, workers=workers)


def claims(world: World, worker: int, design: Design) -> Iterator[World]:
    if world.workers[worker][0] != IDLE or world.epoch == MAX_EPOCH:
        return
    reading = world.reading[worker]
    if not design.atomic_claim and not reading and world.state == "queued":
        flags = tuple(w == worker or old for w, old in enumerate(world.reading))
        yield replace(world, reading=flags)
        return
    if (design.atomic_claim and world.state == "queued") or reading:
        flags = tuple(w != worker and old for w, old in enumerate(world.reading))
        taken = replace(world, state="running", epoch=world.epoch + 1, reading=flags)
        yield taken.with_worker(worker, CLAIMED, taken.epoch)


def works(world: World, worker: int, design: Design) -> Iterator[World]:
    what, epoch = world.workers[worker]
    if what == CLAIMED:
        folder = epoch if design.own_folders else 0
        folders = tuple(sorted({**dict(world.folders), folder: epoch}.items()))
        yield replace(world, folders=folders).with_worker(worker, WROTE, epoch)
    if what in (CLAIMED, WROTE):
        yield world.with_worker(worker, IDLE, 0)  # it crashed, or gave up
        mine = world.state == "running" and (not design.fenced or world.epoch == epoch)
        if mine:
            again = "cancelled" if world.cancel else "queued"
            yield replace(world, state=again).with_worker(worker, IDLE, 0)
        if mine and what == WROTE:
            done = replace(world, state="succeeded", published=(*world.published, epoch))
            yield done.with_worker(worker, IDLE, 0)


def steps(world: World, design: Design) -> Iterator[World]:
    """Every world one action away."""
    for worker in WORKERS:
        yield from claims(world, worker, design)
        yield from works(world, worker, design)
    if world.state == "running":
        yield replace(world, state="cancelled" if world.cancel else "queued")  # expire
    if not world.is_final:
        yield replace(
            world, cancel=True, state="cancelled" if world.state == "queued" else world.state
        )


def violation(before: World, after: World, design: Design) -> str:
    """What a step broke; empty when it broke nothing."""
    if len(after.published) > 1:
        return "published twice"
    fresh = set(after.published) - set(before.published)
    if fresh - {after.epoch}:
        return "a lost attempt published"
    if before.is_final and after.state != before.state:
        return "a final state was left"
    for epoch in after.published:
        if dict(after.folders).get(epoch if design.own_folders else 0) != epoch:
            return "a published artifact was overwritten"
    return ""


def explore(design: Design) -> tuple[str, dict[World, set[World]]]:
    """Visit every reachable world; the first violation found, and the graph of steps."""
    graph: dict[World, set[World]] = {}
    todo = [World()]
    while todo:
        world = todo.pop()
        if world in graph:
            continue
        graph[world] = set(steps(world, design))
        for after in graph[world]:
            if broken := violation(world, after, design):
                return broken, graph
        todo += graph[world]
    return "", graph


def test_no_reachable_state_loses_or_doubles_a_job() -> None:
    broken, graph = explore(Design())
    assert broken == ""
    assert len(graph) > 100


def test_from_every_state_with_attempts_left_the_job_can_still_end() -> None:
    _, graph = explore(Design())
    ending = {world for world in graph if world.is_final or world.epoch == MAX_EPOCH}
    while more := {w for w, after in graph.items() if w not in ending and after & ending}:
        ending |= more
    assert ending == set(graph)


@pytest.mark.parametrize(
    ("design", "broken"),
    [
        (Design(fenced=False), {"a lost attempt published"}),
        (Design(own_folders=False), {"a published artifact was overwritten"}),
        (Design(atomic_claim=False), {"a final state was left", "published twice"}),
    ],
)
def test_without_one_of_its_safeguards_the_design_breaks(design: Design, broken: set[str]) -> None:
    found, _ = explore(design)
    assert found in broken
