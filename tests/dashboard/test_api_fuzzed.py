"""Schemathesis throws what the description allows, and what it forbids, at every operation."""

import os
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.engine import from_schema
from schemathesis.engine.events import NonFatalError, ScenarioFinished
from schemathesis.engine.run import PhaseName
from schemathesis.schemas import BaseSchema
from starlette.applications import Starlette

import filled
from dashboard.api import mounted
from shared import db
from shared.people.actors import Actor
from shared.people.tokens import Scope
from shared.people.tokens import create as make_token

#: Bytes of a file, rules across the fields of a spec, and a baseline that must be an arm are
#: beyond what a schema can say: there 422 is a right answer to data of the right shape.
BEYOND_THE_SCHEMA = (
    "submit", "study", "plan", "upload_adapter", "upload_dataset", "comparison", "export",
    "add_samples",
)  # fmt: skip
#: Up to thousands of cases each, one for every field of every spec: here a few at random, with
#: GRAFT_FUZZ=all every one of them, in some minutes.
LARGE = () if os.environ.get("GRAFT_FUZZ") == "all" else ("submit", "plan", "study", "add_samples")
ACCEPTED = ["2xx", "401", "403", "404", "409", "429"]


def _config(token: str) -> SchemathesisConfig:
    data: dict[str, Any] = {
        "seed": 1,
        "headers": {"Authorization": f"Bearer {token}"},
        "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
        "generation": {"allow-x00": False, "max-examples": 3},
        "operations": [
            {
                "include-operation-id": name,
                "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "422"]}},
                "phases": {"coverage": {"enabled": name not in LARGE}},
                "generation": {"max-examples": 1 if name in LARGE else 3},
            }
            for name in BEYOND_THE_SCHEMA
        ],
    }
    return SchemathesisConfig.from_dict(data)


@pytest.fixture
def api(empty_pool: Path) -> BaseSchema:
    """The API on a pool that has been used a little, as one sees it from another machine."""
    filled.fill(empty_pool, items=4)
    with db.writing() as session:
        admin = Actor.admin(filled.USER)
        token = make_token(session, filled.USER, Scope.ADMIN, actor=admin).text
    app = Starlette(routes=[mounted()])
    return schemathesis.openapi.from_asgi("/api/openapi.json", app, config=_config(token))


def test_every_operation_keeps_its_description(api: BaseSchema) -> None:
    wrong: list[str] = []
    untested = {found.ok().label for found in api.get_all_operations() if isinstance(found, Ok)}
    phases: set[PhaseName] = set()
    for event in from_schema(api).execute():
        if isinstance(event, NonFatalError):
            wrong.append(f"{event.label}: {event.value}")
        if isinstance(event, ScenarioFinished) and event.recorder.checks:
            phases.add(event.phase)
            untested.discard(str(event.label))
            wrong += _failures(event)
    assert wrong == []
    assert untested == set()
    assert {PhaseName.COVERAGE, PhaseName.FUZZING, PhaseName.STATEFUL_TESTING} <= phases


def _failures(event: ScenarioFinished) -> list[str]:
    return [
        f"{event.phase} {event.label}: {check.name}: {check.failure_info.failure}\n"
        f"{check.failure_info.code_sample}"
        for checks in event.recorder.checks.values()
        for check in checks
        if check.failure_info is not None
    ]
