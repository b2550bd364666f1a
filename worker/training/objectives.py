"""What a step minimises: functions of a learner and a batch, without state of their own."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from worker.training.batches import Batch
from worker.training.learner import Learner

#: (learner, batch) -> (loss summed over units in nats, units, other sums to report). A unit is a
#: label; for preferences it is a pair.
Objective = Callable[[Learner, Batch], tuple[Tensor, int, dict[str, float]]]


def sft(learner: Learner, batch: Batch) -> tuple[Tensor, int, dict[str, float]]:
    """Supervised fine-tuning: cross-entropy of the trained tokens, the others masked."""
    return learner.losses(batch).sum(), len(batch.targets), {}


def dpo(beta: float) -> Objective:
    """Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290).

    -log σ(β·((log π(c) - log π₀(c)) - (log π(r) - log π₀(r)))) a pair, where log-probabilities are
    sums over an answer's tokens and π₀ is the base, the same model with its adapter off. A batch
    holds the chosen answer at even places and the rejected one of its pair behind it.
    """

    def objective(learner: Learner, batch: Batch) -> tuple[Tensor, int, dict[str, float]]:
        with torch.no_grad(), learner.model.disable_adapter():
            before = _answers(learner, batch)
        moved = (_answers(learner, batch) - before).view(-1, 2)
        margins = beta * (moved[:, 0] - moved[:, 1])
        loss = -functional.logsigmoid(margins).sum()
        found = margins.detach()
        sums = {"preferred": float((found > 0).sum()), "margin": float(found.sum())}
        return loss, len(margins), sums

    return objective


def _answers(learner: Learner, batch: Batch) -> Tensor:
    """(examples,) log-probability of each one's trained tokens together, fp32."""
    sums = torch.zeros(len(batch.examples), device=batch.input_ids.device)
    return sums.index_add(0, batch.owners, -learner.losses(batch))
