"""Sweeps: a grid is submitted whole or not at all, and once for one key."""

from typing import Any

import pytest

from commands import Graft
from shared import db, jobs
from shared.errors import BadSweep, InvalidSpec, NameTaken
from shared.people.actors import Actor
from shared.queueing import Request
from shared.sweeps import expand, submit_sweep

SPEC: dict[str, Any] = {
    "kind": "train", "name": "grid", "base_model": "tiny", "dataset": "colours",
}  # fmt: skip
FUSION: dict[str, Any] = {
    "kind": "fuse", "name": "f", "adapters": ["a", "b"],
    "params": {"method": "weighted_sum", "rank": 0},
}  # fmt: skip


def count() -> int:
    with db.reading() as session:
        return jobs.total(session)


def test_a_grid_has_every_point_in_order_under_names_of_its_own() -> None:
    made = expand(SPEC, {"rank": [2, 4], "seed": [0, 1]})
    assert [(each["name"], each["rank"], each["seed"]) for each in made] == [
        ("grid-1", 2, 0), ("grid-2", 2, 1), ("grid-3", 4, 0), ("grid-4", 4, 1),
    ]  # fmt: skip


def test_a_field_of_the_method_is_found_in_its_parameters() -> None:
    made = expand(FUSION, {"rank": [8, 16]})
    assert [each["params"]["rank"] for each in made] == [8, 16]
    assert FUSION["params"]["rank"] == 0


@pytest.mark.parametrize(
    ("grid", "problem"),
    [
        ({"rnk": [2]}, "no such field"),
        ({"rank": []}, "no values"),
        ({"rank": [2, 2]}, "given twice"),
        ({"name": ["x"]}, "cannot be swept"),
        ({"rank": list(range(1, 41)), "seed": list(range(40))}, "1600 jobs are more than 1000"),
    ],
)
def test_a_grid_that_cannot_be_made_says_why(grid: dict[str, list[Any]], problem: str) -> None:
    with pytest.raises(BadSweep, match=problem):
        expand(SPEC, grid)


def test_one_bad_point_or_taken_name_queues_nothing(stocked: Graft) -> None:
    with pytest.raises(InvalidSpec):
        submit_sweep(SPEC, {"rank": [4, 0]}, Request(actor=Actor.admin("ann")))
    assert count() == 0
    stocked("submit", "train", "--name", "grid-2", "--base-model", "tiny", "--dataset", "colours")
    with pytest.raises(NameTaken, match="grid-2"):
        submit_sweep(SPEC, {"rank": [2, 4]}, Request(actor=Actor.admin("ann")))
    assert count() == 1


def test_the_same_key_never_makes_a_second_grid(stocked: Graft) -> None:
    request = Request(actor=Actor.admin("ann"), idempotency_key="once")
    first = submit_sweep(SPEC, {"rank": [2, 4, 8]}, request)
    again = submit_sweep(SPEC, {"rank": [2, 4, 8]}, request)
    assert [job.id for job in again] == [job.id for job in first]
    assert count() == 3
