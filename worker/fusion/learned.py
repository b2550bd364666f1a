"""Weighted sums whose weights are found on examples: alpha search, LoRAHub and LoRA Soups.

The weights are tried on the base with every adapter beside it, Σ w_t·(B_t·A_t·x), which is the
exact sum; the result is that sum as one adapter. Cost: so many passes over the examples.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from shared.orders import WorkOrder
from shared.specs.fusion.learned import AlphaSearch, FromExamples, LoraHub, LoraSoups
from worker.fusion.mixture import Mixture
from worker.fusion.modules import Fused, Site, digest, fuse_modules, ranked_sizes
from worker.fusion.same_base import open_donors
from worker.fusion.weighted_sum import sum_updates
from worker.reporting import AdapterResult, Report, Stopped

#: LoRAHub's bounds of a weight.
_BOUND = 1.5


def alpha_search(order: WorkOrder, params: AlphaSearch, report: Report) -> AdapterResult:
    """ΔW = α·mean(ΔW_t), α the one of `alphas` with the least loss on the examples.

    Source: task arithmetic (Ilharco et al. 2023, arXiv 2212.04089). One pass over the examples for
    each α. Raises WrongBase, UnsupportedAdapter, NoOp.
    """

    def find(mixture: Mixture) -> Tensor:
        mean = torch.full((mixture.adapters,), 1 / mixture.adapters)
        losses: list[float] = []
        for number, alpha in enumerate(params.alphas, start=1):
            losses.append(_score(mixture, alpha * mean, report, number, len(params.alphas)))
        return params.alphas[losses.index(min(losses))] * mean

    return _learn(order, params, report, find)


def lorahub(order: WorkOrder, params: LoraHub, report: Report) -> AdapterResult:
    """ΔW = Σ w_t·ΔW_t with w in [-1.5, 1.5] of least loss + penalty·mean|w|, without gradients.

    Nelder and Mead (1965) from equal shares; the best weights seen are taken. Source: Huang et al.
    2024 (arXiv 2307.13269), which sums factors instead of updates and so adds cross terms. The
    search takes the adapters from the smallest to the largest, whatever their order. `tries`
    passes over the examples. Raises WrongBase, UnsupportedAdapter, NoOp.
    """
    keys = [digest(donor.folder) for donor in order.adapters]

    def find(mixture: Mixture) -> Tensor:
        tried: list[tuple[float, list[float]]] = []
        places = ranked_sizes(mixture.sizes, keys)

        def goal(point: object) -> float:
            weights = torch.as_tensor(point, dtype=torch.float32)[places].clamp(-_BOUND, _BOUND)
            number = min(len(tried) + 1, params.tries)
            loss = _score(mixture, weights, report, number, params.tries)
            value = loss + params.penalty * float(weights.abs().mean())
            tried.append((value, weights.tolist()))
            return value

        start = [1 / mixture.adapters] * mixture.adapters
        # Imported here: half a second that no other job needs.
        from scipy.optimize import minimize

        minimize(goal, start, method="Nelder-Mead", options={"maxfev": params.tries})
        return torch.tensor(min(tried)[1])

    return _learn(order, params, report, find)


def lora_soups(order: WorkOrder, params: LoraSoups, report: Report) -> AdapterResult:
    """ΔW_m = Σ w_tm·ΔW_tm with one weight an adapter and module m, learned by Adam.

    From equal shares, on all examples each step; the best step's weights are taken. Source:
    Prabhakar et al. 2025 (arXiv 2410.13025). `steps` passes forward and back. Raises WrongBase,
    UnsupportedAdapter, NoOp.
    """

    def find(mixture: Mixture) -> Tensor:
        shape = (mixture.adapters, len(mixture.modules))
        weights = torch.full(shape, 1 / mixture.adapters, requires_grad=True)
        adam = torch.optim.Adam([weights], lr=params.learning_rate)
        best, kept = float("inf"), weights.detach().clone()
        for step in range(params.steps + 1):
            if report.stop_requested():
                raise Stopped
            adam.zero_grad()
            loss = mixture.loss(weights)
            report.metrics(step, {"loss": loss})
            if loss < best:
                best, kept = loss, weights.detach().clone()
            adam.step()
            report.progress(step, params.steps, "steps")
        return kept

    return _learn(order, params, report, find)


def _score(mixture: Mixture, weights: Tensor, report: Report, number: int, total: int) -> float:
    if report.stop_requested():
        raise Stopped
    loss = mixture.loss(weights)
    report.metrics(number, {"loss": loss})
    report.progress(number, total, "steps")
    return loss


def _learn(
    order: WorkOrder, params: FromExamples, report: Report, find: Callable[[Mixture], Tensor]
) -> AdapterResult:
    """Find the weights, then fuse with them; the facts tell both losses and every weight."""
    donors = open_donors(order, report, params)
    report.phase("loading base")
    mixture = Mixture(order, params, donors)
    report.phase("finding weights")
    found = find(mixture)
    losses = {
        "loss_before": mixture.loss(torch.zeros(mixture.adapters)),
        "loss_mean": mixture.loss(torch.full((mixture.adapters,), 1 / mixture.adapters)),
        "loss_found": mixture.loss(found),
    }
    table = found if found.dim() == 2 else found[:, None].expand(-1, len(mixture.modules))
    columns = dict(zip(mixture.modules, table.T.tolist(), strict=True))

    def combine(site: Site) -> Fused:
        weights = [columns[site.module][place] for place in site.places]
        return sum_updates(site.updates, weights, site.rank)

    made = fuse_modules(order, params, report, combine, donors=donors)
    made.facts |= {"weights": table.mean(dim=1).tolist(), **losses, "labels": mixture.examples}
    if found.dim() == 2:
        made.facts["module_weights"] = columns
    return made
