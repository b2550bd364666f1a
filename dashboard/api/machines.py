"""`/v1/hosts` and `/v1/models`."""

from typing import Annotated

from fastapi import APIRouter, Path

from dashboard.api.callers import Caller
from shared.api.asked import Label
from shared.api.things import HostAnswer, ModelAnswer

router = APIRouter(tags=["machines"])
Name = Annotated[Label, Path()]


@router.get("/hosts", operation_id="hosts")
def hosts(pool: Caller) -> list[HostAnswer]:
    """The machines of the pool and what runs on them."""
    return list(pool.hosts.list())


@router.post("/hosts/{name}/drain", operation_id="drain")
def drain(pool: Caller, name: Name) -> HostAnswer:
    """Let a host finish what it runs and take nothing new."""
    return pool.hosts.drain(name)


@router.post("/hosts/{name}/undrain", operation_id="undrain")
def undrain(pool: Caller, name: Name) -> HostAnswer:
    """Let a host take jobs again."""
    return pool.hosts.drain(name, accepting=True)


@router.get("/models", operation_id="models")
def models(pool: Caller) -> list[ModelAnswer]:
    """The registered base models."""
    return list(pool.models.list())


@router.get("/models/{name}", operation_id="model")
def model(pool: Caller, name: Name) -> ModelAnswer:
    """One base model."""
    return pool.models.get(name)
