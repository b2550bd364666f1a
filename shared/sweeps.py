"""Sweeps: one spec and a grid over its fields become one job each, submitted together."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shared.columns import short_id
from shared.errors import BadSweep, both
from shared.queueing import AnySpec, Request, submit_many
from shared.specs import parse_spec
from shared.specs.parameters import parameters
from shared.tables import Job

#: More jobs than this at once are taken for a mistake.
MOST = 1000


def expand(spec: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """One spec for each point of the grid, named NAME-1, NAME-2, ... in the grid's order.

    A field of a fusion's method is found in `params`. Raises BadSweep for an unknown field, an
    empty list, a value given twice, or more than 1,000 points.
    """
    for field, values in grid.items():
        _check(spec, field, values)
    points = list(itertools.product(*grid.values()))
    if len(points) > MOST:
        problem = both(
            f"{len(points)} jobs are more than {MOST}", f"{len(points)} 个任务超过上限 {MOST}"
        )
        raise BadSweep(field=", ".join(grid), problem=problem)
    made = []
    for number, point in enumerate(points, 1):
        one: dict[str, Any] = json.loads(json.dumps(spec))
        for field, value in zip(grid, point, strict=True):
            _holder(one, field)[field] = value
        made.append(one | {"name": f"{spec.get('name', '')}-{number}"})
    return made


def _check(spec: Mapping[str, Any], field: str, values: Sequence[Any]) -> None:
    if field in ("name", "kind", "method"):
        raise BadSweep(field=field, problem=both("it cannot be swept", "不能作为网格项"))
    known = [each.name for each in parameters(type(parse_spec(dict(spec))))]
    inside = spec.get("params") or {}
    if field not in known and field not in inside:
        fields = ", ".join([*known, *inside])
        problem = both(f"there is no such field; there are {fields}", f"没有这一项；可用：{fields}")
        raise BadSweep(field=field, problem=problem)
    if not values:
        raise BadSweep(field=field, problem=both("no values were given", "没有给出取值"))
    if len({json.dumps(value) for value in values}) < len(values):
        raise BadSweep(field=field, problem=both("a value is given twice", "有重复的取值"))


def _holder(spec: dict[str, Any], field: str) -> dict[str, Any]:
    inside = spec.get("params")
    return inside if isinstance(inside, dict) and field in inside else spec


def submit_sweep(
    spec: Mapping[str, Any], grid: Mapping[str, Sequence[Any]], request: Request
) -> list[Job]:
    """Queue one job for each point of the grid: all of them or none. They share `Job.sweep`.

    Raises BadSweep, InvalidSpec for a value that the field refuses, and what submitting raises.
    """
    return submit_many(points(spec, grid), replace(request, sweep=short_id()))


def points(spec: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> list[AnySpec]:
    """The specs of a grid, checked; without a grid the spec alone. Raises as `submit_sweep`."""
    whole = parse_spec(dict(spec))
    if not grid:
        return [whole]
    return [parse_spec(each) for each in expand(whole.model_dump(mode="json"), grid)]
