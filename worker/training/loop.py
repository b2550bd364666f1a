"""The training loop: one optimiser step after another, nothing hidden."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from shared.errors import NotFinite
from shared.specs.base import OptimiserParameters
from worker.reporting import Report, Stopped
from worker.training import resuming
from worker.training.batches import collate, micro_batches, schedule, seed_of
from worker.training.examples import Example
from worker.training.objectives import Learner, Objective
from worker.training.rates import learning_rate
from worker.training.resuming import Standing

#: What one more forward and backward pass costs beside its tokens, in tokens' worth of padding.
_SPARE_CPU, _SPARE_GPU = 64, 2048
#: Steps whose mean is the final loss.
_LAST = 10


@dataclass(frozen=True, kw_only=True)
class Course:
    """What the loop needs beside the learner."""

    examples: Sequence[Example]
    objective: Objective
    parameters: OptimiserParameters
    #: Id that fills rows up; never seen by a loss.
    padding: int
    #: Most rows in memory at once.
    micro_batch: int
    checkpoint_every: int
    checkpoints: Path
    resume_from: Path | None
    #: What must be the same for a checkpoint to be continued.
    identity: dict[str, Any]


def run(learner: Learner, course: Course, report: Report) -> Standing:
    """Train to the last step; return where that is.

    Asked to stop, it saves a checkpoint and raises Stopped. Raises NotFinite when loss or
    gradient is no number any more, ResumeRefused for a checkpoint of another job.
    """
    plan = schedule(len(course.examples), course.parameters)
    weights = {
        name: weight for name, weight in learner.model.named_parameters() if weight.requires_grad
    }
    optimiser = torch.optim.AdamW(
        weights.values(), weight_decay=course.parameters.weight_decay, fused=True
    )
    standing = Standing()
    if course.resume_from is not None:
        standing = resuming.resume(course.resume_from, weights, optimiser, course.identity)
        report.log(f"continuing from step {standing.step} of {plan.steps}")
    saved = standing.step
    learner.model.train()
    while standing.step < plan.steps:
        stopping = report.stop_requested()
        due = standing.step - saved >= course.checkpoint_every
        if standing.step > saved and (stopping or due):
            folder = resuming.save(
                course.checkpoints, standing, weights, optimiser, course.identity
            )
            report.checkpoint(standing.step, folder)
            saved = standing.step
        if stopping:
            raise Stopped
        rows = plan.rows_of(standing.step)
        rate = learning_rate(standing.step, plan.steps, course.parameters)
        values = _step(learner, course, optimiser, list(weights.values()), rows, rate, standing)
        report.metrics(standing.step, values)
        report.progress(standing.step, plan.steps, "steps")
    learner.model.eval()
    return standing


def _step(
    learner: Learner,
    course: Course,
    optimiser: torch.optim.Optimizer,
    weights: list[nn.Parameter],
    rows: list[int],
    rate: float,
    standing: Standing,
) -> dict[str, float]:
    """One optimiser step over `rows`; moves `standing` on and returns the step's metrics."""
    began = time.perf_counter()
    labels = sum(course.examples[row].labels for row in rows)
    # Dropout's draws belong to the step, so that a resumed run makes the same ones.
    torch.manual_seed(seed_of(course.parameters.seed, ~standing.step))
    loss = _accumulate(learner, course, rows, labels)
    norm = float(nn.utils.clip_grad_norm_(weights, course.parameters.max_grad_norm))
    for what, value in (("the loss", loss), ("the gradient", norm)):
        if not math.isfinite(value):
            raise NotFinite(what=what, where=f"step {standing.step + 1}")
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    seconds = time.perf_counter() - began
    tokens = sum(len(course.examples[row].ids) for row in rows)
    standing.step += 1
    standing.losses = [*standing.losses, loss][-_LAST:]
    standing.tokens += tokens
    standing.labels += labels
    standing.seconds += seconds
    return {
        "loss": loss,
        "learning_rate": rate,
        "grad_norm": norm,
        "tokens_per_s": tokens / seconds,
        "labels_per_s": labels / seconds,
    }


def _accumulate(learner: Learner, course: Course, rows: list[int], labels: int) -> float:
    """Leave the gradient of the mean loss over all `labels` of the step; return that mean.

    Every micro-batch divides by the whole step's labels, so that splitting changes nothing but
    the order of summation.
    """
    device = learner.model.device
    spare = _SPARE_GPU if device.type == "cuda" else _SPARE_CPU
    lengths = {row: len(course.examples[row].ids) for row in rows}
    total = torch.zeros((), device=device)
    for group in micro_batches(rows, lengths, course.micro_batch, spare):
        batch = collate([course.examples[row] for row in group], course.padding, device)
        loss, _, _ = course.objective(learner, batch)
        (loss / labels).backward()
        total += loss.detach()
    return total.item() / labels
