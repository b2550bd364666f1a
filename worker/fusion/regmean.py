"""RegMean: the update that reproduces each adapter's outputs best on that adapter's activations."""

from collections.abc import Sequence

import torch
from torch import Tensor

from shared.orders import WorkOrder
from shared.specs.fusion.regmean import RegMean
from worker.fusion.factors import CoreSpace, Factors
from worker.fusion.mixture import Mixture
from worker.fusion.modules import Fused, Site, fuse_modules, shares
from worker.fusion.same_base import open_donors
from worker.reporting import AdapterResult, Report, Stopped

#: Activation products held at once, in bytes; more modules mean more passes over the examples.
_HELD = 2 << 30


def regmean(order: WorkOrder, params: RegMean, report: Report) -> AdapterResult:
    """ΔW = (Σ w_t·ΔW_t·G_t)·(Σ w_t·G_t)⁻¹, G_t = XᵀX of the module's inputs with adapter t on.

    In factors: B = [B_1 … B_k], A = [w_t·A_t·G_t]·(Σ w_t·G_t)⁻¹, so rank K and no out×in matrix.
    Off-diagonals of G_t are shrunk. Source: Jin et al. 2023 (arXiv 2212.09849), there with data of
    each task; here all adapters see the same examples. Cost: k passes over the examples for each
    2 GiB of in×in matrices, O(in³) a module. Raises WrongBase, WrongCount, UnsupportedAdapter,
    NoOp.
    """
    donors = open_donors(order, report, params)
    shares(params, len(donors))
    report.phase("loading base")
    mixture = Mixture(order, params, donors)
    widths = {
        name: next(d.modules[name].shape[1] for d in donors if name in d.modules)
        for name in mixture.modules
    }
    held: dict[str, list[Tensor]] = {}

    def combine(site: Site) -> Fused:
        if site.module not in held:
            held.clear()
            group = _group(mixture.modules, widths, site.module, len(donors))
            for place in range(len(donors)):
                if report.stop_requested():
                    raise Stopped
                for name, gram in mixture.products(place, group).items():
                    held.setdefault(name, []).append(_shrunk(gram, params.shrink))
        grams = [held[site.module][place] for place in site.places]
        return regression_mean(site.updates, site.weights, grams, site.rank)

    made = fuse_modules(order, params, report, combine, donors=donors)
    made.facts["labels"] = 0
    made.facts["examples"] = mixture.examples
    return made


def regression_mean(
    updates: Sequence[Factors], weights: Sequence[float], grams: Sequence[Tensor], rank: int
) -> Fused:
    """(Σ w_t·ΔW_t·G_t)·(Σ w_t·G_t)⁻¹ of one module; grams are in×in, fp64."""
    parts = [weight * gram for weight, gram in zip(weights, grams, strict=True)]
    whole = torch.stack(parts).sum(dim=0)
    inverse = torch.linalg.pinv(whole, rtol=1e-10, hermitian=True)
    moved = [
        Factors(update.b, (update.a.double() @ part @ inverse))
        for update, part in zip(updates, parts, strict=True)
    ]
    space = CoreSpace(moved)
    inputs = sum(float(core.norm()) for core in space.cores)
    return Fused(space.realise(torch.stack(space.cores).sum(dim=0), rank), inputs)


def _shrunk(gram: Tensor, shrink: float) -> Tensor:
    return shrink * gram + (1 - shrink) * gram.diagonal().diag()


def _group(modules: Sequence[str], widths: dict[str, int], first: str, adapters: int) -> list[str]:
    """The modules from `first` on whose products fit together."""
    chosen: list[str] = []
    size = 0
    for name in modules[modules.index(first) :]:
        size += adapters * 8 * widths[name] ** 2
        if chosen and size > _HELD:
            break
        chosen.append(name)
    return chosen
