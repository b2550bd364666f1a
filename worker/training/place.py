"""Place: where a training happens, so that the engine needs no order."""

from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import Internal
from shared.orders import BaseFiles, WorkOrder


@dataclass(frozen=True, kw_only=True)
class Place:
    """A training's base and folders, and what earlier attempts left."""

    base: BaseFiles
    #: The dataset's name, for messages and facts.
    dataset: str
    #: The adapter folder to write.
    out: Path
    #: Where checkpoints are put.
    checkpoints: Path
    resume_from: Path | None = None
    #: How often earlier attempts ran out of memory; each halves the micro-batch.
    halvings: int = 0
    #: What else must be the same for a checkpoint to be continued, e.g. the donor of a transfer.
    identity: dict[str, str] = field(default_factory=dict)


def place_of(order: WorkOrder, **identity: str) -> Place:
    """The place that an order names."""
    if order.base is None or order.dataset is None:
        raise Internal(detail="the order names no base or no dataset")
    return Place(
        base=order.base,
        dataset=order.dataset.name,
        out=order.out,
        checkpoints=order.folder / "checkpoints",
        resume_from=order.resume_from,
        halvings=order.halvings,
        identity=identity,
    )
