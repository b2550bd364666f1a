"""Proxy-tuning: the host's logits moved as the adapter moves its donor's, nothing trained.

Source: Liu et al. 2024 (arXiv 2401.08565). Three models answer at once, so it is a preview of what
a transfer may reach and no way to serve; where the tokenizers do not begin a token together, the
host's own logits stand.
"""

import gc
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from shared.errors import both
from shared.formats import Conversation, read_rows
from shared.orders import AdapterFiles, BaseFiles, WorkOrder
from worker.checkpoints import attach_adapter, load_base
from worker.evaluation.reading import reading_limit
from worker.fusion.distillation import Distillation, label_logits, lesson
from worker.fusion.inheritance import inherited
from worker.fusion.vocabularies import Bridge
from worker.reporting import Report, Stopped
from worker.training.batches import collate
from worker.training.examples import encode

_BATCH = 16
#: Rows of a preview, and the longest of them in tokens.
_ROWS, _LONGEST = 64, 512


@dataclass(frozen=True)
class Proxied:
    """Natural-log likelihoods of each row's answer, its end left out."""

    host: list[float]
    tuned: list[float]


@dataclass(frozen=True)
class Preview:
    """What a dataset's own answers cost, in bits per byte of theirs, before anything is moved."""

    rows: int
    host: float
    tuned: float


def preview(order: WorkOrder, report: Report) -> Preview | None:
    """The order's transfer tried by proxy-tuning on answers of its dataset; None without any.

    A preview and an estimate of the ceiling, no limit: distillation has been seen to pass it.
    """
    if order.dataset is None or order.base is None:
        return None
    report.phase("previewing")
    found = read_rows(order.dataset.path, order.dataset.format)[:_ROWS]
    rows = [row for row in found if isinstance(row, Conversation) and row.turns[-1].content]
    if not rows:
        return None
    template = str(inherited(order.adapters)["template"])
    scores = proxied(
        rows, order.adapters[0], order.base, device=order.device, template=template, report=report
    )
    size = math.log(2) * sum(len(row.turns[-1].content.encode()) for row in rows)
    made = Preview(len(rows), -sum(scores.host) / size, -sum(scores.tuned) / size)
    gains = made.tuned < made.host
    report.log(
        both(
            f"preview: with the donor's change added while reading, {made.rows} answers of "
            f"{order.dataset.name} cost {made.tuned:.3f} bits a byte, the host alone "
            f"{made.host:.3f}" + ("" if gains else ": a transfer is unlikely to help"),
            f"预览：阅读时叠加供体的变化后，{order.dataset.name} 的 {made.rows} 条回答每字节 "
            f"{made.tuned:.3f} 比特，宿主单独为 {made.host:.3f}"
            + ("" if gains else "：迁移多半无益"),
        )
    )
    return made


def preview_facts(order: WorkOrder, report: Report) -> dict[str, Any]:
    """The preview as an adapter's record keeps it; empty where there was nothing to read."""
    made = preview(order, report)
    return {} if made is None else {"preview": asdict(made)}


def proxied(
    rows: Sequence[Any], donor: AdapterFiles, host: BaseFiles, *, device: str, template: str,
    report: Report | None = None, longest: int = _LONGEST,
) -> Proxied:  # fmt: skip
    """Score every row's answer by the host alone and proxy-tuned, in the order of the rows.

    Loads the donor's base with its adapter, and the host. Rows that are too long are cut. Raises
    BadBase, UnsupportedAdapter, NoOp for a donor that fits nothing, Stopped.
    """
    teacher, theirs = load_base(donor.base, device, "auto")
    teacher = attach_adapter(teacher, donor.folder, name=donor.name)
    model, ours = load_base(host, device, "auto")
    # A target is the host without its adapter, and here it has none.
    model.disable_adapter = nullcontext
    bridge = Bridge(theirs, ours, model.device)
    examples = encode(list(rows), ours, template, longest).examples
    read = encode(list(rows), theirs, template, longest).examples
    reach = reading_limit(teacher) or 1 << 30
    lessons = {
        own.ids: lesson(own, other, bridge, reach)
        for own, other in zip(examples, read, strict=True)
    }
    objective = Distillation(teacher, bridge, lessons, 1.0)
    order = sorted(range(len(examples)), key=lambda place: len(examples[place].ids))
    scores: dict[int, tuple[float, float]] = {}
    for first in range(0, len(order), _BATCH):
        if report is not None and report.stop_requested():
            raise Stopped
        places = order[first : first + _BATCH]
        batch = collate([examples[place] for place in places], 0, model.device)
        sizes = [examples[place].labels for place in places]
        parts = [each.split(sizes) for each in _likelihoods(objective, model, batch)]
        for place, own, tuned in zip(places, *parts, strict=True):
            scores[place] = float(own[:-1].sum()), float(tuned[:-1].sum())
    del teacher, model, objective
    gc.collect()
    found = [scores[place] for place in range(len(examples))]
    return Proxied([own for own, _ in found], [tuned for _, tuned in found])


@torch.no_grad()
def _likelihoods(objective: Distillation, model: Any, batch: Any) -> tuple[Tensor, Tensor]:
    """(labels,) each: log-probabilities of the labels by the host alone, and proxy-tuned."""
    own = label_logits(model, batch).log_softmax(-1).gather(1, batch.targets[:, None])[:, 0]
    target, taught = objective.targets(model, batch)
    tuned = own.clone()
    tuned[taught] = target.gather(1, batch.targets[taught][:, None])[:, 0]
    return own, tuned
