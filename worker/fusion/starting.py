"""A donor's weights moved to the host, as what a training begins with."""

from typing import Literal

from shared.orders import WorkOrder
from shared.specs import Copy, Procrustes, Ridge
from shared.specs.fusion.teaching import Learning
from worker.fusion.canonical import CanonicalAdapter
from worker.fusion.copy import copy
from worker.fusion.factors import compressed
from worker.fusion.transport import transport
from worker.reporting import Report
from worker.training.adapter import Start


def moved_start(
    order: WorkOrder,
    params: Learning,
    way: Literal["copy", "procrustes", "ridge"],
    report: Report,
) -> Start | None:
    """The donor's updates on the host's modules, cut to the rank in training.

    None where a checkpoint is continued: that holds them already. Raises what the transfer raises.
    """
    if order.resume_from is not None:
        return None
    inner = order.model_copy(update={"folder": order.folder / "start"})
    if way == "copy":
        made = copy(inner, Copy(resize="pad"), report)
    else:
        kind = {"procrustes": Procrustes, "ridge": Ridge}[way]
        made = transport(inner, kind(dataset=params.dataset, rows=params.rows), report)
    moved = CanonicalAdapter(way, made.folder)
    cut = {name: compressed(moved.factors(name), params.rank) for name in moved.modules}
    return {name: (each.b, each.a) for name, each in cut.items()}
