"""Hosts and base models: what the pool runs on, and what it knows."""

from collections.abc import Sequence

from sqlmodel import col, select

from shared import base_models, db, pool_state
from shared import hosts as service
from shared.api.desk import Desk
from shared.api.things import HostAnswer, ModelAnswer
from shared.api.told import told_model
from shared.hosts import Busy, standing
from shared.tables import Host, ModelRef


class Hosts(Desk):
    """The machines of the pool."""

    def list(self) -> Sequence[HostAnswer]:
        """Every machine by name, with what runs on it."""
        with db.reading() as session:
            found = session.exec(select(Host).order_by(col(Host.name))).all()
            running, now = service.busy(session), pool_state.clock(session)
        return [_told(host, running.get(host.name, []), now) for host in found]

    def drain(self, name: str, *, accepting: bool = False) -> HostAnswer:
        """Let a host take nothing new, or take jobs again. Raises UnknownHost, Forbidden."""
        with db.writing() as session:
            host = service.drain(session, name, accepting=accepting, actor=self.actor)
            running, now = service.busy(session), pool_state.clock(session)
            return _told(host, running.get(name, []), now)


class Models(Desk):
    """The registered base models."""

    def list(self) -> Sequence[ModelAnswer]:
        """Every base model by name."""
        with db.reading() as session:
            found = session.exec(select(ModelRef).order_by(col(ModelRef.name))).all()
        return [told_model(each) for each in found]

    def get(self, name: str) -> ModelAnswer:
        """One base model. Raises UnknownBase."""
        with db.reading() as session:
            return told_model(base_models.find(session, name))


def _told(host: Host, running: Sequence[Busy], now: float) -> HostAnswer:
    return HostAnswer(
        name=host.name, state=standing(host, now), device=host.device, cards=host.cards,
        labels=host.labels, running=[each.job.id for each in running],
        heartbeat_at=host.heartbeat_at, started_at=host.started_at,
    )  # fmt: skip
